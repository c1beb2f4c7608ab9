//! A test tool: a box on the router that watches real traffic and forges segments into it, as
//! censors and intrusion prevention systems do. It reaches nothing but the laboratory.
//!
//! In: a connection, what to wait for, and a recipe for what to write then. Out: frames on the
//! router's links, about a millisecond later.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, SYN, Segment};
use rst_tracer::demo::lab::{Lab, Place};
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::{Scene, last};
use rst_tracer::demo::truth::{Connection, Side};

/// What a box waits for.
#[derive(Clone, Copy, Debug)]
pub(in crate::laboratory) enum Trigger {
    /// The client's SYN.
    Syn,
    /// The client's ACK that ends the handshake, once it has reached the server.
    Handshake,
    /// Data of the client that contains this, once the server has acknowledged it.
    Request(&'static [u8]),
    /// The same, but the box is so slow that the server's answer has reached the client.
    Answer(&'static [u8]),
}

/// What a box knows when it acts.
#[derive(Clone, Debug)]
pub(in crate::laboratory) struct Heard {
    /// The client's segment that it acts upon.
    pub(in crate::laboratory) trigger: Segment,
    /// The client's last segment before it was acted upon, on the link to the server.
    pub(in crate::laboratory) client: Segment,
    /// The server's last segment, on the link to the client; before a SYN-ACK, the trigger
    /// turned around.
    pub(in crate::laboratory) server: Segment,
}

impl Heard {
    /// A segment in the server's name, on the link to the client, in order.
    pub(in crate::laboratory) fn to_client(&self, flags: u8) -> Forgery {
        Forgery { ack: self.client.next_seq(), ..Forgery::after(&self.server, flags) }
    }

    /// A segment in the client's name, on the link to the server, in order.
    pub(in crate::laboratory) fn to_server(&self, flags: u8) -> Forgery {
        Forgery { ack: self.server.next_seq(), ..Forgery::after(&self.client, flags) }
    }
}

/// What a box writes: each segment goes to the side that it is addressed to.
pub(in crate::laboratory) type Recipe = fn(&Heard) -> Vec<Forgery>;

/// Does `act` while a box watches `connection`, and waits until the box has acted, too.
pub(in crate::laboratory) fn watched<T>(
    scene: &Scene<'_>,
    connection: &Connection,
    trigger: Trigger,
    recipe: Recipe,
    act: impl FnOnce() -> Result<T>,
) -> Result<T> {
    thread::scope(|scope| {
        let watcher = thread::Builder::new().name("injector".into()).spawn_scoped(scope, || {
            let heard = await_trigger(scene.lab, connection, trigger)?;
            shoot(scene.lab, connection, &recipe(&heard))
        });
        let outcome = act();
        let watcher = watcher.context("starting an injector")?;
        watcher.join().map_err(|_| anyhow::anyhow!("an injector panicked"))??;
        outcome
    })
}

/// Waits for the trigger, and until what follows from it has reached the client.
fn await_trigger(lab: &Lab, connection: &Connection, trigger: Trigger) -> Result<Heard> {
    let (client, server) = (connection.client, connection.server);
    let is_trigger = |one: &Segment| {
        one.src == client
            && match trigger {
                Trigger::Syn => one.flags & (SYN | ACK) == SYN,
                Trigger::Handshake => one.flags & (SYN | ACK) == ACK,
                Trigger::Request(what) | Trigger::Answer(what) => {
                    one.payload_start.windows(what.len()).any(|part| part == what)
                }
            }
    };
    let found = lab.sniffer(Place::RouterClientSide).wait_for("a trigger", connection, |seen| {
        seen.iter().map(|one| &one.segment).find(|one| is_trigger(one)).cloned()
    })?;
    match trigger {
        Trigger::Syn => {}
        Trigger::Handshake => {
            lab.sniffer(Place::Server).wait_for("the handshake", connection, |seen| {
                seen.iter().any(|one| is_trigger(&one.segment)).then_some(())
            })?;
        }
        Trigger::Request(_) | Trigger::Answer(_) => {
            let answered = matches!(trigger, Trigger::Answer(_));
            lab.sniffer(Place::Client).wait_for("the server's answer", connection, |seen| {
                let is_it = |one: &Segment| {
                    let fits = !answered || one.payload_len > 0;
                    one.src == server && one.ack == found.next_seq() && fits
                };
                seen.iter().any(|one| is_it(&one.segment)).then_some(())
            })?;
        }
    }
    // What was just seen to arrive is with TCP by then, whichever CPU had it.
    thread::sleep(Duration::from_millis(1));
    heard(lab, connection, found)
}

/// What a box that acts by itself knows of a connection at rest.
pub(in crate::laboratory) fn heard_at_rest(lab: &Lab, connection: &Connection) -> Result<Heard> {
    let newest = |place, side| {
        lab.sniffer(place)
            .wait_for("a segment", connection, |seen| last(seen, connection, side).cloned())
    };
    let trigger = newest(Place::RouterClientSide, Side::Client)?;
    heard(lab, connection, trigger)
}

fn heard(lab: &Lab, connection: &Connection, trigger: Segment) -> Result<Heard> {
    let newest =
        |place, side| last(&lab.sniffer(place).segments(connection), connection, side).cloned();
    let client = newest(Place::RouterServerSide, Side::Client);
    let client = client.unwrap_or_else(|| trigger.clone());
    let server = newest(Place::RouterClientSide, Side::Server);
    let server = server.unwrap_or_else(|| Segment {
        macs: (trigger.macs.1, trigger.macs.0),
        src: trigger.dst,
        dst: trigger.src,
        seq: 0,
        ack: trigger.next_seq(),
        flags: 0,
        payload_len: 0,
        ..trigger.clone()
    });
    Ok(Heard { trigger, client, server })
}

/// Writes the segments, in order, each on the link to its destination.
pub(in crate::laboratory) fn shoot(
    lab: &Lab,
    connection: &Connection,
    forgeries: &[Forgery],
) -> Result<()> {
    for forgery in forgeries {
        let place = if forgery.dst == connection.client {
            Place::RouterClientSide
        } else {
            Place::RouterServerSide
        };
        packet::inject(&lab.router, place.interface(), &forgery.to_frame())?;
    }
    Ok(())
}
