//! The laboratory's hosts at a distance from each other.
//!
//! In: how long frames take on each of the two cables. Out: the hosts over such cables, and which scenarios are played
//! there. Nothing else differs: what is done is the same, and so is the truth.

use anyhow::Result;
use rst_tracer::demo::frame::RST;
use rst_tracer::demo::lab::{Lab, Place};
use rst_tracer::demo::scenarios::Scenario;
use rst_tracer::demo::sniffer::Direction;
use rst_tracer::demo::truth::{Connection, GroundTruth, Maker, Reset, Sender, Stage};

use super::{ROOM, old_families};
use crate::cable::{Cable, Conduct};

/// Scenarios that cannot be what they are at a distance, and why.
pub const ONLY_NEAR: &[(&str, &str)] = &[
    (
        "block_page",
        "the page's acknowledgment meets a server that has believed its reset, and is answered once more",
    ),
    (
        "careful_injector_blackhole",
        "the server's own answer is under way before the black hole begins",
    ),
    (
        "overflow_of_several",
        "the reset comes before the client says its second thing, or behind it, as it happens",
    ),
    (
        "script_waits_for_port",
        "the script calls once more while the answer to its last call is under way",
    ),
    ("syn_ack_one_short", "the client repeats its SYN, which meets a server that is gone"),
];

/// Lays the cables and places the hosts; without a distance the cables are plain veth pairs.
///
/// # Errors
/// As [`Lab::new`] and [`Cable::lay`].
pub fn lay_out(distance: Option<Conduct>) -> Result<(Lab, Vec<Cable>)> {
    let Some(conduct) = distance else { return Ok((Lab::with_room(ROOM)?, Vec::new())) };
    let mut cables = Vec::new();
    let lab = Lab::cabled(ROOM, |a, b| {
        cables.push(Cable::lay(a, b, conduct)?);
        Ok(())
    })?;
    Ok((lab, cables))
}

/// The truth, and what distance adds to it: a side that has reset the connection answers what was under way to it then
/// with bare resets. They are believed by nobody, for the connection is over by then.
pub fn with_answers_under_way(lab: &Lab, truth: &mut GroundTruth) {
    for connection in &mut truth.connections {
        for (sender, place) in [(Sender::Client, Place::Client), (Sender::Server, Place::Server)] {
            let answers = answers_under_way(lab, connection, sender, place);
            connection.resets.extend(answers);
        }
    }
}

/// The resets that a side sent beyond the only one of the truth, if that is its TCP's.
fn answers_under_way(
    lab: &Lab,
    connection: &Connection,
    sender: Sender,
    place: Place,
) -> Vec<Reset> {
    let side = sender.claimed();
    let mut in_its_name = connection.resets.iter().filter(|reset| reset.sender.claimed() == side);
    let (Some(first), None) = (in_its_name.next(), in_its_name.next()) else { return vec![] };
    if first.sender != sender || first.maker != Maker::Stack {
        return vec![];
    }
    let seen = lab.sniffer(place).segments(connection);
    let sent = seen.iter().filter(|one| {
        let is_its = one.segment.src == connection.address(side);
        is_its && one.direction == Direction::Out && one.segment.has(RST)
    });
    let bare = sent.skip(1).filter(|one| one.segment.flags == RST && one.segment.window == 0);
    let cause = ("protocol_state", "segment_after_reset");
    // Where the first answered something itself, the next one does for the same reason.
    let also: &'static [&'static str] = vec![first.cause].leak();
    bare.map(|_| Reset::by(sender, Stage::Closed, cause).or_as_truly(also)).collect()
}

/// The scenarios that are played at a distance: of the families that are not kept aside those that can be. What is left
/// out is told, with the reason.
pub fn far(mut left_out: impl FnMut(&Scenario, &str)) -> Vec<Scenario> {
    let mut all = old_families();
    all.retain(|scenario| {
        let why = ONLY_NEAR.iter().find(|(id, _)| *id == scenario.id).map(|(_, why)| *why);
        why.inspect(|why| left_out(scenario, why)).is_none()
    });
    all
}
