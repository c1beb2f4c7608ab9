//! The laboratory tells the truth: every scenario's resets pass where they must and nowhere else.
//!
//! Needs root. What is checked are the witnesses on the wire, with etherparse as a second reader;
//! no part of the tracer takes part.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use etherparse::{SlicedPacket, TransportSlice};
use nix::net::if_::if_nametoindex;
use rst_tracer::demo::frame::{ACK, FIN, RST, SYN};
use rst_tracer::demo::lab::{Lab, Place};
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::scenarios::{Scenario, catalogue, run_all};
use rst_tracer::demo::sniffer::{Direction, Sighting};
use rst_tracer::demo::topology;
use rst_tracer::demo::truth::{Connection, Effect, GroundTruth, Side, Stage};
use rst_tracer::demo::wait;
use rst_tracer::exit::{Code, code_of};

/// Says loudly that a test did nothing; past the capture of the test harness.
fn skipped(why: &str) {
    // In one write, so that tests on other threads cannot break the line.
    io::stderr().write_all(format!("\nSKIPPED: {why}\n").as_bytes()).ok();
}

fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        skipped("the laboratory needs root (network namespaces); repeat with sudo");
    }
    root
}

#[test]
fn the_catalogue_is_complete_and_its_names_and_ports_are_unique() {
    let all = catalogue();
    let names: HashSet<_> = all.iter().map(|one| (one.id, one.family)).collect();
    let ports: HashSet<_> = all.iter().map(Scenario::port).collect();
    assert_eq!((names.len(), ports.len()), (all.len(), all.len()));
    for id in [
        "closed_port",
        "nft_reject_server_syn",
        "nft_reject_router_syn",
        "nft_reject_server_midstream",
        "nft_reject_router_midstream",
        "unread_data",
        "linger0_client",
        "linger0_server",
        "data_after_close",
        "half_open_reboot",
        "keepalive_timeout",
        "accept_queue_overflow",
        "forged_rst_exact",
        "forged_rst_out_of_window",
    ] {
        assert_eq!(all.iter().filter(|one| one.id == id).count(), 2, "{id} in both families");
    }
}

#[test]
fn every_reset_passes_where_its_true_sender_puts_it_and_nowhere_else() -> Result<()> {
    if !root() {
        return Ok(());
    }
    let lab = Lab::new()?;
    let (mut ran, mut failures) = (0, Vec::new());
    let start = Instant::now();
    run_all(&lab, &catalogue(), |scenario, result| {
        let name = format!("{} over {}", scenario.id, scenario.family);
        match result.and_then(|truth| check(&lab, &truth)) {
            Ok(()) => ran += 1,
            Err(error) if code_of(&error) == Code::UNAVAILABLE => {
                skipped(&format!("{name}: {error:#}"));
            }
            Err(error) => failures.push(format!("{name}: {error:#}")),
        }
    });
    let took = start.elapsed();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(ran > 0, "not one scenario could run");
    assert!(took < Duration::from_secs(20), "the catalogue took {took:?}");
    for place in Place::ALL {
        assert_eq!(lab.sniffer(place).dropped()?, 0, "frames lost at {place:?}");
    }
    println!("{ran} scenarios in {took:?}");
    Ok(())
}

/// Compares a truth with what the four witnesses saw.
fn check(lab: &Lab, truth: &GroundTruth) -> Result<()> {
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
        let seen = lab.sniffer(Place::Client).segments(connection);
        check_effects(connection, &seen)?;
        let stages = stages_at_resets(connection, &seen);
        let wanted: Vec<Stage> = connection.resets.iter().map(|reset| reset.stage).collect();
        ensure!(stages == wanted, "stages {stages:?} instead of {wanted:?}");
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

/// What the client does after a reset that came to it shows whether it believed it.
fn check_effects(connection: &Connection, seen: &[Sighting]) -> Result<()> {
    let Some(reset) = connection.resets.first() else { return Ok(()) };
    let after = seen.iter().map(|one| &one.segment).skip_while(|segment| !segment.has(RST));
    let next = after.skip(1).find(|segment| segment.src == connection.client);
    let next = next.map(|segment| (segment.flags, segment.payload_len > 0));
    let as_it_should = match reset.effect {
        Effect::Accepted => matches!(next, None | Some((RST, false))),
        Effect::Challenged => next == Some((ACK, false)),
        Effect::Ignored => matches!(next, Some((_, true))),
        Effect::Lost => next.is_none(),
    };
    ensure!(as_it_should, "{:?}, yet the client went on with {next:?}", reset.effect);
    Ok(())
}

/// The stage at each reset, by the words of the event contract and nothing but the segments.
fn stages_at_resets(connection: &Connection, seen: &[Sighting]) -> Vec<Stage> {
    let mut stages = Vec::new();
    let (mut syn, mut syn_ack, mut shaken, mut data) = (false, false, false, 0);
    let mut fins = Vec::new();
    let mut reset = false;
    for Sighting { segment, .. } in seen {
        if segment.has(RST) {
            stages.push(match () {
                () if reset => Stage::Closed,
                () if fins.len() == 2 && fins.iter().all(|(_, acked)| *acked) => Stage::Closed,
                () if !fins.is_empty() => Stage::PostFin,
                () if data > 1 => Stage::PostData,
                () if data == 1 => Stage::PostPush,
                () if shaken => Stage::PostAck,
                () if syn_ack => Stage::PostSynack,
                () if syn => Stage::PostSyn,
                () => Stage::NoFlow,
            });
            reset = true;
            continue;
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

#[test]
fn etherparse_finds_the_same_resets_in_the_capture_file() -> Result<()> {
    if !root() {
        return Ok(());
    }
    let lab = Lab::new()?;
    let all = catalogue();
    let linger = all.iter().filter(|one| one.id == "linger0_server");
    let truths: Vec<GroundTruth> = linger.map(|one| one.run(&lab)).collect::<Result<_>>()?;
    let mut file = Vec::new();
    lab.sniffer(Place::Client).write_pcap(&mut file)?;
    let mut resets = Vec::new();
    for frame in &read_pcap(&file) {
        if let Some(TransportSlice::Tcp(tcp)) = SlicedPacket::from_ethernet(frame)?.transport
            && tcp.rst()
        {
            resets.push((tcp.source_port(), tcp.sequence_number(), tcp.acknowledgment_number()));
        }
    }
    let sniffer = lab.sniffer(Place::Client);
    let ours = truths.iter().flat_map(|truth| sniffer.segments(truth.subject()));
    let ours = ours.map(|one| one.segment).filter(|segment| segment.has(RST));
    let ours: Vec<_> = ours.map(|one| (one.src.port(), one.seq, one.ack)).collect();
    assert_eq!(resets.len(), truths.len(), "one for each family");
    assert_eq!(ours, resets);
    Ok(())
}

/// The frames of a pcap file of this machine's byte order.
fn read_pcap(file: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(file[..4], 0xa1b2_3c4d_u32.to_ne_bytes(), "nanosecond pcap");
    let (mut rest, mut frames) = (&file[24..], Vec::new());
    while let Some((header, after)) = rest.split_at_checked(16) {
        let length = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]) as usize;
        assert_eq!(header[8..12], header[12..16], "nothing was cut off");
        frames.push(after[..length].to_vec());
        rest = &after[length..];
    }
    assert!(rest.is_empty(), "the file ends with a whole frame");
    frames
}

#[test]
fn a_scenario_can_be_repeated_because_it_takes_its_rules_away() -> Result<()> {
    if !root() {
        return Ok(());
    }
    let lab = Lab::new()?;
    for scenario in catalogue().iter().filter(|one| one.id == "nft_reject_router_midstream") {
        for _ in 0..2 {
            match scenario.run(&lab) {
                Err(error) if code_of(&error) == Code::UNAVAILABLE => {
                    skipped(&format!("{error:#}"));
                }
                result => check(&lab, &result?)?,
            }
        }
    }
    Ok(())
}

#[test]
fn a_sysctl_is_set_in_its_namespace_only_and_a_guard_leads_home() -> Result<()> {
    if !root() {
        return Ok(());
    }
    let inode = || fs::read_link("/proc/thread-self/ns/net");
    let ttl = || fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl");
    let (home, before) = (inode()?, ttl()?);
    let away = Netns::new("away")?;
    away.set_sysctl("net/ipv4/ip_default_ttl", "77")?;
    {
        let _inside = away.enter()?;
        assert_eq!(inode()?.to_string_lossy(), format!("net:[{}]", away.inode()));
        assert_eq!(ttl()?.trim(), "77");
    }
    assert_eq!((inode()?, ttl()?), (home, before));
    Ok(())
}

/// Tells the child process below where to plug its witness cable in.
const WITNESS: &str = "RST_TRACER_LAB_WITNESS";

#[test]
fn a_killed_process_leaves_no_namespace_and_no_interface_behind() -> Result<()> {
    if !root() {
        return Ok(());
    }
    // The child lays a cable from each of its hosts to here: when the kernel takes the child's
    // namespaces down, our ends of the cables go with them.
    let witness = Netns::new("witness")?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), witness.fd().as_raw_fd());
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "child_that_waits_to_be_killed", "--ignored", "--nocapture"])
        .env(WITNESS, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(child.stdout.take().context("a pipe from the child")?).lines();
    let ready = lines.map_while(Result::ok).find(|line| line.contains("namespaces:"));
    let ready = ready.context("the child built no laboratory")?;
    let inodes: Vec<&str> =
        ready.split("namespaces:").nth(1).unwrap_or_default().split_whitespace().collect();
    let cables = || {
        witness.run(|| {
            let names = HOSTS.map(|host| format!("to_{host}"));
            Ok(names.into_iter().filter(|name| if_nametoindex(name.as_str()).is_ok()).count())
        })
    };
    assert_eq!((inodes.len(), cables()?), (3, 3), "all is there while the child lives");

    child.kill()?; // SIGKILL
    child.wait()?;
    wait::until("the child's namespaces to end", || Ok(cables()? == 0))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    for inode in inodes {
        assert!(!mounts.contains(&format!("net:[{inode}]")), "a mount holds namespace {inode}");
    }
    Ok(())
}

const HOSTS: [&str; 3] = ["client", "router", "server"];

#[test]
#[ignore = "the child of the test above; of no use alone"]
fn child_that_waits_to_be_killed() -> Result<()> {
    let Ok(path) = std::env::var(WITNESS) else { return Ok(()) };
    let lab = Lab::new()?;
    let witness = Netns::open("witness", path)?;
    for host in [&lab.client, &lab.router, &lab.server] {
        topology::connect((host, "extra0"), (&witness, &format!("to_{}", host.name())))?;
    }
    let one = |id| catalogue().into_iter().find(|one| one.id == id).context("in the catalogue");
    let (reject, keepalive) = (one("nft_reject_router_midstream")?, one("keepalive_timeout")?);
    thread::scope(|scope| {
        // It waits for seconds behind a rule that loses everything: when killed, the sockets it
        // leaves cannot reach each other to end in order.
        scope.spawn(|| keepalive.run(&lab));
        reject.run(&lab).map_err(|error| skipped(&format!("{error:#}"))).ok();
        let [a, b, c] = [&lab.client, &lab.router, &lab.server].map(Netns::inode);
        println!("namespaces: {a} {b} {c}");
        // Until killed, or until the parent is gone.
        io::stdin().read_line(&mut String::new()).map(|_| ())
    })?;
    Ok(())
}
