//! Long cables: frames take their time, come in order and whole, and are lost or overtake only where that was asked for.
//!
//! Needs root.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rst_tracer::demo::lab::{Lab, Place};
use rst_tracer::demo::sniffer::{Direction, Sighting};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Family};
use rst_tracer_tests::cable::{Cable, Conduct};
use rst_tracer_tests::skip::skipped;

/// A busy machine lets the forwarder wait.
const LATE: Duration = Duration::from_millis(60);
const PORT: u16 = 7000;

fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        skipped("long cables need root (network namespaces); repeat with sudo");
    }
    root
}

/// The laboratory with a long cable between the client and the router, and a short one behind it.
fn lab(conduct: Conduct) -> Result<(Lab, Cable)> {
    let mut long = None;
    let lab = Lab::cabled(0, |a, b| {
        if long.is_some() {
            return rst_tracer::demo::topology::connect(a, b);
        }
        long = Some(Cable::lay(a, b, conduct)?);
        Ok(())
    })?;
    Ok((lab, long.context("a cable was laid")?))
}

/// Connects; tells both ends and how long it took.
fn dial(lab: &Lab, family: Family) -> Result<(TcpStream, TcpStream, Connection, Duration)> {
    let server = (Place::Server.ip(family), PORT).into();
    let listener = lab.server.run(|| sockets::listen_on(server, 8))?;
    let (socket, client) = lab.client.run(|| sockets::bound(Place::Client.ip(family)))?;
    let start = Instant::now();
    lab.client.run(|| sockets::connect(&socket, server).context("connecting"))?;
    let took = start.elapsed();
    let accepted = lab.server.run(|| sockets::accept(&listener))?;
    Ok((socket.into(), accepted, Connection::between(client, server), took))
}

/// What passed of a connection: sequence number and length of each segment of one side.
fn passed(seen: Vec<Sighting>, from: &Connection, way: Direction) -> Vec<(u32, usize)> {
    let mine = |one: &Sighting| one.direction == way && one.segment.src == from.client;
    seen.into_iter().filter(mine).map(|one| (one.segment.seq, one.segment.payload_len)).collect()
}

#[test]
fn a_handshake_takes_the_round_trip_and_megabytes_come_whole_and_in_order() -> Result<()> {
    const MEGABYTES: usize = 4 << 20;
    if !root() {
        return Ok(());
    }
    let delay = Duration::from_millis(40);
    let jitter = Duration::from_millis(5);
    let (lab, cable) = lab(Conduct { delay, jitter, ..Conduct::default() })?;
    for family in [Family::V4, Family::V6] {
        let (mut client, mut server, connection, took) = dial(&lab, family)?;
        let least = delay * 2;
        assert!((least..least + 2 * jitter + LATE).contains(&took), "{family}: {took:?}");
        let all: Vec<u8> = (0..MEGABYTES).map(|n| (n / 251) as u8).collect();
        let sent = all.clone();
        let writer = thread::spawn(move || client.write_all(&sent).map(|()| client));
        let mut heard = vec![0; MEGABYTES];
        server.read_exact(&mut heard)?;
        assert!(heard == all, "{family}: other bytes came than went");
        let client = writer.join().expect("the writer ends")?;
        rst_tracer::demo::scenarios::settle(&lab, &connection)?;
        let [out, through] =
            [(Place::Client, Direction::Out), (Place::RouterClientSide, Direction::In)].map(
                |(place, way)| passed(lab.sniffer(place).segments(&connection), &connection, way),
            );
        assert!(out == through, "{family}: another order, or not the same segments");
        assert!(out.iter().any(|(_, length)| *length > 1500), "{family}: no offload was at work");
        drop((client, server));
    }
    assert_eq!(cable.lost(), 0);
    Ok(())
}

#[test]
fn a_lost_syn_costs_a_second() -> Result<()> {
    if !root() {
        return Ok(());
    }
    let (lab, _cable) = lab(Conduct { loses: Some(1), ..Conduct::of_ms(5) })?;
    let (.., took) = dial(&lab, Family::V4)?;
    assert!(took > Duration::from_millis(900), "{took:?}");
    let (.., took) = dial(&lab, Family::V6)?;
    assert!(took < Duration::from_millis(500), "only one was to be lost: {took:?}");
    Ok(())
}

#[test]
fn one_overtakes_what_went_before_it() -> Result<()> {
    if !root() {
        return Ok(());
    }
    // SYN, ACK, two requests.
    let (lab, _cable) = lab(Conduct { hurries: Some(4), ..Conduct::of_ms(100) })?;
    let (client, server, connection, _) = dial(&lab, Family::V4)?;
    // The second is not to wait for the acknowledgment of the first.
    client.set_nodelay(true)?;
    sockets::say(&client, b"first ")?;
    sockets::say(&client, b"second")?;
    sockets::hear(&server, b"first second")?;
    rst_tracer::demo::scenarios::settle(&lab, &connection)?;
    let [out, through] =
        [(Place::Client, Direction::Out), (Place::RouterClientSide, Direction::In)]
            .map(|(place, way)| passed(lab.sniffer(place).segments(&connection), &connection, way));
    let mut swapped = out.clone();
    swapped.swap(2, 3);
    assert_eq!(through[..4], swapped[..4], "sent: {out:?}");
    Ok(())
}
