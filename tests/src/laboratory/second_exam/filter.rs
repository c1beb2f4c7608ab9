//! Rules of iptables, and what several files of this folder say, await and conclude.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::scenarios::{Pair, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Family, GroundTruth, Maker, Reset, Sender, Side, Stage};
use rst_tracer::exit::{Code, Failure};

/// A class and a cause of the taxonomy.
pub(in crate::laboratory) type Cause = (&'static str, &'static str);

/// A packet filter of one of the two hosts.
pub(in crate::laboratory) const HOST: Cause = ("policy_enforcement", "host_firewall_reject");
/// A packet filter on the way.
pub(in crate::laboratory) const NETWORK: Cause = ("policy_enforcement", "network_firewall_reject");
/// What follows when a side believes a reset that its peer did not send.
pub(in crate::laboratory) const AFTER_RESET: Cause = ("protocol_state", "segment_after_reset");

/// The programs that [`Rule`] runs.
pub(in crate::laboratory) const IPTABLES: &[&str] = &["iptables", "ip6tables"];

/// A rule of iptables, in force until the value is dropped.
#[derive(Debug)]
pub(in crate::laboratory) struct Rule<'a> {
    host: &'a Netns,
    program: &'static str,
    table: &'static str,
    rule: String,
}

impl<'a> Rule<'a> {
    /// Rejects TCP with a reset at `chain`, where it `matches`.
    pub(in crate::laboratory) fn reject(
        scene: &Scene<'_>,
        host: &'a Netns,
        chain: &str,
        matches: &str,
    ) -> Result<Self> {
        let rule = format!("{chain} -p tcp {matches} -j REJECT --reject-with tcp-reset");
        Self::append(scene, host, "filter", rule)
    }

    /// Appends a rule; it begins with the name of its chain, and no word of it has a blank.
    pub(in crate::laboratory) fn append(
        scene: &Scene<'_>,
        host: &'a Netns,
        table: &'static str,
        rule: String,
    ) -> Result<Self> {
        let program = match scene.family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        let new = Self { host, program, table, rule };
        new.tell("-A").map_err(|error| {
            Failure::new(Code::UNAVAILABLE, format!("no rule of iptables like that: {error:#}"))
        })?;
        Ok(new)
    }

    fn tell(&self, verb: &str) -> Result<()> {
        let mut iptables = Command::new(self.program);
        iptables.args(["-w", "-t", self.table, verb]).args(self.rule.split_whitespace());
        let output = self.host.run(|| iptables.output().context("starting iptables"))?;
        if !output.status.success() {
            bail!("{}: {}", self.rule, String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

impl Drop for Rule<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.tell("-D") {
            eprintln!("a rule of iptables stays: {error:#}");
        }
    }
}

/// A reset by a packet filter of one of the two hosts.
pub(in crate::laboratory) fn by_host(sender: Sender, stage: Stage) -> Reset {
    Reset::by(sender, stage, HOST).made_by(Maker::Netfilter)
}

/// A reset by the router's packet filter in the name of `side`.
pub(in crate::laboratory) fn by_router(side: Side, stage: Stage, cause: Cause) -> Reset {
    Reset::by(Sender::RouterOnBehalfOf(side), stage, cause).made_by(Maker::Netfilter)
}

/// What the two say to each other in turn; each hears the other.
pub(in crate::laboratory) fn talk(pair: &Pair<'_>, lines: &[(Side, &[u8])]) -> Result<()> {
    for &(side, line) in lines {
        shout(pair, side, line)?;
        let listener = match side {
            Side::Client => &pair.server,
            Side::Server => &pair.client,
        };
        sockets::hear(listener, line)?;
    }
    pair.settle()
}

/// A side says something that may not arrive.
pub(in crate::laboratory) fn shout(pair: &Pair<'_>, side: Side, line: &[u8]) -> Result<()> {
    pair.lab.host(side).run(|| sockets::say(end(pair, side), line))
}

/// A side that was not told says something, and is reset for it.
pub(in crate::laboratory) fn late(pair: &Pair<'_>, side: Side, line: &[u8]) -> Result<()> {
    shout(pair, side, line)?;
    broken(end(pair, side))
}

/// The socket of a side.
pub(in crate::laboratory) fn end<'p>(pair: &'p Pair<'_>, side: Side) -> &'p TcpStream {
    match side {
        Side::Client => &pair.client,
        Side::Server => &pair.server,
    }
}

/// Waits until a reset has broken the connection.
pub(in crate::laboratory) fn broken(stream: &TcpStream) -> Result<()> {
    sockets::await_error(stream, Errno::ECONNRESET)
}

/// The client calls `server` and is refused.
pub(in crate::laboratory) fn refused(
    scene: &Scene<'_>,
    server: SocketAddr,
    reset: Reset,
) -> Result<Connection> {
    let (socket, client) = scene.bound()?;
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, server)))? {
        Err(Errno::ECONNREFUSED) => {}
        other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
    }
    Ok(Connection { resets: vec![reset], ..Connection::between(client, server) })
}

/// So many connections to one port, over each of which the two have talked.
pub(in crate::laboratory) fn talked<'a>(
    scene: &Scene<'a>,
    count: usize,
    lines: &[(Side, &[u8])],
) -> Result<Vec<Pair<'a>>> {
    let listener = scene.listen(8)?;
    let one = |_| {
        let pair = scene.pair_at(&listener)?;
        talk(&pair, lines)?;
        Ok(pair)
    };
    (0..count).map(one).collect()
}

/// A further port of the scenario on the server.
pub(in crate::laboratory) fn port_after(scene: &Scene<'_>, number: u16) -> SocketAddr {
    scene.at(Place::Server, scene.server.port() + number)
}

/// The truth of a scenario with one connection.
pub(in crate::laboratory) fn only(
    connection: Connection,
    resets: Vec<Reset>,
    done: &'static str,
) -> GroundTruth {
    GroundTruth { connections: vec![Connection { resets, ..connection }], done }
}
