//! A small nf_tables speaker: one base chain that rejects with a TCP reset, or drops.
//!
//! In: a hook and what to match. Out: a [`Table`] whose rules hold until it is dropped. Attribute
//! numbers and structures are those of linux/netfilter/nf_tables.h; values are big-endian there.

use std::net::IpAddr;

use anyhow::{Context, Error, Result};
use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use super::netlink::{CREATE, Message, Netlink, Refusal};
use super::netns::Netns;
use super::truth::Family;
use crate::exit::{Code, Failure};

const NFPROTO_INET: u8 = 1;
const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u16 = SUBSYSTEM << 8;
const DELTABLE: u16 = SUBSYSTEM << 8 | 2;
const NEWCHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEWRULE: u16 = SUBSYSTEM << 8 | 6;
/// The scratch register that every match loads into and compares (NFT_REG_1).
const REGISTER: u32 = 1;
const CHAIN: &str = "lab";
/// NFT_PAYLOAD_INNER_HEADER: what follows the transport header.
const PAYLOAD_INNER_HEADER: u32 = 3;
/// NF_CT_STATE_INVALID_BIT of linux/netfilter/nf_conntrack_common.h.
const INVALID: u32 = 1;

/// Where the packets are met (NF_INET_LOCAL_IN, NF_INET_FORWARD).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// On their way to a socket of this host.
    Input = 1,
    /// On their way through.
    Forward = 2,
}

/// Which port of a segment must be the one given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The source port.
    From(u16),
    /// The destination port.
    To(u16),
}

/// Which segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// All of them.
    Any,
    /// Those without SYN.
    WithoutSyn,
    /// Those with SYN, be it the first or the answer to it.
    WithSyn,
    /// Those of this length from the IP header on; a bare ACK with timestamps has 52 bytes in
    /// IPv4 and 72 in IPv6.
    Length(u16),
    /// Those whose payload begins with this, of at most 16 bytes (linux 5.16).
    Payload(&'static [u8]),
    /// Those that come from this address, of the family of the rule.
    Source(IpAddr),
    /// Those that connection tracking cannot place (`ct state invalid`).
    Unplaced,
    /// Those of connections beyond this many (`ct count over`).
    BeyondCount(u32),
}

/// What happens to a segment that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered with a RST in the name of its destination, and dropped.
    Reject,
    /// It vanishes.
    Drop,
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// IPv4 or IPv6.
    pub family: Family,
    /// The TCP port to match.
    pub port: Port,
    /// What else to match.
    pub only: Only,
    /// The consequence.
    pub verdict: Verdict,
}

/// A table with one chain of rules in one namespace. Dropping it removes all of it.
#[derive(Debug)]
pub struct Table {
    socket: Netlink,
    name: String,
}

impl Table {
    /// Puts `rules` in force at `hook` of `netns`, in a table called `name`.
    ///
    /// # Errors
    /// [`Code::UNAVAILABLE`] where the kernel lacks nf_tables or its reject expression; otherwise
    /// what the kernel refused.
    pub fn install(netns: &Netns, name: &str, hook: Hook, rules: &[Rule]) -> Result<Self> {
        let mut messages = vec![add_table(name), add_chain(name, hook)];
        messages.extend(rules.iter().map(|rule| add_rule(name, rule)));
        let socket = netns.run(|| {
            let mut socket = Netlink::open(SockProtocol::NetlinkNetFilter)?;
            commit(&mut socket, messages)?;
            Ok(socket)
        });
        let socket = socket
            .map_err(unsupported)
            .with_context(|| format!("putting nft rules in force on the {}", netns.name()))?;
        Ok(Self { socket, name: name.to_owned() })
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // The socket stays in the namespace it was opened in, so no thread has to enter it.
        let removal = Message::new("remove an nft table", DELTABLE, 0, &family(NFPROTO_INET))
            .text(1, &self.name);
        if let Err(error) = commit(&mut self.socket, vec![removal]) {
            log::warn!("nft table {} stays until its namespace ends: {error:#}", self.name);
        }
    }
}

/// nf_tables takes changes as a transaction between two markers.
fn commit(socket: &mut Netlink, messages: Vec<Message>) -> Result<()> {
    // struct nfgenmsg of the markers: no family, version 0, the subsystem in network byte order.
    let subsystem = SUBSYSTEM.to_be_bytes();
    let marker = |kind| {
        Message::new("open an nf_tables batch", kind, 0, &[0, 0, subsystem[0], subsystem[1]])
    };
    socket.ask_framed(Some(marker(BATCH_BEGIN)), messages, Some(marker(BATCH_END)))
}

/// Which refusals mean that the kernel was built without what we ask for.
fn unsupported(error: Error) -> Error {
    let missing = match error.downcast_ref::<Refusal>() {
        Some(Refusal { errno: Errno::EPROTONOSUPPORT, .. }) => "netfilter netlink",
        Some(Refusal { errno: Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT, .. }) => "nf_tables",
        Some(Refusal { errno: Errno::ENOENT, .. }) => "an nf_tables expression (nft_reject_inet)",
        _ => return error,
    };
    let message = format!("this kernel lacks {missing}: {error:#}; load or enable it and repeat");
    Failure::new(Code::UNAVAILABLE, message).into()
}

/// `struct nfgenmsg`: family, version, resource.
fn family(protocol: u8) -> [u8; 4] {
    [protocol, 0, 0, 0]
}

fn add_table(name: &str) -> Message {
    Message::new("add an nft table", NEWTABLE, CREATE, &family(NFPROTO_INET)).text(1, name)
}

fn add_chain(table: &str, hook: Hook) -> Message {
    Message::new("add an nft base chain", NEWCHAIN, CREATE, &family(NFPROTO_INET))
        .text(1, table)
        .text(3, CHAIN)
        .nest(4, |m| m.attribute(1, &(hook as u32).to_be_bytes()).attribute(2, &0u32.to_be_bytes()))
        .text(7, "filter")
}

fn add_rule(table: &str, rule: &Rule) -> Message {
    let protocol = match rule.family {
        Family::V4 => libc::NFPROTO_IPV4,
        Family::V6 => libc::NFPROTO_IPV6,
    };
    let (offset, port) = match rule.port {
        Port::From(port) => (0, port),
        Port::To(port) => (2, port),
    };
    Message::new("add an nft rule", NEWRULE, CREATE | libc::NLM_F_APPEND as u16, &family(1))
        .text(1, table)
        .text(2, CHAIN)
        .nest(4, |m| {
            let m = meta(m, libc::NFT_META_NFPROTO as u32, &[protocol as u8]);
            let m = meta(m, libc::NFT_META_L4PROTO as u32, &[libc::IPPROTO_TCP as u8]);
            let m = equals(load(m, offset, 2), &port.to_be_bytes());
            let m = match rule.only {
                Only::Any => m,
                Only::WithoutSyn => equals(mask(load(m, 13, 1), &[0x02]), &[0]),
                Only::WithSyn => equals(mask(load(m, 13, 1), &[0x02]), &[0x02]),
                Only::Length(bytes) => {
                    let key = libc::NFT_META_LEN as u32;
                    meta(m, key, &u32::from(bytes).to_ne_bytes())
                }
                Only::Payload(start) => {
                    let m = load_from(m, PAYLOAD_INNER_HEADER, 0, start.len() as u32);
                    equals(m, start)
                }
                Only::Source(IpAddr::V4(ip)) => equals(load_source(m, 12, 4), &ip.octets()),
                Only::Source(IpAddr::V6(ip)) => equals(load_source(m, 8, 16), &ip.octets()),
                Only::Unplaced => {
                    let state = mask(load_ct_state(m), &INVALID.to_ne_bytes());
                    compare(state, libc::NFT_CMP_NEQ as u32, &[0; 4])
                }
                Only::BeyondCount(most) => expression(m, "connlimit", |m| {
                    m.attribute(1, &most.to_be_bytes()).attribute(2, &1u32.to_be_bytes())
                }),
            };
            match rule.verdict {
                Verdict::Drop => drop_it(m),
                Verdict::Reject => expression(m, "reject", |m| m.attribute(1, &1u32.to_be_bytes())),
            }
        })
}

/// One list element: the name of an expression and its own attributes.
fn expression(m: Message, name: &str, fill: impl FnOnce(Message) -> Message) -> Message {
    m.nest(1, |m| m.text(1, name).nest(2, fill))
}

/// The packet's `key` is `wanted`.
fn meta(m: Message, key: u32, wanted: &[u8]) -> Message {
    let m = expression(m, "meta", |m| {
        m.attribute(1, &REGISTER.to_be_bytes()).attribute(2, &key.to_be_bytes())
    });
    equals(m, wanted)
}

/// Loads the bits of what connection tracking thinks of the packet.
fn load_ct_state(m: Message) -> Message {
    expression(m, "ct", |m| {
        m.attribute(1, &REGISTER.to_be_bytes())
            .attribute(2, &(libc::NFT_CT_STATE as u32).to_be_bytes())
    })
}

/// Loads `length` bytes of the TCP header.
fn load(m: Message, offset: u32, length: u32) -> Message {
    load_from(m, libc::NFT_PAYLOAD_TRANSPORT_HEADER as u32, offset, length)
}

/// Loads the source address from the IP header.
fn load_source(m: Message, offset: u32, length: u32) -> Message {
    load_from(m, libc::NFT_PAYLOAD_NETWORK_HEADER as u32, offset, length)
}

fn load_from(m: Message, base: u32, offset: u32, length: u32) -> Message {
    expression(m, "payload", |m| {
        m.attribute(1, &REGISTER.to_be_bytes())
            .attribute(2, &base.to_be_bytes())
            .attribute(3, &offset.to_be_bytes())
            .attribute(4, &length.to_be_bytes())
    })
}

/// Keeps only `bits` of what was loaded.
fn mask(m: Message, bits: &[u8]) -> Message {
    expression(m, "bitwise", |m| {
        m.attribute(1, &REGISTER.to_be_bytes())
            .attribute(2, &REGISTER.to_be_bytes())
            .attribute(3, &(bits.len() as u32).to_be_bytes())
            .nest(4, |m| m.attribute(1, bits))
            .nest(5, |m| m.attribute(1, &vec![0; bits.len()]))
    })
}

/// Goes on only if what was loaded equals `wanted`.
fn equals(m: Message, wanted: &[u8]) -> Message {
    compare(m, libc::NFT_CMP_EQ as u32, wanted)
}

fn compare(m: Message, how: u32, with: &[u8]) -> Message {
    expression(m, "cmp", |m| {
        m.attribute(1, &REGISTER.to_be_bytes())
            .attribute(2, &how.to_be_bytes())
            .nest(3, |m| m.attribute(1, with))
    })
}

/// The verdict register becomes NF_DROP (0).
fn drop_it(m: Message) -> Message {
    expression(m, "immediate", |m| {
        m.attribute(1, &0u32.to_be_bytes())
            .nest(2, |m| m.nest(2, |m| m.attribute(1, &0u32.to_be_bytes())))
    })
}
