use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Instant,
};

use rst_tracer_common::{event::Hook, notice::Statements, wire::NotOurs};

use super::{http, *};
use crate::{
    event::{Event, samples},
    run::{Summary, Tally},
    source::live::attach::How,
};

fn sample() -> RstEvent {
    let Event::Rst(event) = samples::unread_data() else { panic!("another event") };
    *event
}

fn look() -> Look {
    let tally = Tally { events: 2, filtered: 1, repeated: 1, merged: 1, pending: 1 };
    let mut summary = Summary {
        tally,
        hooks: Default::default(),
        statements: Statements::default(),
        hides_vlan: false,
        outputs: Vec::new(),
        policy: Vec::new(),
        is_over: false,
    };
    let hook = &mut summary.hooks[usize::from(Hook::XDP.0)];
    (hook.frames, hook.segments, hook.rsts, hook.delivered) = (20, 10, 9, 6);
    (hook.suppressed, hook.ring_full, hook.flows, hook.evicted_finished) = (2, 1, 7, 3);
    (hook.tracked, hook.malformed[0]) = (1, 4);
    hook.not_ours[NotOurs::GtpU as usize] = 3;
    let eth0 =
        Interface { name: "eth0".into(), ingress: Some(How::NativeXdp), egress: How::Nothing };
    let lo = Interface { name: "lo".into(), ingress: None, egress: How::Tcx };
    let interfaces = vec![eth0, lo];
    Look { time_ns: 1_500_000_000, summary, interfaces, table_size: 64, undecoded: 0 }
}

/// With one event, one output and one look.
fn metrics() -> Metrics {
    let metrics = Metrics::default();
    metrics.count(&sample(), Duration::from_millis(70));
    metrics.set_output("events", 2, 3);
    metrics.look(look());
    metrics
}

fn get(metrics: &Metrics, request: &str) -> String {
    String::from_utf8(http::answer(request.as_bytes(), metrics).to_bytes()).unwrap()
}

#[test]
fn everything_that_was_counted_is_told() {
    let text = metrics().scrape(Format::Prometheus).unwrap();
    for line in [
        "rst_tracer_frames_total{hook=\"xdp\"} 20",
        "rst_tracer_packets_total{hook=\"xdp\"} 10",
        "rst_tracer_packets_total{hook=\"tc_egress\"} 0",
        "rst_tracer_segments_tracked_total{hook=\"xdp\"} 1",
        "rst_tracer_segments_untracked_total{hook=\"xdp\",kind=\"reset\"} 9",
        "rst_tracer_segments_untracked_total{hook=\"tc_ingress\",kind=\"second_sighting\"} 0",
        "rst_tracer_resets_seen_total{hook=\"xdp\"} 9",
        "rst_tracer_kernel_resets_total{hook=\"xdp\",outcome=\"delivered\"} 6",
        "rst_tracer_kernel_resets_total{hook=\"xdp\",outcome=\"suppressed\"} 2",
        "rst_tracer_kernel_resets_total{hook=\"xdp\",outcome=\"ring_full\"} 1",
        "rst_tracer_resets_total{outcome=\"event\"} 2",
        "rst_tracer_resets_total{outcome=\"suppressed\"} 2",
        "rst_tracer_resets_total{outcome=\"lost\"} 1",
        "rst_tracer_resets_pending 2",
        "rst_tracer_resets_repeated_total 1",
        "rst_tracer_events_lost_total{stage=\"ring\"} 1",
        "rst_tracer_events_lost_total{stage=\"output\"} 3",
        "rst_tracer_output_written_total{output=\"events\"} 2",
        "rst_tracer_malformed_total{kind=\"truncated\"} 4",
        "rst_tracer_frames_skipped_total{kind=\"gtp_u\"} 3",
        "rst_tracer_frames_skipped_total{kind=\"erspan\"} 0",
        "rst_tracer_flow_table_size 64",
        "rst_tracer_flow_table_flows 4",
        "rst_tracer_interface_attached{iface=\"eth0\",direction=\"ingress\",mode=\"native_xdp\"} 1",
        "rst_tracer_interface_attached{iface=\"eth0\",direction=\"egress\",mode=\"nothing\"} 0",
        "rst_tracer_interface_attached{iface=\"lo\",direction=\"egress\",mode=\"tcx\"} 1",
        "rst_tracer_settle_seconds_bucket{le=\"0.05\"} 0",
        "rst_tracer_settle_seconds_bucket{le=\"0.1\"} 1",
        "rst_tracer_look_timestamp_seconds 1.5",
        concat!("rst_tracer_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(text.lines().any(|it| it == line), "no {line} in\n{text}");
    }
    assert!(!text.contains("iface=\"lo\",direction=\"ingress\""), "nothing is missing there");
    let event = text.lines().find(|line| line.starts_with("rst_tracer_events_total{")).unwrap();
    let sample = sample();
    for label in [sample.class.id(), sample.cause.id(), sample.severity.id()] {
        assert!(event.contains(&format!("\"{label}\"")), "no {label} in {event}");
    }
    assert!(!text.contains(&sample.src.ip.to_string()), "no address is a label");
}

#[test]
fn names_of_interfaces_are_bounded() {
    let metrics = Metrics::default();
    let mut event = sample();
    for number in 0..1000 {
        event.interface = Some(format!("veth{number}"));
        metrics.count(&event, Duration::ZERO);
    }
    let text = metrics.scrape(Format::Prometheus).unwrap();
    let series = text.lines().filter(|line| line.starts_with("rst_tracer_events_total{"));
    assert_eq!(series.count(), MOST_NAMES + 1);
    let others = 1000 - MOST_NAMES;
    assert!(
        text.lines().any(|line| {
            line.contains("iface=\"other\"") && line.ends_with(&format!(" {others}"))
        })
    );
}

#[test]
fn the_format_is_what_was_asked_for() {
    let metrics = metrics();
    let plain = get(&metrics, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(plain.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"));
    assert!(!plain.contains("# EOF"));
    let accept = "ACCEPT: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let open = get(&metrics, &format!("GET /metrics?a=b HTTP/1.1\r\n{accept}\r\n\r\n"));
    assert!(open.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text"));
    assert!(open.ends_with("# EOF\n"));
}

#[test]
fn what_is_no_request_for_metrics_is_told_so() {
    let metrics = metrics();
    for (request, status) in [
        ("GET /healthz HTTP/1.1\r\n\r\n", "200 OK"),
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("POST /elsewhere HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        ("HEAD /healthz HTTP/1.0\r\n\r\n", "200 OK"),
        ("HEAD / HTTP/1.0\r\n\r\n", "404 Not Found"),
        ("GET /metrics\r\n\r\n", "400 Bad Request"),
        ("GET /metrics HTTP/2\r\n\r\n", "400 Bad Request"),
        ("GET /metrics HTTP/1.1 or so\r\n\r\n", "400 Bad Request"),
        ("\u{1}\u{2}\u{0}", "400 Bad Request"),
        ("", "400 Bad Request"),
    ] {
        let answer = get(&metrics, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request:?}: {answer}");
    }
}

#[test]
fn head_is_answered_as_get_is_without_the_body() {
    let metrics = metrics();
    for path in ["/healthz", "/metrics", "/elsewhere"] {
        let [got, head] = ["GET", "HEAD"]
            .map(|method| get(&metrics, &format!("{method} {path} HTTP/1.1\r\n\r\n")));
        let (headers, body) = got.split_once("\r\n\r\n").unwrap();
        assert!(!body.is_empty());
        assert_eq!(head, format!("{headers}\r\n\r\n"));
    }
}

#[test]
fn a_trace_that_stands_still_is_not_healthy() {
    let metrics = Metrics::default();
    assert!(metrics.health().is_err(), "nothing is traced yet");
    metrics.look(look());
    assert_eq!(metrics.health(), Ok(()));
    let long_ago = Instant::now().checked_sub(Duration::from_secs(100));
    lock(&metrics.left.look).as_mut().unwrap().0 = long_ago.expect("the host is older than that");
    let answer = get(&metrics, "GET /healthz HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("not moved for 100 seconds\n"), "{answer}");
}

/// Serves, and connects.
fn client() -> TcpStream {
    let server = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = server.address();
    server.serve(Arc::new(metrics())).unwrap();
    TcpStream::connect(address).unwrap()
}

#[test]
fn a_request_may_come_in_pieces() {
    let mut client = client();
    for piece in ["GET /hea", "lthz HTTP/1.1\r", "\n\r", "\n"] {
        client.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
}

#[test]
fn who_takes_too_long_is_cut_off() {
    let begin = Instant::now();
    let mut client = client();
    let mut drip = client.try_clone().unwrap();
    // A byte now and then prolongs nothing.
    std::thread::spawn(move || {
        while drip.write_all(b"G").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn the_series_of_a_rule_are_there_before_it_matches() {
    use crate::event::{Expect, Policy, PolicyVerdict, RuleStats};
    let metrics = Metrics::default();
    let rules = [("guests", Expect::Denied), ("unused", Expect::Never)];
    metrics.begin_rules(&rules.map(|(rule, expect)| RuleStats::new(rule.into(), expect)));
    let (expect, verdict) = (Expect::Denied, PolicyVerdict::Violated);
    let policy = Some(Policy { rule: "guests".into(), expect, verdict, text: None });
    metrics.count(&RstEvent { policy, ..sample() }, Duration::ZERO);
    let text = metrics.scrape(Format::Prometheus).unwrap();
    let mut lines: Vec<_> =
        text.lines().filter(|line| line.starts_with("rst_tracer_policy_resets_total{")).collect();
    lines.sort_unstable();
    let told = [
        "rst_tracer_policy_resets_total{rule=\"guests\",verdict=\"as_configured\"} 0",
        "rst_tracer_policy_resets_total{rule=\"guests\",verdict=\"unclear\"} 0",
        "rst_tracer_policy_resets_total{rule=\"guests\",verdict=\"violated\"} 1",
        "rst_tracer_policy_resets_total{rule=\"unused\",verdict=\"violated\"} 0",
    ];
    assert_eq!(lines, told);
}
