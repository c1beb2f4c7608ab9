//! Who asked for what in vain, as a reset tells it, and how much of it is a scan.

use std::net::{IpAddr, Ipv6Addr};

use super::{HOSTS, PORTS, SERVICES};
use crate::event::{Cause, ConnState, Endpoint, Initiator, RstEvent, Stage};

/// A service that somebody asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) server: Endpoint,
    pub(super) by: IpAddr,
    pub(super) time: u64,
    /// When it was asked for the first time, as far as that is remembered.
    pub(super) first: u64,
    pub(super) fate: Fate,
    /// No TCP writes so: a program did, past its host's.
    pub(super) is_raw: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Refused,
    /// The client let it go as scanners do.
    Probed,
    /// The client hung up without a word, as scanners do and others, too.
    Wordless,
}

/// A service counts once.
impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        self.server == other.server
    }
}

impl Asked {
    /// What the reset of a connection says about it. `None` if nobody's question was seen, if it was none in vain, or one
    /// of a host to itself.
    pub(super) fn of(event: &RstEvent) -> Option<Self> {
        let (client, server) = (event.client?, event.server?);
        let was_asked = matches!(event.initiator, Initiator::Syn | Initiator::SynAck);
        if !was_asked || client.ip == server.ip || client.ip.is_loopback() {
            return None;
        }
        let (by, time, is_raw) = (client.ip, event.time.0, is_raw(event));
        Some(Self { server, by, time, first: time, fate: fate(event)?, is_raw })
    }

    pub(super) fn is_open(&self) -> bool {
        self.fate != Fate::Refused
    }
}

fn fate(event: &RstEvent) -> Option<Fate> {
    use Cause::{ClosedPort, HostFirewallReject, NetworkFirewallReject, ScanResponse};
    let is_refusal = matches!(
        event.cause,
        ClosedPort | ScanResponse | HostFirewallReject | NetworkFirewallReject
    );
    if event.conn_state == Some(ConnState::Rej) && is_refusal {
        return Some(Fate::Refused);
    }
    if event.cause == Cause::ScannerProbe {
        return Some(Fate::Probed);
    }
    let is_client = Some(event.src) == event.client;
    (is_client && event.stage == Stage::PostAck).then_some(Fate::Wordless)
}

/// Whether the verdict rests on a SYN, or another question, that no TCP writes.
fn is_raw(event: &RstEvent) -> bool {
    let says_so = || event.evidence.iter().any(|why| matches!(&*why.id, "raw_syn" | "odd_flags"));
    event.cause == Cause::ScannerProbe || event.cause == Cause::ScanResponse && says_so()
}

/// Who asks: an address, or a network of IPv6 in which a host has as many as it likes (RFC 4291 section 2.5.1). Link-local
/// addresses, and those that stand for IPv4 (RFC 6052), are of many hosts.
pub(super) fn asker(ip: IpAddr) -> IpAddr {
    const LINK_LOCAL: u128 = 0xfe80 << 112;
    const FOR_IPV4: u128 = 0x64_ff9b << 96;
    let IpAddr::V6(v6) = ip else { return ip };
    match v6.to_bits() & !u128::from(u64::MAX) {
        LINK_LOCAL | FOR_IPV4 => ip,
        network => Ipv6Addr::from_bits(network).into(),
    }
}

/// The network of a site.
fn site(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => std::net::Ipv4Addr::from_bits(v4.to_bits() & 0xffff << 16).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !(u128::MAX >> 48)).into(),
    }
}

/// How sure it is that somebody scans.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Sure,
    /// A client whose servers are down looks so at first.
    Doubtful,
}

/// Whether these are enough, the last of them `latest`.
pub(super) fn sign<'a>(
    asked: impl Iterator<Item = &'a Asked> + Clone,
    latest: &Asked,
) -> Option<Sign> {
    let vain = asked.filter(|asked| asked.fate != Fate::Wordless);
    let raw = vain.clone().filter(|asked| asked.is_raw);
    // Several hosts of one network may ask through their TCPs.
    let by_one = vain.filter(|asked| asked.is_raw || asked.by == latest.by);
    let of_host = |asked: &&Asked| asked.server.ip == latest.server.ip;
    let of_port = |asked: &&Asked| asked.server.port == latest.server.port;
    let near = |asked: &&Asked| site(asked.server.ip) == site(latest.server.ip);
    if by_one.clone().filter(of_host).count() >= PORTS
        || raw.clone().filter(of_port).count() >= HOSTS
        || raw.count() >= SERVICES
    {
        return Some(Sign::Sure);
    }
    (by_one.filter(of_port).filter(near).count() >= HOSTS).then_some(Sign::Doubtful)
}
