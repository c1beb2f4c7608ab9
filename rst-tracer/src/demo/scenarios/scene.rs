//! What a scenario has at hand: its own port, its own firewall tables, and connected pairs.
//!
//! In: the laboratory and the scenario's family and port. Out: sockets on either side, rules, and
//! waits that the witnesses on the wire decide.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use nix::errno::Errno;

use super::Scenario;
use crate::demo::frame::{RST, Segment};
use crate::demo::lab::{Lab, Place};
use crate::demo::netns::Netns;
use crate::demo::nft::{Hook, Only, Port, Rule, Table, Verdict};
use crate::demo::sniffer::{Direction, Sighting};
use crate::demo::sockets;
use crate::demo::truth::{Connection, Family, GroundTruth, Reset, Sender, Side, Stage};

/// What the client says and the server answers, in one segment each.
pub(super) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: server.lab\r\n\r\n";
pub(super) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// The stage on which one scenario plays.
pub(super) struct Scene<'a> {
    pub(super) lab: &'a Lab,
    pub(super) family: Family,
    pub(super) server: SocketAddr,
    name: String,
    tables: AtomicU32,
}

impl<'a> Scene<'a> {
    pub(super) fn new(lab: &'a Lab, scenario: &Scenario) -> Self {
        let family = scenario.family;
        let server = SocketAddr::new(Place::Server.ip(family), scenario.port);
        let name = format!("lab_{}_{family}", scenario.id);
        Self { lab, family, server, name, tables: AtomicU32::new(0) }
    }

    /// A client socket that has an address but no connection yet.
    pub(super) fn bound(&self) -> Result<(OwnedFd, SocketAddr)> {
        self.lab.client.run(|| sockets::bound(Place::Client.ip(self.family)))
    }

    pub(super) fn listen(&self, backlog: i32) -> Result<TcpListener> {
        self.lab.server.run(|| sockets::listen_on(self.server, backlog))
    }

    /// Opens a connection that the server does not accept yet.
    pub(super) fn dial(&self) -> Result<(TcpStream, Connection)> {
        self.dial_from(self.bound()?)
    }

    /// The same from a socket whose address had to be known beforehand.
    pub(super) fn dial_from(
        &self,
        (socket, address): (OwnedFd, SocketAddr),
    ) -> Result<(TcpStream, Connection)> {
        self.lab.client.run(|| sockets::connect(&socket, self.server).context("connecting"))?;
        Ok((socket.into(), Connection::between(address, self.server)))
    }

    /// Opens a connection and accepts it; the listener closes with it.
    pub(super) fn pair(&self) -> Result<Pair<'a>> {
        let listener = self.listen(8)?;
        let (client, connection) = self.dial()?;
        let server = self.lab.server.run(|| sockets::accept(&listener))?;
        Ok(Pair { lab: self.lab, connection, client, server })
    }

    /// A connection over which a request and an answer have gone.
    pub(super) fn busy_pair(&self) -> Result<Pair<'a>> {
        let pair = self.pair()?;
        pair.exchange()?;
        Ok(pair)
    }

    /// Rejects what goes to the server's port.
    pub(super) fn reject(&self, at: &Netns, hook: Hook) -> Result<Table> {
        self.rules(at, hook, &[(Port::To(self.server.port()), Only::Any)], Verdict::Reject)
    }

    /// Loses on the router what `which` describes.
    pub(super) fn lose(&self, which: &[(Port, Only)]) -> Result<Table> {
        self.rules(&self.lab.router, Hook::Forward, which, Verdict::Drop)
    }

    fn rules(
        &self,
        at: &Netns,
        hook: Hook,
        which: &[(Port, Only)],
        verdict: Verdict,
    ) -> Result<Table> {
        let rule = |&(port, only)| Rule { family: self.family, port, only, verdict };
        let rules: Vec<Rule> = which.iter().map(rule).collect();
        let number = self.tables.fetch_add(1, Ordering::Relaxed);
        Table::install(at, &format!("{}_{number}", self.name), hook, &rules)
    }

    /// Waits until each reset of `truth` was seen at every place on its path.
    pub(super) fn await_resets(&self, truth: &GroundTruth) -> Result<()> {
        for connection in &truth.connections {
            for (number, reset) in connection.resets.iter().enumerate() {
                let claimed = reset.sender.claimed();
                // Of several by the same side, wait for this one.
                let before = &connection.resets[..number];
                let earlier = before.iter().filter(|r| r.sender.claimed() == claimed).count();
                for &(place, direction) in reset.path() {
                    let sender = connection.address(claimed);
                    self.await_reset(connection, place, direction, sender, earlier)?;
                }
            }
        }
        Ok(())
    }

    fn await_reset(
        &self,
        connection: &Connection,
        place: Place,
        direction: Direction,
        sender: SocketAddr,
        earlier: usize,
    ) -> Result<()> {
        self.lab.sniffer(place).wait_for("a reset", connection, |seen| {
            let is_it = |one: &&Sighting| {
                one.direction == direction && one.segment.src == sender && one.segment.has(RST)
            };
            seen.iter().filter(is_it).nth(earlier).map(|_| ())
        })
    }
}

/// Both ends of an accepted connection.
pub(super) struct Pair<'a> {
    lab: &'a Lab,
    pub(super) connection: Connection,
    pub(super) client: TcpStream,
    pub(super) server: TcpStream,
}

impl Pair<'_> {
    /// The client says something and the server hears it.
    pub(super) fn request(&self) -> Result<()> {
        self.lab.client.run(|| sockets::say(&self.client, REQUEST))?;
        sockets::hear(&self.server, REQUEST)
    }

    /// The server says something and the client hears it.
    pub(super) fn answer(&self) -> Result<()> {
        self.lab.server.run(|| sockets::say(&self.server, ANSWER))?;
        sockets::hear(&self.client, ANSWER)
    }

    pub(super) fn exchange(&self) -> Result<()> {
        self.request()?;
        self.answer()
    }

    /// Waits until nothing is under way.
    pub(super) fn settle(&self) -> Result<()> {
        settle(self.lab, &self.connection)
    }

    /// The last segment that `side` has sent, as it passes `place`, after everything was
    /// acknowledged: its `next_seq` is where that side stands.
    pub(super) fn last_of(&self, side: Side, place: Place) -> Result<Segment> {
        self.settle()?;
        self.lab.sniffer(place).wait_for("a segment to imitate", &self.connection, |seen| {
            last(seen, &self.connection, side).cloned()
        })
    }

    /// The server, which believes in the connection, speaks; the client's TCP, which does not
    /// know it any more, answers with a reset.
    pub(super) fn speak_to_the_dead(&self) -> Result<()> {
        self.lab.server.run(|| sockets::say(&self.server, ANSWER))?;
        sockets::await_error(&self.server, Errno::ECONNRESET)
    }

    /// Ends the connection with a FIN each way; the client begins.
    pub(super) fn part(self) -> Result<()> {
        let Self { lab, connection, client, server } = self;
        client.shutdown(Shutdown::Write).context("closing the client's direction")?;
        sockets::await_end(&server)?;
        // On two CPUs the ACK of this FIN and the server's own can overtake each other. The
        // client, in TIME_WAIT by then, would answer the latecomer, and the server that answer
        // with a reset.
        settle(lab, &connection)?;
        lab.server.run(|| sockets::close(server))?;
        sockets::await_end(&client)
    }

    /// The truth of a scenario with this connection only.
    pub(super) fn truth(&self, done: &'static str, resets: Vec<Reset>) -> GroundTruth {
        let connection = Connection { resets, ..self.connection.clone() };
        GroundTruth { connections: vec![connection], done }
    }
}

/// Waits until each side has acknowledged everything that the other has sent, and the
/// acknowledgments have passed every place.
pub(super) fn settle(lab: &Lab, connection: &Connection) -> Result<()> {
    for place in Place::ALL {
        lab.sniffer(place).wait_for("the last acknowledgment", connection, |seen| {
            let client = last(seen, connection, Side::Client)?;
            let server = last(seen, connection, Side::Server)?;
            let all = client.next_seq() == server.ack && server.next_seq() == client.ack;
            all.then_some(())
        })?;
    }
    Ok(())
}

fn last<'a>(seen: &'a [Sighting], connection: &Connection, side: Side) -> Option<&'a Segment> {
    let sender = connection.address(side);
    seen.iter().rev().map(|one| &one.segment).find(|segment| segment.src == sender)
}

/// What follows when a side has believed a reset that its peer did not send.
pub(super) fn answer_of_the_dead() -> Reset {
    let cause = ("protocol_state", "segment_after_reset");
    Reset::by(Sender::Client, Stage::Closed, cause)
}
