//! No room: the accept queue is full, or a box on the way allows no more connections.

use std::net::{Shutdown, TcpListener, TcpStream};

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::lab::Settings;
use rst_tracer::demo::nft::{Hook, Only, Port, Table, Verdict};
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Maker, Reset, Sender, Side, Stage};
use rst_tracer::demo::{sockets, wait};

use super::{Cause, refused_at};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "overflow_at_first_data",
        "No place for a caller that speaks",
        "The service has two places and both are taken; a third caller's ACK was lost, and its \
         request meets the full queue; tcp_abort_on_overflow is on.",
        overflow_at_first_data,
    )
    .slow(),
    Listed::new(
        "overflow_of_several",
        "No place for two of six callers",
        "The service has four places and all are taken; of two more callers one has sent a request, \
         one only its ACK, both late; tcp_abort_on_overflow is on.",
        overflow_of_several,
    )
    .slow(),
    Listed::new(
        "one_connection_allowed",
        "One connection at a time",
        "The router's firewall lets one connection to the service through and rejects two calls \
         while it lasts.",
        one_connection_allowed,
    )
    .slow(),
];

const OVERFLOW: Cause = ("resource_limitation", "accept_queue_overflow");

fn aborting<'a>(scene: &Scene<'a>) -> Result<Settings<'a>> {
    scene.lab.set_for_now(&scene.lab.server, &[("net/ipv4/tcp_abort_on_overflow", "1")])
}

/// A caller whose ACKs and data are lost until the table is dropped.
struct Held {
    client: TcpStream,
    connection: Connection,
    hold: Table,
}

fn held(scene: &Scene<'_>) -> Result<Held> {
    let bound = scene.bound()?;
    let hold = scene.lose(&[(Port::From(bound.1.port()), Only::WithoutSyn)])?;
    let (client, connection) = scene.dial_from(bound)?;
    Ok(Held { client, connection, hold })
}

fn queue_is(listener: &TcpListener, length: u32) -> Result<()> {
    wait::until("the queue", || Ok(sockets::unaccepted(listener)? == length))
}

/// Lets a caller in: data completes a handshake as well as the ACK that was lost.
fn admit(scene: &Scene<'_>, caller: Held) -> Result<(TcpStream, Connection)> {
    drop(caller.hold);
    scene.lab.client.run(|| sockets::say(&caller.client, REQUEST))?;
    Ok((caller.client, caller.connection))
}

/// Lets those who did get a place end in order.
fn part_from(
    scene: &Scene<'_>,
    listener: &TcpListener,
    callers: &[(TcpStream, Connection)],
) -> Result<()> {
    for (client, connection) in callers {
        client.shutdown(Shutdown::Write).context("closing a caller's direction")?;
        settle(scene.lab, connection)?;
    }
    for _ in callers {
        let server = scene.lab.server.run(|| sockets::accept(listener))?;
        sockets::drain(&server)?;
        scene.lab.server.run(|| sockets::close(server))?;
    }
    callers.iter().try_for_each(|(client, _)| sockets::await_end(client))
}

fn overflow_at_first_data(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _setting = aborting(scene)?;
    let listener = scene.listen(1)?;
    let first = scene.dial()?;
    queue_is(&listener, 1)?;
    let (second, victim) = (held(scene)?, held(scene)?);
    let callers = [first, admit(scene, second)?];
    queue_is(&listener, 2)?;
    let (victim, connection) = admit(scene, victim)?;
    sockets::await_error(&victim, Errno::ECONNRESET)?;
    let resets = vec![Reset::by(Sender::Server, Stage::PostPush, OVERFLOW)];
    let mut connections = vec![Connection { resets, ..connection }];
    part_from(scene, &listener, &callers)?;
    connections.extend(callers.map(|(_, connection)| connection));
    Ok(GroundTruth { connections, done: "the caller without a place got ECONNRESET" })
}

fn overflow_of_several(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _setting = aborting(scene)?;
    let listener = scene.listen(3)?;
    let mut callers = vec![scene.dial()?, scene.dial()?];
    queue_is(&listener, 2)?;
    let [third, fourth, speaks, silent] = [held(scene)?, held(scene)?, held(scene)?, held(scene)?];
    callers.push(admit(scene, third)?);
    callers.push(admit(scene, fourth)?);
    queue_is(&listener, 4)?;
    scene.lab.client.run(|| sockets::say(&speaks.client, REQUEST))?;
    drop(speaks.hold);
    // Its request is sent again (two segments of data), and so is, after a second, the SYN-ACK of the other.
    sockets::await_error(&speaks.client, Errno::ECONNRESET)?;
    drop(silent.hold);
    sockets::await_error(&silent.client, Errno::ECONNRESET)?;
    let with = |connection, stage| {
        let resets = vec![Reset::by(Sender::Server, stage, OVERFLOW)];
        Connection { resets, ..connection }
    };
    let mut connections =
        vec![with(speaks.connection, Stage::PostData), with(silent.connection, Stage::PostAck)];
    part_from(scene, &listener, &callers)?;
    connections.extend(callers.into_iter().map(|(_, connection)| connection));
    Ok(GroundTruth { connections, done: "two callers without a place got ECONNRESET" })
}

fn one_connection_allowed(scene: &Scene<'_>) -> Result<GroundTruth> {
    // Connections are counted as long as they are tracked: nobody may flush the table meanwhile.
    let _turn = scene.lab.set_for_now(&scene.lab.router, &[])?;
    let beyond = [(Port::To(scene.server.port()), Only::BeyondCount(1))];
    let rule = scene.rules(&scene.lab.router, Hook::Forward, &beyond, Verdict::Reject)?;
    let listener = scene.listen(8)?;
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    // The filter rejects because it has no room for another connection.
    let cause = ("resource_limitation", "middlebox_table_full");
    let reset = Reset::by(Sender::RouterOnBehalfOf(Side::Server), Stage::PostSyn, cause);
    let reset = reset.made_by(Maker::Netfilter).or_as_truly(&["network_firewall_reject"]);
    let mut connections =
        vec![refused_at(scene, scene.server, reset)?, refused_at(scene, scene.server, reset)?];
    drop(rule);
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}
