//! One reset is one event, however many hooks it passes.

use std::io::Write;

use rst_tracer::demo::{lab::Lab, scenarios::catalogue};
use rst_tracer_tests::{capture::refused, skip::skipped, tracer::Tracer};
use serde_json::Value;

use crate::{
    net::{in_namespace, set_up, tun, veth},
    resets::{refuse_on_loopback, refuse_through},
};

#[test]
fn a_reset_on_loopback_is_one_event() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["--settle", "0s"]);
        refuse_on_loopback(1);
        tracer.out.await_count(1);
        let ended = tracer.interrupt();
        ended.assert_code(0);
        let summary = ended.summary();
        assert_eq!((summary.count("resets"), summary.count("events")), (1, 1), "{ended:#?}");
        assert_eq!(summary.count("segments"), 2, "the SYN and the RST: {ended:#?}");
        assert_eq!(ended.out.len(), 1);
    });
}

#[test]
fn a_reset_through_a_veth_pair_in_one_namespace_is_one_event() {
    in_namespace(|| {
        veth("v0", "v1");
        let tracer = Tracer::trace(&["-i", "v*", "--settle", "0s"]);
        refuse_through("v0", 5000);
        tracer.out.await_count(1);
        let ended = tracer.interrupt();
        ended.assert_code(0);
        let summary = ended.summary();
        assert_eq!(summary.count("resets"), 2, "out of v0 and into v1: {ended:#?}");
        assert_eq!((summary.count("events"), summary.count("further sightings")), (1, 1));
        assert_eq!(ended.out.len(), 1);
    });
}

#[test]
fn a_reset_that_a_router_forwards_is_one_event_seen_twice() {
    if !nix::unistd::geteuid().is_root() {
        skipped("needs root for a laboratory of network namespaces");
        return;
    }
    let lab = Lab::new().expect("a laboratory");
    let tracer = lab.router.run(|| Ok(Tracer::trace(&["--settle", "0s"]))).expect("it traces");
    let closed: Vec<_> = catalogue().into_iter().filter(|one| one.id == "closed_port").collect();
    let wanted: Vec<u16> = closed.iter().map(|scenario| scenario.port()).collect();
    for scenario in &closed {
        scenario.run(&lab).expect("refused");
    }
    let lines = tracer.out.await_count(wanted.len());
    let ports: Vec<_> = lines.iter().map(|line| server_port(line)).collect();
    assert_eq!(ports, wanted);
    let ended = tracer.interrupt();
    ended.assert_code(0);
    let (summary, count) = (ended.summary(), wanted.len() as u64);
    assert_eq!(summary.count("resets"), 2 * count, "into s0 and out of c0: {ended:#?}");
    assert_eq!((summary.count("events"), summary.count("further sightings")), (count, count));
    summary.assert_balanced();
}

/// The port of the server, which sent the reset.
fn server_port(line: &str) -> u16 {
    let event: Value = serde_json::from_str(line).expect("JSON");
    event["src"]["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port")
}

#[test]
fn a_reset_from_a_device_without_ethernet_comes_from_traffic_control() {
    in_namespace(|| {
        const ETHERNET: usize = 14;
        let (mut device, _) = tun("tun0");
        let tracer = Tracer::trace(&["--settle", "0s", "--stats", "50ms"]);
        for segment in refused("192.0.2.1:5000", "192.0.2.2:443") {
            device.write_all(&segment.to_frame()[ETHERNET..]).expect("the device takes it");
        }
        let event = tracer.out.await_line("an event", |line| line.contains(r#""type":"rst""#));
        assert_eq!(server_port(&event), 443);
        let stats = tracer.out.await_line("statistics with both segments", |line| {
            line.contains(r#""type":"stats""#) && line.contains(r#""events":1,"#)
        });
        let stats: Value = serde_json::from_str(&stats).expect("JSON");
        let hooks = stats["hooks"].as_array().expect("a list");
        let seen: Vec<_> = hooks.iter().filter(|hook| hook["segments"] != 0).collect();
        assert_eq!(seen.len(), 1, "{stats}");
        assert_eq!((&seen[0]["hook"], &seen[0]["segments"]), (&"tc_ingress".into(), &2.into()));
        tracer.interrupt().summary().assert_balanced();
    });
}
