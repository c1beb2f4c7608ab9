//! Both ends of an accepted connection, and what the two say to each other.
//!
//! In: two connected sockets. Out: requests and answers, waits until nothing is under way, and
//! the truth of what was done to the connection.

use std::net::{Shutdown, TcpStream};

use anyhow::{Context, Result};
use nix::errno::Errno;

use super::scene::{ANSWER, REQUEST};
use crate::demo::frame::Segment;
use crate::demo::lab::{Lab, Place};
use crate::demo::sniffer::Sighting;
use crate::demo::sockets;
use crate::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};

/// Both ends of an accepted connection.
#[derive(Debug)]
pub struct Pair<'a> {
    /// The hosts.
    pub lab: &'a Lab,
    /// Who is connected with whom.
    pub connection: Connection,
    /// The client's end.
    pub client: TcpStream,
    /// The server's end.
    pub server: TcpStream,
}

impl Pair<'_> {
    /// The client says something and the server hears it.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn request(&self) -> Result<()> {
        self.lab.client.run(|| sockets::say(&self.client, REQUEST))?;
        sockets::hear(&self.server, REQUEST)
    }

    /// The server says something and the client hears it.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn answer(&self) -> Result<()> {
        self.lab.server.run(|| sockets::say(&self.server, ANSWER))?;
        sockets::hear(&self.client, ANSWER)
    }

    /// A request and an answer.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn exchange(&self) -> Result<()> {
        self.request()?;
        self.answer()
    }

    /// Waits until nothing is under way.
    ///
    /// # Errors
    /// If it does not become quiet.
    pub fn settle(&self) -> Result<()> {
        settle(self.lab, &self.connection)
    }

    /// The last segment that `side` has sent, as it passes `place`, after everything was
    /// acknowledged: its `next_seq` is where that side stands.
    ///
    /// # Errors
    /// If it does not become quiet.
    pub fn last_of(&self, side: Side, place: Place) -> Result<Segment> {
        self.settle()?;
        self.lab.sniffer(place).wait_for("a segment to imitate", &self.connection, |seen| {
            last(seen, &self.connection, side).cloned()
        })
    }

    /// The server, which believes in the connection, speaks; the client's TCP, which does not
    /// know it any more, answers with a reset.
    ///
    /// # Errors
    /// If the server does not get that reset.
    pub fn speak_to_the_dead(&self) -> Result<()> {
        self.lab.server.run(|| sockets::say(&self.server, ANSWER))?;
        sockets::await_error(&self.server, Errno::ECONNRESET)
    }

    /// Ends the connection with a FIN each way; the client begins.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn part(self) -> Result<()> {
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
    pub fn truth(&self, done: &'static str, resets: Vec<Reset>) -> GroundTruth {
        let connection = Connection { resets, ..self.connection.clone() };
        GroundTruth { connections: vec![connection], done }
    }
}

/// Waits until each side has acknowledged everything that the other has sent, and the
/// acknowledgments have passed every place.
///
/// # Errors
/// If it does not become quiet.
pub fn settle(lab: &Lab, connection: &Connection) -> Result<()> {
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

/// The last segment of a side.
pub fn last<'a>(seen: &'a [Sighting], connection: &Connection, side: Side) -> Option<&'a Segment> {
    let sender = connection.address(side);
    seen.iter().rev().map(|one| &one.segment).find(|segment| segment.src == sender)
}

/// What follows when a side has believed a reset that its peer did not send.
pub fn answer_of_the_dead() -> Reset {
    let cause = ("protocol_state", "segment_after_reset");
    Reset::by(Sender::Client, Stage::Closed, cause)
}
