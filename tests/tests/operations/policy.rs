//! A policy file, live: a firewall that acts as it says, and then does not; and what HUP changes.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
};

use nix::sys::signal::Signal;
use rst_tracer::demo::{
    nft::{Hook, Only, Port, Rule, Table, Verdict},
    sniffer::Sniffer,
    sockets,
    truth::Family,
};
use rst_tracer_tests::{
    capture::Folder,
    tracer::{Tracer, run},
};
use serde_json::{Value, json};

use crate::{
    findings::begun,
    net::{in_namespace, set_up},
    pair::{HERE, Pair, lines, of_type},
    resets::refuse_on_loopback,
};

const POLICY: &[u8] = br#"
[[rule]]
name = "guests-to-database"
match = { client = "10.77.0.2", server = "10.77.0.1", port = 5432 }
expect = "denied"

[[rule]]
name = "nothing-is-forged"
match = { origin = "middlebox_proven" }
expect = "never"
"#;

fn database() -> SocketAddr {
    (IpAddr::from(HERE), 5432).into()
}

/// The firewall of the traced host.
fn wall(pair: &Pair) -> Table {
    let rule = Rule {
        family: Family::V4,
        port: Port::To(5432),
        only: Only::Any,
        verdict: Verdict::Reject,
    };
    Table::install(&pair.here, "policy", Hook::Input, &[rule]).expect("the rule is in force")
}

/// Guests ask the database, which nobody answers.
fn refused(pair: &Pair) {
    pair.there
        .run(|| Ok(TcpStream::connect(database()).map(drop).expect_err("refused")))
        .expect("asked");
}

/// A guest talks with the database, which then hangs up.
fn served(pair: &Pair) {
    let listener = pair.here.run(|| Ok(TcpListener::bind(database())?)).expect("it listens");
    let mut guest = pair.there.run(|| Ok(TcpStream::connect(database())?)).expect("let in");
    let mut server = sockets::accept(&listener).expect("accepted");
    guest.write_all(b"SELECT 1").expect("sent");
    sockets::hear(&server, b"SELECT 1").expect("heard");
    server.write_all(b"1 1").expect("sent");
    sockets::hear(&guest, b"1 1").expect("heard");
    sockets::abort(server).expect("reset");
}

/// The rows about policies of the last summary.
fn told(lines: &[String]) -> Vec<&str> {
    let rules = lines.iter().filter_map(|line| line.strip_prefix("summary: policy "));
    rules.map(|line| line.split(", last ").next().unwrap_or_default()).collect()
}

#[test]
fn a_firewall_that_stops_acting_violates_the_policy() {
    let Some(pair) = Pair::beside_others() else { return };
    let folder = Folder::new();
    let policy = folder.file("policy.toml", POLICY);
    let sniffer = Sniffer::start(&pair.there, "t0").expect("it records");
    let tracer = pair.trace(&["--policy", &policy]);
    let wall = wall(&pair);
    (0..3).for_each(|_| refused(&pair));
    tracer.out.await_count(3);
    drop(wall);
    refused(&pair);
    let first = begun(&tracer, "policy_violation");
    served(&pair);
    tracer.out.await_count(6);
    let ended = tracer.interrupt();
    ended.assert_code(0);
    ended.summary().assert_balanced();

    let lines = lines(&ended);
    let resets = of_type(&lines, "rst");
    let of = |event: &Value| event["policy"].clone();
    let acted =
        json!({ "rule": "guests-to-database", "expect": "denied", "verdict": "as_configured" });
    for event in &resets[..3] {
        assert_eq!((of(event), &event["cause"]), (acted.clone(), &"host_firewall_reject".into()));
    }
    let violated = |event: &Value| {
        assert_eq!(event["policy"]["verdict"], "violated", "{event:#}");
        event["policy"]["text"].as_str().expect("why").to_owned()
    };
    let got_to_host = violated(resets[3]);
    assert!(
        got_to_host.starts_with("it got through to the host, whose own reset this is: closed port"),
        "{got_to_host}"
    );
    assert_eq!(
        violated(resets[4]),
        "the connection got through: 3 bytes of data had come back from the server"
    );
    assert_eq!(resets.len(), 5, "{resets:#?}");

    let findings = of_type(&lines, "finding");
    let [_, over] = findings[..] else { panic!("{findings:#?}") };
    assert_eq!((&over["id"], &over["state"]), (&first["id"], &"over".into()));
    assert_eq!((&over["rule"], &over["severity"]), (&"guests-to-database".into(), &"high".into()));
    assert_eq!(
        (&over["counts"]["rsts"], &over["sources"][0]["ip"]),
        (&2.into(), &"10.77.0.2".into())
    );
    let rules = [
        "guests-to-database (denied): 5 resets, 3 as configured, 2 violated",
        "nothing-is-forged (never): no reset",
    ];
    assert_eq!(told(&ended.err), rules, "{ended:#?}");
    replayed(&folder, &sniffer, &policy);
}

/// The same as the guest's host saw it: what IPv4 alone cannot tell is not told, and what came back is.
fn replayed(folder: &Folder, sniffer: &Sniffer, policy: &str) {
    let mut capture = Vec::new();
    sniffer.write_pcap(&mut capture).expect("recorded");
    let file = folder.file("guest.pcap", &capture);
    let ended = run(&["replay", &file, "--format", "json", "--policy", policy, "--stats"]);
    ended.assert_code(0);
    let lines = lines(&ended);
    let verdicts: Vec<_> =
        of_type(&lines, "rst").iter().map(|event| event["policy"]["verdict"].clone()).collect();
    assert_eq!(verdicts, ["unclear", "unclear", "unclear", "unclear", "violated"], "{lines:#?}");
    let rules = [
        "guests-to-database (denied): 5 resets, 1 violated, 4 unclear",
        "nothing-is-forged (never): no reset",
    ];
    assert_eq!(told(&ended.err), rules, "{ended:#?}");
    let stats = of_type(&lines, "stats");
    let [denied, never] = &stats[0]["policy"].as_array().expect("two rules")[..] else {
        panic!("{stats:#?}")
    };
    assert_eq!((&denied["violated"], &denied["unclear"]), (&1.into(), &4.into()), "{denied:#}");
    assert!(denied["last"].is_string() && denied.get("as_configured").is_none(), "{denied:#}");
    assert_eq!(*never, json!({ "rule": "nothing-is-forged", "expect": "never", "rsts": 0 }));
}

#[test]
fn hup_reads_the_policy_anew_and_a_wrong_one_changes_nothing() {
    in_namespace(|| {
        set_up("lo");
        let folder = Folder::new();
        let rule = |expect| {
            format!("[[rule]]\nname = \"lo\"\nmatch = {{ port = 1 }}\nexpect = \"{expect}\"\n")
        };
        let file = folder.file("policy.toml", rule("harmless").as_bytes());
        let tracer = Tracer::trace(&["--settle", "0s", "--policy", &file]);
        let verdict = |lines: usize| {
            refuse_on_loopback(1);
            let all = tracer.out.await_count(lines);
            let mut events =
                all.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            let last = events.rfind(|line| line["type"] == "rst").expect("a reset");
            last["policy"]["verdict"].clone()
        };
        assert_eq!(verdict(1), "expected");

        std::fs::write(&file, rule("never")).expect("written");
        tracer.signal(Signal::SIGHUP);
        tracer.err.await_line("the rules", |line| line == "policy: one rule is in force");
        // With the finding.
        assert_eq!(verdict(3), "violated");

        std::fs::write(&file, "[[rule]]\nnmae = \"lo\"\n").expect("written");
        tracer.signal(Signal::SIGHUP);
        let wrong = format!(
            "{file}:2: there is no key `nmae` here; did you mean `name`?; the rules in force stay"
        );
        tracer.err.await_line("the mistake", |line| line.ends_with(&wrong));
        assert_eq!(verdict(4), "violated");

        let ended = tracer.interrupt();
        ended.assert_code(0);
        assert_eq!(told(&ended.err), ["lo (never): 2 resets, 2 violated"], "{ended:#?}");
    });
}
