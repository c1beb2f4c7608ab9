//! Where it traces and what of it is told: another namespace, one direction, hidden tags, and what would be done.

use std::{
    os::fd::AsRawFd,
    process::{Child, Command},
};

use rst_tracer::demo::sockets;
use rst_tracer_tests::tracer::{Ended, Tracer, command, run};
use serde_json::Value;

use crate::pair::{Pair, lines, of_type};

/// A process that stands in the traced namespace; it ends with the test.
struct Sleeper(Child);

impl Sleeper {
    fn in_namespace_of(pair: &Pair) -> Self {
        let sleeper = pair.here.run(|| Ok(Command::new("sleep").arg("300").spawn()?));
        Self(sleeper.expect("it sleeps"))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Resets one connection from here and one from there, and ends the tracer.
fn one_each_way(pair: &Pair, tracer: Tracer, told: usize) -> Ended {
    let mut talks = pair.talks(2);
    let (client, _server) = talks.remove(0);
    sockets::abort(client).expect("it comes in");
    let (_client, server) = talks.remove(0);
    sockets::abort(server).expect("it goes out");
    tracer.out.await_count(told);
    let ended = tracer.interrupt();
    ended.assert_code(0);
    ended.summary().assert_balanced();
    ended
}

#[test]
fn another_namespace_is_traced_from_outside() {
    let Some(pair) = Pair::beside_others() else { return };
    let sleeper = Sleeper::in_namespace_of(&pair);
    let descriptor = format!("/proc/{}/fd/{}", std::process::id(), pair.here.fd().as_raw_fd());
    for netns in [descriptor, sleeper.0.id().to_string()] {
        let arguments = ["--netns", &netns, "-i", "h0", "--settle", "0s"];
        let ended = one_each_way(&pair, Tracer::trace(&arguments), 2);
        for event in of_type(&lines(&ended), "rst") {
            assert_eq!(event["interface"], "h0", "{event:#}");
            assert_eq!(event["netns"], pair.here.inode(), "{event:#}");
        }
        let planned = run(&["trace", "--dry-run", "--netns", &netns]);
        planned.assert_code(0);
        assert!(planned.out.concat().contains("h0 (veth): ingress tcx"), "{planned:#?}");
        let examined = run(&["doctor", "--json", "--netns", &netns]);
        let report: Value = serde_json::from_str(&examined.out.concat()).expect("JSON");
        let names: Vec<_> = report["interfaces"].as_array().expect("a list").iter().collect();
        assert!(names.iter().any(|one| one["name"] == "h0"), "{report:#}");
    }
    let ended = run(&["trace", "--netns", "no-such-namespace"]);
    ended.assert_code(1);
    assert!(ended.said("`ip netns list` says which there are"), "{ended:#?}");
}

#[test]
fn one_direction_is_told_and_the_other_is_filtered() {
    let Some(pair) = Pair::beside_others() else { return };
    for mode in ["auto", "native", "off"] {
        for (way, direction) in [("in", "ingress"), ("out", "egress")] {
            let ended = one_each_way(&pair, pair.trace(&["-Q", way, "--xdp-mode", mode]), 1);
            let lines = lines(&ended);
            let [event] = of_type(&lines, "rst")[..] else { panic!("one event: {ended:#?}") };
            assert_eq!(event["direction"], direction, "{mode}: {event:#}");
            assert!(event["flow"]["client"]["packets"].as_u64() > Some(1), "both are tracked");
            assert!(event["flow"]["server"]["packets"].as_u64() > Some(0), "both are tracked");
            assert_eq!(ended.summary().count("filtered"), 1, "{ended:#?}");
        }
    }
    let ended = one_each_way(&pair, pair.trace(&["-Q", "inout"]), 2);
    assert_eq!(of_type(&lines(&ended), "rst").len(), 2);
}

#[test]
fn tags_that_the_card_hides_are_said_to_be_hidden() {
    let Some(pair) = Pair::beside_others() else { return };
    let told = |mode: &str, said: bool| {
        let arguments = ["--heartbeat", "50ms", "--xdp-mode", mode];
        let tracer = pair.trace(&arguments);
        tracer.out.await_count(2);
        let ended = tracer.interrupt();
        let lines = lines(&ended);
        let visible = of_type(&lines, "stats")[0].get("vlan_visible").and_then(Value::as_bool);
        assert_eq!(visible, said.then_some(false), "{mode}: {ended:#?}");
        let times =
            ended.err.iter().filter(|line| line.contains("rx-vlan-offload removes")).count();
        assert_eq!(times, usize::from(said), "{ended:#?}");
    };
    told("native", true);
    told("off", false);
    let set = |state| {
        let ethtool =
            || Ok(Command::new("ethtool").args(["-K", "h0", "rxvlan", state]).status()?);
        assert!(pair.here.run(ethtool).expect("ethtool is installed").success());
    };
    set("off");
    told("native", false);
}

#[test]
fn what_would_be_done_is_said_and_not_done() {
    let Some(pair) = Pair::beside_others() else { return };
    let planned = |arguments: &[&str]| {
        let all = [&["trace", "--dry-run", "--flows", "1000", "--ring-size", "4"], arguments];
        let all = all.concat();
        let plan = || Ok(Tracer::spawn(&mut command(&all)).wait());
        pair.here.run(plan).expect("it plans")
    };
    let ended = planned(&["--exclude", "lo"]);
    ended.assert_code(0);
    let text = ended.out.join("\n");
    for line in [
        "nothing is attached: this is what `trace` would do",
        "  h0 (veth): ingress tcx (native XDP on a veth would switch off TSO at its peer), egress tcx",
        "to remember 1024 connections, 968 bytes each (--flows 1024)",
        "(--ring-size 4",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
    assert!(!text.contains("  lo ("), "{text}");
    let native = planned(&["--xdp-mode", "native", "-i", "h0"]);
    assert!(
        native.out.concat().contains("h0 (veth): ingress native XDP, egress tcx"),
        "{native:#?}"
    );
    let none = planned(&["-i", "no-such0"]);
    none.assert_code(1);
    assert!(none.said("no-such0"), "{none:#?}");
    let programs = pair.here.run(|| Ok(Command::new("ip").args(["-d", "link"]).output()?));
    let programs = String::from_utf8(programs.expect("ip is installed").stdout).expect("UTF-8");
    assert!(!programs.contains("xdp"), "something was attached: {programs}");
}
