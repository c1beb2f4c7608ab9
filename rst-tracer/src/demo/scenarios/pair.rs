//! Both ends of an accepted connection, and what the two say to each other.
//!
//! In: two connected sockets. Out: requests and answers, waits until nothing is under way, and
//! the truth of what was done to the connection.

use std::net::{Shutdown, TcpStream};

use anyhow::{Context, Result};
use nix::errno::Errno;

use super::scene::{ANSWER, REQUEST};
use crate::demo::frame::{ACK, RST, SYN, Segment};
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
            let client = reached(seen, connection, Side::Client)?;
            let server = reached(seen, connection, Side::Server)?;
            (client.sent == server.acknowledged && server.sent == client.acknowledged).then_some(())
        })?;
    }
    Ok(())
}

/// How far a side has come.
#[derive(Debug, PartialEq, Eq)]
struct Reached {
    /// The sequence number behind all that it has sent.
    sent: u32,
    /// The most that it has acknowledged.
    acknowledged: u32,
}

/// How far a side has come by its last segments. Two CPUs let neighbours overtake each other: the last one may not be the
/// newest.
fn reached(seen: &[Sighting], connection: &Connection, side: Side) -> Option<Reached> {
    const NEIGHBOURS: usize = 2;
    let sender = connection.address(side);
    let mine = seen.iter().rev().map(|one| &one.segment).filter(|segment| segment.src == sender);
    // A forged reset says nothing of the side in whose name it is.
    let mine = mine.filter(|segment| !segment.has(RST));
    let mut last: Vec<&Segment> = mine.take(NEIGHBOURS).collect();
    // What was before belongs to an older connection on these ports.
    if let Some(begin) = last.iter().position(|segment| segment.has(SYN)) {
        last.truncate(begin + 1);
    }
    let newest = |of: fn(&Segment) -> u32, from: &[&Segment]| {
        let newer = |a: u32, b: u32| if b.wrapping_sub(a).cast_signed() > 0 { b } else { a };
        from.iter().map(|segment| of(segment)).reduce(newer)
    };
    let acks: Vec<&Segment> = last.iter().copied().filter(|segment| segment.has(ACK)).collect();
    let acknowledged = newest(|segment| segment.ack, &acks)?;
    Some(Reached { sent: newest(Segment::next_seq, &last)?, acknowledged })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::sniffer::Direction;

    #[test]
    fn neighbours_that_overtake_each_other_settle_too() {
        let [client, server] = ["10.0.0.1:1000", "10.0.0.2:80"].map(|end| end.parse().unwrap());
        let connection = Connection { client, server, resets: vec![] };
        let say = |from, flags, seq: u32, ack, payload_len| {
            let (src, dst) = if from == Side::Client { (client, server) } else { (server, client) };
            let segment = Segment {
                macs: ([0; 6], [0; 6]),
                src,
                dst,
                seq,
                ack,
                flags,
                window: 1000,
                ttl: 64,
                tos: 0,
                dont_fragment: true,
                ip_id: Some(0),
                flow_label: None,
                timestamps: None,
                payload_len,
                payload_start: vec![],
            };
            Sighting { at_ns: 0, direction: Direction::In, segment }
        };
        let seen = [
            say(Side::Client, ACK, 4_000_000_000, 9, 9),
            // The connection begins anew on the same ports, just before its numbers wrap.
            say(Side::Client, SYN, u32::MAX - 4, 0, 0),
            say(Side::Client, ACK, 5, 77, 0),
            say(Side::Server, ACK, 77, 5, 0),
            say(Side::Client, ACK, u32::MAX - 3, 70, 9),
        ];
        let so_far = |count| reached(&seen[..count], &connection, Side::Client);
        assert_eq!(so_far(2), None);
        for count in [3, 5] {
            assert_eq!(so_far(count), Some(Reached { sent: 5, acknowledged: 77 }));
        }
    }
}
