//! Holds a truth against what the four witnesses on the wire saw; no part of the tracer takes part.
//!
//! In: a laboratory in which a scenario has played, and its truth. Out: an error that says what
//! was seen otherwise: a reset too many, too few, at another stage or with another effect.

use anyhow::{Result, ensure};
use rst_tracer::demo::frame::{ACK, FIN, RST, SYN};
use rst_tracer::demo::lab::{Lab, Place};
use rst_tracer::demo::sniffer::{Direction, Sighting};
use rst_tracer::demo::truth::{Connection, Effect, GroundTruth, Reset, Side, Stage};

/// Compares a truth with what the four witnesses saw.
///
/// # Errors
/// What was seen otherwise.
pub fn check(lab: &Lab, truth: &GroundTruth) -> Result<()> {
    ensure!(truth.resets() > 0, "a scenario without a reset");
    for connection in &truth.connections {
        for place in Place::ALL {
            let seen = lab.sniffer(place).segments(connection);
            for direction in [Direction::In, Direction::Out] {
                for side in [Side::Client, Side::Server] {
                    let found = seen.iter().filter(|one| {
                        one.segment.has(RST)
                            && one.direction == direction
                            && one.segment.src == connection.address(side)
                    });
                    let wanted = connection.resets.iter().filter(|reset| {
                        reset.sender.claimed() == side && reset.path().contains(&(place, direction))
                    });
                    let (found, wanted) = (found.count(), wanted.count());
                    ensure!(
                        found == wanted,
                        "{found} instead of {wanted} resets by the {side:?} went {direction:?} \
                         at {place:?} on {connection:?}; it saw:\n{}",
                        ladder(&seen)
                    );
                }
            }
        }
        check_effect(lab, connection)?;
        check_stages(lab, connection)?;
    }
    Ok(())
}

/// One line a segment, for the reader of a failure.
fn ladder(seen: &[Sighting]) -> String {
    let line = |one: &Sighting| {
        let (at, way, what) = (one.at_ns, one.direction, &one.segment);
        let (flags, seq, ack, length) = (what.flags, what.seq, what.ack, what.payload_len);
        format!("{at} {way:?} {} flags {flags:#04x} seq {seq} ack {ack} len {length}", what.src)
    };
    seen.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What the receiver of the first reset does afterwards shows whether it believed it.
fn check_effect(lab: &Lab, connection: &Connection) -> Result<()> {
    /// A segment may be on its way out on one CPU while the reset comes in on the other.
    const CROSSING_NS: u64 = 20_000_000;
    let Some(reset) = connection.resets.first() else { return Ok(()) };
    let (receiver, place) = match reset.sender.claimed() {
        Side::Client => (Side::Server, Place::Server),
        Side::Server => (Side::Client, Place::Client),
    };
    let [to, from] = [reset.sender.claimed(), receiver].map(|side| connection.address(side));
    let seen = lab.sniffer(place).segments(connection);
    let is_it = |one: &&Sighting| one.segment.has(RST) && one.segment.src == to;
    let arrival = seen.iter().position(|one| is_it(&one));
    ensure!(
        arrival.is_some() != (reset.effect == Effect::Lost),
        "{:?}, yet the reset's arrival at {place:?} says otherwise",
        reset.effect
    );
    let Some(arrival) = arrival else { return Ok(()) };
    let at_ns = seen[arrival].at_ns;
    // A new SYN may open the next connection on the same ports.
    let after = seen[arrival + 1..].iter();
    let same = after.take_while(|one| one.segment.flags & (SYN | ACK) != SYN);
    let mut next = same.filter(|one| one.segment.src == from);
    let as_it_should = match reset.effect {
        // It may say that it knows the connection no more.
        Effect::Accepted => next.all(|one| one.segment.has(RST) || one.at_ns < at_ns + CROSSING_NS),
        Effect::Challenged => next.any(|one| one.segment.flags == ACK),
        Effect::Ignored => next.any(|one| one.segment.payload_len > 0 || one.segment.has(FIN)),
        Effect::Lost => false,
    };
    ensure!(
        as_it_should,
        "{:?}, yet the {receiver:?} went on otherwise:\n{}",
        reset.effect,
        ladder(&seen)
    );
    Ok(())
}

/// The stage of every reset is that which the segments before it show, at the client where the
/// reset passes there, else where it arrives.
fn check_stages(lab: &Lab, connection: &Connection) -> Result<()> {
    let judged_at = |reset: &Reset| {
        let path = reset.path();
        let at_client = path.iter().find(|(place, _)| *place == Place::Client);
        at_client.or(path.last()).map(|(place, _)| *place)
    };
    for place in Place::ALL {
        let seen = lab.sniffer(place).segments(connection);
        let stages = stages_at_resets(connection, &seen);
        for side in [Side::Client, Side::Server] {
            let passing = connection.resets.iter().filter(|reset| {
                reset.sender.claimed() == side && reset.path().iter().any(|(at, _)| *at == place)
            });
            let found = stages.iter().filter(|(by, _)| *by == side).map(|(_, stage)| *stage);
            for (reset, stage) in passing.zip(found) {
                ensure!(
                    judged_at(reset) != Some(place) || reset.stage == stage,
                    "stage {stage:?} instead of {:?} at {place:?}:\n{}",
                    reset.stage,
                    ladder(&seen)
                );
            }
        }
    }
    Ok(())
}

/// Whose reset each is and the stage at it, by the words of the event contract and nothing but
/// the segments.
fn stages_at_resets(connection: &Connection, seen: &[Sighting]) -> Vec<(Side, Stage)> {
    let mut stages = Vec::new();
    let (mut syn, mut syn_ack, mut shaken, mut data) = (false, false, false, 0);
    let mut fins = Vec::new();
    let mut reset = false;
    let mut first_syn = None;
    for Sighting { segment, .. } in seen {
        if segment.has(RST) {
            let from_client = segment.src == connection.client;
            let side = if from_client { Side::Client } else { Side::Server };
            let stage = match () {
                () if reset => Stage::Closed,
                () if fins.len() == 2 && fins.iter().all(|(_, acked)| *acked) => Stage::Closed,
                () if !fins.is_empty() => Stage::PostFin,
                () if data > 1 => Stage::PostData,
                () if data == 1 => Stage::PostPush,
                () if shaken => Stage::PostAck,
                () if syn_ack => Stage::PostSynack,
                () if syn => Stage::PostSyn,
                () => Stage::NoFlow,
            };
            stages.push((side, stage));
            reset = true;
            continue;
        }
        if segment.flags & (SYN | ACK) == SYN && first_syn != Some(segment.seq) {
            // Another connection on the same ports, unless the one before is still alive.
            if first_syn.is_none() || !shaken || reset || fins.len() == 2 {
                (syn_ack, shaken, data, reset) = (false, false, 0, false);
                fins.clear();
                first_syn = Some(segment.seq);
            }
        }
        for (end, acked) in &mut fins {
            *acked |= segment.ack == *end;
        }
        if segment.has(FIN) {
            fins.push((segment.next_seq(), false));
        }
        syn |= segment.flags & (SYN | ACK) == SYN;
        syn_ack |= segment.has(SYN | ACK);
        shaken |= syn_ack && segment.src == connection.client && segment.flags & (SYN | ACK) == ACK;
        data += usize::from(segment.payload_len > 0);
    }
    stages
}
