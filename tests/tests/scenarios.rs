//! The demo's scenarios, over IPv4 and IPv6, seen from the client, the router and the server.
//!
//! Every RST on the wire, counted independently by AF_PACKET sockets, is exactly one event with
//! the right sender, client, server and stage. Real sockets, real kernel, real firewall rules.

use std::collections::BTreeMap;

use rst_tracer::{
    correlate::Rules,
    demo::{
        compare::{Comparison, Vantage},
        lab::Lab,
        scenarios::{Scenario, catalogue, run_all},
        truth::{Connection, GroundTruth, Sender, Side},
        watch::{Watched, Watching},
    },
    event::{Endpoint, Event, Initiator, LocalRole, RstEvent, SentBy, Stage},
    sink::{self, JsonSink, Sink},
    source::live::{self, attach::XdpMode, kernel, rings::Cut},
};

fn options(xdp_mode: XdpMode) -> live::Options {
    live::Options {
        interfaces: Default::default(),
        xdp_mode,
        kernel: kernel::Options::all_told(8192, Cut::for_this_host(4 << 20))
            .expect("random numbers"),
        scope: Default::default(),
        object: None,
    }
}

#[test]
fn every_reset_is_one_event_from_every_point_of_view() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: the scenarios need root for namespaces and BPF");
        return;
    }
    let lab = Lab::new().expect("the laboratory");
    let modes = [XdpMode::Auto, XdpMode::Native, XdpMode::Off];
    let watching: Vec<(Vantage, Watching)> = Vantage::ALL
        .into_iter()
        .zip(modes)
        .map(|(vantage, mode)| {
            let netns = vantage.netns(&lab);
            (vantage, Watching::start(netns, options(mode), Rules::default()).expect("a tracer"))
        })
        .collect();
    let scenarios = catalogue();
    let mut truths = Vec::new();
    run_all(&lab, &scenarios, 1, |scenario, truth| {
        truths.push((scenario.clone(), truth.expect("the scenario plays")));
    });
    let mut wrong = Vec::new();
    for (vantage, watching) in watching {
        let watched = watching.finish().expect("the tracer ends well");
        check_sums(vantage, &watched, &mut wrong);
        for (scenario, truth) in &truths {
            check_scenario(&lab, vantage, scenario, truth, &watched.events, &mut wrong);
        }
        check_strangers(vantage, &truths, &watched.events, &mut wrong);
        check_lines(vantage, &watched.events, &mut wrong);
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// *sum of events + merged + suppressed + lost = RSTs seen*, and segments likewise.
fn check_sums(vantage: Vantage, watched: &Watched, wrong: &mut Vec<String>) {
    let stats = watched.summary.to_event(rst_tracer::event::Timestamp(0), "");
    if !stats.balanced() || stats.pending + stats.suppressed + stats.lost > 0 {
        wrong.push(format!("{vantage:?}: the sums do not add up: {stats:?}"));
    }
    if stats.events != watched.events.len() as u64 || stats.malformed > 0 {
        wrong.push(format!("{vantage:?}: {stats:?}"));
    }
}

fn check_scenario(
    lab: &Lab,
    vantage: Vantage,
    scenario: &Scenario,
    truth: &GroundTruth,
    events: &[RstEvent],
    wrong: &mut Vec<String>,
) {
    let name = format!("{} {} from the {vantage:?}", scenario.id, scenario.family);
    for connection in &truth.connections {
        let comparison = Comparison::of(connection, vantage, lab, events);
        if let Some(miscount) = comparison.miscount() {
            wrong.push(format!("{name}: {miscount}"));
            continue;
        }
        for (reset, event) in comparison.expected.iter().zip(&comparison.events) {
            let claimed = reset.sender.claimed();
            let mut expect = |what: &str, holds: bool| {
                if !holds {
                    wrong.push(format!("{name}: {what}: expected {reset:?} got {}", told(event)));
                }
            };
            let source = Endpoint::from(connection.address(claimed));
            expect("source", event.src == source);
            if let Some((client, server)) = event.client.zip(event.server) {
                let right = (connection.client.into(), connection.server.into());
                expect("client and server", (client, server) == right);
                let sent_by = if claimed == Side::Client { SentBy::Client } else { SentBy::Server };
                expect("sender", event.sent_by == sent_by);
                expect("end reason", event.session_end_reason == sent_by.session_end_reason());
            } else {
                expect("sender without sides", event.sent_by == SentBy::Unknown);
            }
            expect("role", role_fits(vantage, reset.sender, event.local_role));
        }
        check_stages(vantage, &name, connection, &comparison, wrong);
    }
}

/// Where the opening handshake passes, the sides must be known from it and the stage be exact.
fn check_stages(
    vantage: Vantage,
    name: &str,
    connection: &Connection,
    comparison: &Comparison<'_>,
    wrong: &mut Vec<String>,
) {
    for (reset, event) in comparison.expected.iter().zip(&comparison.events) {
        let stage = event.stage.id();
        // The truth is that of the client's side. What a rule of the router ate is not seen by the
        // server, so that a stage seen there may lag behind; it is checked where it must agree.
        let agrees = stage == reset.stage.name();
        let all_passes_here = vantage != Vantage::Server
            || connection.resets.iter().all(|r| !matches!(r.sender, Sender::RouterOnBehalfOf(_)));
        if !agrees && all_passes_here {
            wrong.push(format!("{name}: stage {stage}, expected {}", reset.stage.name()));
        }
        let handshake = event.stage != Stage::NoFlow;
        if handshake && !matches!(event.initiator, Initiator::Syn | Initiator::SynAck) {
            wrong.push(format!("{name}: initiator {} after a handshake", event.initiator.id()));
        }
    }
}

fn role_fits(vantage: Vantage, sender: Sender, role: LocalRole) -> bool {
    let expected = match (vantage, sender) {
        (Vantage::Router, Sender::RouterOnBehalfOf(_)) => LocalRole::Sender,
        (Vantage::Router, _) => LocalRole::Forwarder,
        (Vantage::Client, Sender::Client) | (Vantage::Server, Sender::Server) => LocalRole::Sender,
        _ => LocalRole::Receiver,
    };
    role == expected
}

/// No event is about a connection that nobody made.
fn check_strangers(
    vantage: Vantage,
    truths: &[(Scenario, GroundTruth)],
    events: &[RstEvent],
    wrong: &mut Vec<String>,
) {
    let mut known = BTreeMap::new();
    for (scenario, truth) in truths {
        for connection in &truth.connections {
            let (a, b) = (Endpoint::from(connection.client), Endpoint::from(connection.server));
            known.insert((a, b), scenario.id);
            known.insert((b, a), scenario.id);
        }
    }
    for event in events {
        if !known.contains_key(&(event.src, event.dst)) {
            wrong.push(format!("{vantage:?}: an event out of nowhere: {}", told(event)));
        }
    }
}

/// Every event, as the JSON line that it would be, satisfies the published schema.
fn check_lines(vantage: Vantage, events: &[RstEvent], wrong: &mut Vec<String>) {
    let schema = jsonschema::validator_for(&sink::schema()).expect("the schema is one");
    let mut lines = Vec::new();
    let mut sink = JsonSink::new(&mut lines);
    for event in events {
        sink.write(&Event::from(event.clone())).expect("memory takes it");
    }
    sink.flush().expect("memory takes it");
    drop(sink);
    let mut count = 0;
    for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        count += 1;
        let value = serde_json::from_slice(line).expect("a line of JSON");
        for error in schema.iter_errors(&value) {
            wrong.push(format!("{vantage:?}: {error} in {}", String::from_utf8_lossy(line)));
        }
    }
    if count != events.len() {
        wrong.push(format!("{vantage:?}: {count} lines of {} events", events.len()));
    }
}

/// An event as the JSON line that it would be.
fn told(event: &RstEvent) -> String {
    serde_json::to_string(event).unwrap_or_else(|error| error.to_string())
}
