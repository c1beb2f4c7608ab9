//! The laboratory tells the truth: every scenario's resets pass where they must and nowhere else.
//!
//! Needs root. What is checked are the witnesses on the wire, with etherparse as a second reader;
//! no part of the tracer takes part.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use etherparse::{SlicedPacket, TransportSlice};
use nix::net::if_::if_nametoindex;
use rst_tracer::demo::frame::RST;
use rst_tracer::demo::lab::{Lab, Place};
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::scenarios::{Scenario, catalogue, run_all};
use rst_tracer::demo::topology;
use rst_tracer::demo::truth::GroundTruth;
use rst_tracer::demo::wait;
use rst_tracer::exit::{Code, code_of};
use rst_tracer_tests::laboratory::check::check;
use rst_tracer_tests::skip::skipped;

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
    run_all(&lab, &catalogue(), 1, |scenario, result| {
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
