//! What people see, for a handful of resets that differ as much as they can.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::event::{
    Alternative, AtFault, Basis, Confidence, ConnState, Direction, Endpoint, Evidence, FindingKind,
    FindingState, Flags, Flow, Hook, HookStats, Initiator, LocalRole, Origin, Recent, Segment,
    SentBy, Severity, Side, Source, Speaker, Stage, Timestamp, Weight, samples,
};

const LINE: Style = Style { colour: false, explain: false };
const EXPLAINED: Style = Style { colour: false, explain: true };

fn shown(events: &[Event], style: Style) -> String {
    let mut out = Vec::new();
    let mut sink = TextSink::new(&mut out, style);
    events.iter().for_each(|event| sink.write(event).unwrap());
    sink.flush().unwrap();
    String::from_utf8(out).unwrap()
}

fn rst(event: Event) -> RstEvent {
    match event {
        Event::Rst(rst) => *rst,
        other => panic!("not a reset: {other:?}"),
    }
}

fn end(address: &str) -> Endpoint {
    address.parse::<std::net::SocketAddr>().unwrap().into()
}

fn unread_data() -> RstEvent {
    rst(samples::unread_data())
}

fn explains(event: &mut RstEvent, cause: Cause, confidence: f64) {
    (event.class, event.cause) = (cause.class(), cause);
    event.confidence = Confidence::new(confidence);
}

/// Of a capture file: nothing but a reset, nothing seen before.
fn lone() -> RstEvent {
    let segment = Segment { flags: Flags::RST, seq: 7, ttl: 51, ..Segment::default() };
    let time = Timestamp(1_700_000_000_123_456_789);
    let ends = (end("192.0.2.7:80"), end("198.51.100.20:40001"));
    let mut event = RstEvent::unexplained(time, Hook::Pcap, ends.0, ends.1, segment);
    (event.file, event.frame) = (Some("captures/night watch.pcapng".into()), Some(17));
    event
}

/// IPv6, benign: a port where nothing listens.
fn closed_port() -> RstEvent {
    let (client, server) = (end("[2001:db8:0:1:aaaa::5]:40100"), end("[2001:db8::9]:8080"));
    let segment = Segment {
        flags: Flags::RST | Flags::ACK,
        ack: 1_000_001,
        ttl: 58,
        flow_label: Some(0x5f3a1),
        ..Segment::default()
    };
    let mut event =
        RstEvent::unexplained(unread_data().time, Hook::TcIngress, server, client, segment);
    explains(&mut event, Cause::ClosedPort, 0.95);
    (event.client, event.server) = (Some(client), Some(server));
    (event.initiator, event.sent_by) = (Initiator::Syn, SentBy::Server);
    (event.origin, event.at_fault) = (Origin::Endpoint, AtFault::Nobody);
    (event.effect, event.stage) = (Effect::Accepted, Stage::PostSyn);
    (event.interface, event.direction) = (Some("wlan0".into()), Some(Direction::Ingress));
    (event.conn_state, event.history) = (Some(ConnState::Rej), Some("Sr".into()));
    event.evidence = vec![Evidence {
        id: "passive_form".into(),
        text: "a RST+ACK with sequence 0 answers the SYN one round trip later".into(),
        weight: Weight::new(2.5),
    }];
    event.recent = vec![Recent {
        ago_us: 11_020,
        from: Speaker::Client,
        flags: Flags::SYN,
        seq: 1_000_000,
        ack: 0,
        len: 0,
        window: 64_800,
        ttl: 64,
    }];
    let side = Side { packets: 1, bytes: 0, retransmits: 0, ttl: Some(64) };
    event.flow = Some(Flow {
        start: Timestamp(event.time.0 - 11_020_000),
        duration_ms: 11,
        idle_ms: 11,
        client: Some(side),
        server: Some(Side { packets: 0, ttl: None, ..side }),
        ..Flow::default()
    });
    event
}

/// A forged reset in a TLS connection, followed by the server's own data.
fn injected() -> RstEvent {
    let mut event = unread_data();
    explains(&mut event, Cause::InjectedReset, 0.93);
    (event.severity, event.at_fault) = (Severity::High, AtFault::Network);
    event.origin = Origin::MiddleboxProven;
    event.local_role = LocalRole::Forwarder;
    event.stage = Stage::PostPush;
    event.effect = Effect::Ignored;
    event.repeats = 2;
    (event.basis, event.process, event.kernel) = (Basis::Wire, None, None);
    event.evidence = vec![
        Evidence {
            id: "zombie".into(),
            text: "after the reset the server sent data with the next IP identification and \
                   timestamp, as a living socket does"
                .into(),
            weight: Weight::new(4.0),
        },
        Evidence {
            id: "ttl".into(),
            text: "its TTL is 51, the server's is 57".into(),
            weight: Weight::new(1.25),
        },
    ];
    let first = Recent { window: 64240, ..event.recent[0] };
    let rung = |ago_us, from, flags, seq, ack, len| Recent {
        ago_us,
        from,
        flags,
        seq,
        ack,
        len,
        ttl: if from == Speaker::Client { 64 } else { 57 },
        ..first
    };
    let (client, server, ack) = (Speaker::Client, Speaker::Server, Flags::ACK);
    event.recent = vec![
        rung(42_310, client, Flags::SYN, u32::MAX, 0, 0),
        rung(22_100, server, Flags::SYN | ack, 5_000, 0, 0),
        rung(22_050, client, ack, 0, 5_001, 0),
        rung(21_900, client, Flags::PSH | ack, 0, 5_001, 517),
    ];
    event.segment = Segment {
        flags: Flags::RST | ack,
        seq: 5_001,
        ack: 517,
        window: 0,
        ttl: 51,
        ip_id: Some(0xbeef),
        df: Some(false),
        ..event.segment
    };
    event
}

/// Suspected only, after a long silence, between two hosts whose roles are not known.
fn suspected() -> RstEvent {
    let mut event = unread_data();
    explains(&mut event, Cause::IdleTimeoutMiddlebox, 0.7);
    (event.severity, event.at_fault) = (Severity::Low, AtFault::Network);
    (event.process, event.kernel) = (None, None);
    event.basis = Basis::Wire;
    event.origin = Origin::MiddleboxSuspected;
    event.local_role = LocalRole::Forwarder;
    (event.client, event.server, event.sent_by) = (None, None, SentBy::Unknown);
    let lost = Alternative::new(Cause::HalfOpenStaleState, Confidence::new(0.2));
    event.alternatives.insert(0, lost);
    event.evidence = vec![Evidence {
        id: "idle_constant".into(),
        text: "350 s of silence went before it, a well-known timeout of middleboxes".into(),
        weight: Weight::new(1.5),
    }];
    let side = Side { packets: 9, bytes: 4_100, retransmits: 1, ttl: Some(64) };
    event.flow = event.flow.map(|flow| Flow {
        duration_ms: 351_200,
        idle_ms: 350_010,
        client: None,
        server: None,
        src: Some(side),
        dst: Some(Side { ttl: None, ..side }),
        ..flow
    });
    let ping = Recent { ago_us: 350_010_400, from: Speaker::Dst, ..event.recent[0] };
    event.recent = vec![Recent { ago_us: 350_010_900, ..ping }, ping];
    event.recent.push(Recent { ago_us: 90, seq: 518, len: 40, ..ping });
    event.payload_text = Some("FW\u{1b}[31m says no".into());
    event
}

fn finding() -> Finding {
    Finding {
        seq: 4,
        id: "f-1".into(),
        time: Timestamp(1_700_000_000_000_000_000),
        host: "web-1".into(),
        kind: FindingKind::PortScan,
        state: FindingState::Over,
        rule: None,
        start: Timestamp(1_699_999_997_000_000_000),
        end: Timestamp(1_700_000_000_000_000_000),
        severity: Severity::High,
        text: "203.0.113.9 tried 412 ports in 3 s".into(),
        counts: [("ports".into(), 412), ("resets".into(), 409)].into(),
        sources: vec![Source { ip: "203.0.113.9".parse().unwrap(), port: None, resets: 409 }],
        truncated: false,
    }
}

fn stats() -> StatsEvent {
    StatsEvent {
        time: Timestamp(1_700_000_000_000_000_000),
        segments: 1200,
        rsts: 9,
        events: 6,
        merged: 2,
        lost: 1,
        malformed: 3,
        flows: 40,
        hooks: vec![HookStats {
            hook: Hook::Xdp,
            interface: Some("eth0".into()),
            segments: 1200,
            tracked: 1190,
            untracked: [("set_full".into(), 10)].into(),
            malformed: [("short_tcp".into(), 3)].into(),
            skipped: [("erspan".into(), 7)].into(),
        }],
        ..StatsEvent::default()
    }
}

#[test]
fn a_line_says_at_a_glance_who_reset_whom_and_why() {
    let events = [unread_data(), lone(), closed_port(), injected(), suspected()].map(Event::from);
    assert_snapshot!(shown(&events, LINE), @"
    09:42:25.123Z  medium  server → client          10.0.0.9:443 → 10.0.0.5:51234       closed with unread data          97%  after data        eth0 egress  sender nginx[812]
    22:13:20.123Z  info    sender unknown           192.0.2.7:80 → 198.51.100.20:40001  connection start not seen             no flow seen      night watch.pcapng:17
    09:42:25.123Z  info    server → client             [2001:db8::9]:8080 → [2001:db8:0:1:aaaa::5]:40100  closed port                      95%  after SYN         wlan0 ingress
    09:42:25.123Z  HIGH    forged → client                   10.0.0.9:443 → 10.0.0.5:51234                injected reset                   93%  after first data  eth0 egress  ignored  +2 more
    09:42:25.123Z  low     forged?                           10.0.0.9:443 → 10.0.0.5:51234                idle timeout of a middlebox      70%  after data        eth0 egress
    ");
}

#[test]
fn columns_stay_aligned_after_a_longer_address() {
    let lines = shown(&[closed_port(), unread_data(), injected()].map(Event::from), LINE);
    let column = |line: &str, word: &str| line.find(word).map(|at| line[..at].chars().count());
    let columns: Vec<_> = ["closed port", "closed with", "injected"]
        .iter()
        .zip(lines.lines())
        .map(|(word, line)| column(line, word))
        .collect();
    assert!(columns[0].is_some() && columns.iter().all(|c| *c == columns[0]), "{columns:?}");
}

#[test]
fn findings_and_statistics_are_lines_too() {
    let mut unbalanced = stats();
    unbalanced.lost = 0;
    let events = [Event::from(finding()), stats().into(), unbalanced.into()];
    assert_snapshot!(shown(&events, LINE), @"
    22:13:20.000Z  HIGH    port scan: 203.0.113.9 tried 412 ports in 3 s
    22:13:20.000Z  stats   1200 segments, 40 flows; 9 resets: 6 events, 2 merged, 1 lost; 3 malformed
    22:13:20.000Z  stats   1200 segments, 40 flows; 9 resets: 6 events, 2 merged; 3 malformed; the sums do not agree
    ");
    assert_snapshot!(shown(&events[..2], EXPLAINED), @"
    22:13:20.000Z  HIGH    port scan: 203.0.113.9 tried 412 ports in 3 s
      Counts        ports 412, resets 409
      Sources       203.0.113.9: 409 resets

    22:13:20.000Z  stats   1200 segments, 40 flows; 9 resets: 6 events, 2 merged, 1 lost; 3 malformed
      xdp           eth0: 1200 segments: 1190 tracked, 10 untracked (set_full); 3 malformed (short_tcp);
                    7 skipped (erspan)
    ");
}

#[test]
fn an_explanation_unfolds_verdict_evidence_and_ladder() {
    assert_snapshot!(shown(&[unread_data().into()], EXPLAINED), @"
    09:42:25.123Z  medium  server → client          10.0.0.9:443 → 10.0.0.5:51234       closed with unread data          97%  after data        eth0 egress  sender nginx[812]
      Verdict       The server (10.0.0.9:443) sent it: closed with unread data (application error), 97%
                    sure from packets and the kernel. The receiver accepted it. Look at the server.
      Evidence        +3.0  the kernel reset it with TCP_ABORT_ON_CLOSE
      Otherwise         2%  closed with linger 0 (normal abortive close)
      Reset         RA seq 1 ack 2 win 0 ttl 64 id 0 DF tos 0x00, 0 bytes of payload
      Connection    since 2026-11-22T09:42:25.111456789Z, 12.0 ms long, silent for 3.0 ms, round trip
                    210 µs; after data, tls, RSTR ShADadR, signature PSH+ACK;Data → RST+ACK
                                       packets         bytes  retransmits   ttl
                    client                   4           517            0    64
                    server                   3             0            0    57
      Last segments the reset last; numbers count from the first segment shown
                    client 10.0.0.5:51234                                        server 10.0.0.9:443
          -1.200 ms │─ PA seq 0 ack 0 len 517 win 502 ttl 64 ─────────────────────────────────────>│
                  0 │<━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ RA seq 0 ack 1 len 0 win 0 ttl 64 ━│ RST
      Process       nginx[812] at the sender: it closed the socket, uid 33, /usr/sbin/nginx, started
                    2026-11-20T08:00:00Z, /system.slice/nginx.service, container 4f1d0c6a92b7
      Kernel        reason TCP_ABORT_ON_CLOSE, socket state CLOSE
      Seen          2026-11-22T09:42:25.123456789Z, eth0 egress on web-1, inside vxlan, VLAN 10; id
                    01JD8Z6V0H-1, community 1:LQU9qZlK+B5F3KDmev6m5PMibrg=
    ");
}

#[test]
fn a_forged_reset_is_shown_to_come_from_somebody_else() {
    assert_snapshot!(shown(&[injected().into()], EXPLAINED), @"
    09:42:25.123Z  HIGH    forged → client          10.0.0.9:443 → 10.0.0.5:51234       injected reset                   93%  after first data  eth0 egress  ignored  +2 more
      Verdict       Something on the path sent it in the name of the server (10.0.0.9:443), which did
                    not: injected reset (security measure), 93% sure from packets alone. The receiver
                    ignored it and went on. Look at the network between them.
      Evidence        +4.0  after the reset the server sent data with the next IP identification and
                            timestamp, as a living socket does
                      +1.2  its TTL is 51, the server's is 57
      Otherwise         2%  closed with linger 0 (normal abortive close)
      Reset         RA seq 5001 ack 517 win 0 ttl 51 id 48879 tos 0x00, 0 bytes of payload
      Connection    since 2026-11-22T09:42:25.111456789Z, 12.0 ms long, silent for 3.0 ms, round trip
                    210 µs; after first data, tls, RSTR ShADadR, signature PSH+ACK;Data → RST+ACK
                                       packets         bytes  retransmits   ttl
                    client                   4           517            0    64
                    server                   3             0            0    57
      Last segments the reset last; numbers count from the SYN
                    client 10.0.0.5:51234                                        server 10.0.0.9:443
         -42.310 ms │─ S seq 0 len 0 win 64240 ttl 64 ────────────────────────────────────────────>│
         -22.100 ms │<───────────────────────────────────── SA seq 0 ack 1 len 0 win 64240 ttl 57 ─│
         -22.050 ms │─ A seq 1 ack 1 len 0 win 64240 ttl 64 ──────────────────────────────────────>│
         -21.900 ms │─ PA seq 1 ack 1 len 517 win 64240 ttl 64 ───────────────────────────────────>│
                  0 │<━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ RA seq 1 ack 518 len 0 win 0 ttl 51 ━│ RST
      Seen          2026-11-22T09:42:25.123456789Z, eth0 egress on web-1, inside vxlan, VLAN 10; id
                    01JD8Z6V0H-1, community 1:LQU9qZlK+B5F3KDmev6m5PMibrg=
    ");
}

#[test]
fn a_host_that_wrote_in_the_name_of_another_says_so_itself() {
    let mut event = injected();
    event.local_role = LocalRole::Sender;
    let said = words::verdict(&event);
    assert!(said.starts_with("This host sent it in the name of the server"), "{said}");
    assert!(said.ends_with(" Look at this host."), "{said}");
}

#[test]
fn a_rule_of_the_policy_stands_at_the_end_and_is_unfolded() {
    use crate::event::{Expect, Policy, PolicyVerdict, RuleStats};
    let (expect, text) = (Expect::Denied, Some("1 segment came back\u{1b}[31m".into()));
    let verdict = PolicyVerdict::Violated;
    let event = RstEvent {
        policy: Some(Policy { rule: "guests".into(), expect, verdict, text }),
        ..unread_data()
    };
    assert!(shown(&[event.clone().into()], LINE).ends_with("  [guests: violated]\n"));
    let unfolded = shown(&[event.into()], EXPLAINED);
    let told = "  Policy        violated by the rule guests (a firewall denies these connections): 1 segment came\n";
    assert!(unfolded.contains(told) && unfolded.contains("back\\u{1b}[31m\n"), "{unfolded}");
    let policy = vec![RuleStats::new("unused".into(), Expect::Never)];
    let unfolded = shown(&[StatsEvent { policy, ..stats() }.into()], EXPLAINED);
    assert!(unfolded.contains("  Policy        unused (never): no reset\n"), "{unfolded}");
}

#[test]
fn a_silence_is_drawn_and_unknown_roles_are_said() {
    assert_snapshot!(shown(&[suspected().into()], EXPLAINED), @r"
    09:42:25.123Z  low     forged?                  10.0.0.9:443 → 10.0.0.5:51234       idle timeout of a middlebox      70%  after data        eth0 egress
      Verdict       Probably something on the path sent it in the name of 10.0.0.9:443 (client or server
                    is not known): idle timeout of a middlebox (traffic management), 70% sure from
                    packets alone. The receiver accepted it. Look at the network between them.
      Evidence        +1.5  350 s of silence went before it, a well-known timeout of middleboxes
      Otherwise        20%  connection state was lost (application error)
                        2%  closed with linger 0 (normal abortive close)
      Reset         RA seq 1 ack 2 win 0 ttl 64 id 0 DF tos 0x00, 0 bytes of payload
                    its payload says “FW\u{1b}[31m says no”
      Connection    since 2026-11-22T09:42:25.111456789Z, 351 s long, silent for 350 s, round trip 210
                    µs; after data, tls, RSTR ShADadR, signature PSH+ACK;Data → RST+ACK
                                       packets         bytes  retransmits   ttl
                    src                      9          4100            1    64
                    dst                      9          4100            1     -
      Last segments the reset last; numbers count from the first segment shown
                    src 10.0.0.9:443                                              dst 10.0.0.5:51234
         -350.010 s │<───────────────────────────────────── PA seq 0 ack 0 len 517 win 502 ttl 64 ─│
         -350.010 s │<───────────────────────────────────── PA seq 0 ack 0 len 517 win 502 ttl 64 ─│
                    ⋮                               350 s of silence                               ⋮
          -0.090 ms │<──────────────────────────────────── PA seq 517 ack 0 len 40 win 502 ttl 64 ─│
                  0 │━ RA seq 0 ack 1 len 0 win 0 ttl 64 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━>│ RST
      Seen          2026-11-22T09:42:25.123456789Z, eth0 egress on web-1, inside vxlan, VLAN 10; id
                    01JD8Z6V0H-1, community 1:LQU9qZlK+B5F3KDmev6m5PMibrg=
    ");
}

#[test]
fn a_reset_without_a_flow_admits_that_nothing_was_seen() {
    assert_snapshot!(shown(&[lone().into()], EXPLAINED), @"
    22:13:20.123Z  info    sender unknown           192.0.2.7:80 → 198.51.100.20:40001  connection start not seen             no flow seen      night watch.pcapng:17
      Verdict       It came in the name of 192.0.2.7:80 (client or server is not known); the cause is
                    not known, because the start of the connection was not seen.
      Reset         R seq 7 ack 0 win 0 ttl 51 tos 0x00, 0 bytes of payload
      Connection    nothing of it was seen before the reset
      Seen          2023-11-14T22:13:20.123456789Z, captures/night watch.pcapng:17
    ");
}

#[test]
fn an_ipv6_refusal_looks_benign() {
    assert_snapshot!(shown(&[closed_port().into()], EXPLAINED), @"
    09:42:25.123Z  info    server → client             [2001:db8::9]:8080 → [2001:db8:0:1:aaaa::5]:40100  closed port                      95%  after SYN         wlan0 ingress
      Verdict       The server ([2001:db8::9]:8080) sent it: closed port (connection refused), 95% sure
                    from packets alone. The receiver accepted it. Nothing is wrong.
      Evidence        +2.5  a RST+ACK with sequence 0 answers the SYN one round trip later
      Reset         RA seq 0 ack 1000001 win 0 ttl 58 flow label 0x5f3a1 tos 0x00, 0 bytes of payload
      Connection    since 2026-11-22T09:42:25.112436789Z, 11.0 ms long, silent for 11.0 ms; after SYN,
                    incomplete, REJ Sr
                                       packets         bytes  retransmits   ttl
                    client                   1             0            0    64
                    server                   0             0            0     -
      Last segments the reset last; numbers count from the SYN
                    client [2001:db8:0:1:aaaa::5]:40100                    server [2001:db8::9]:8080
         -11.020 ms │─ S seq 0 len 0 win 64800 ttl 64 ────────────────────────────────────────────>│
                  0 │<━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ RA seq 0 ack 1 len 0 win 0 ttl 58 ━│ RST
      Seen          2026-11-22T09:42:25.123456789Z, wlan0 ingress
    ");
}

#[test]
fn colour_calms_what_is_benign_and_lifts_what_is_not() {
    let coloured = |event: RstEvent| shown(&[event.into()], Style { colour: true, explain: false });
    let benign = coloured(closed_port());
    let painted = |line: &str, code: &str| line.matches(&format!("\u{1b}[{code}m")).count();
    // Every visible piece of a benign line is dim.
    assert_eq!(painted(&benign, "2"), benign.matches("\u{1b}[0m").count());
    assert!(benign.starts_with("\u{1b}[2m") && painted(&benign, "1;31") == 0);
    let forged = coloured(injected());
    assert_eq!((painted(&forged, "1;31"), painted(&forged, "2")), (2, 0));
    assert!(forged.contains("\u{1b}[1;31mHIGH"));
}

#[test]
fn it_is_said_whose_process_it_is_wherever_that_is_certain() {
    use crate::event::{Kernel, KnownBy::*, LocalRole::*};
    let certain = |known_by, sent_by, local_role, change: fn(&mut RstEvent)| {
        let mut event = unread_data();
        event.process.as_mut().unwrap().known_by = known_by;
        (event.sent_by, event.local_role, event.origin) = (sent_by, local_role, Origin::Endpoint);
        change(&mut event);
        words::end_of_process(&event)
    };
    let on_loopback = |event: &mut RstEvent| event.interface = Some("lo".into());
    let forged = |event: &mut RstEvent| event.origin = Origin::MiddleboxProven;
    let in_a_container =
        |event: &mut RstEvent| event.kernel = Some(Kernel { netns: Some(7), ..Kernel::default() });
    let refused = |event: &mut RstEvent| {
        (event.interface, event.stage) = (Some("lo".into()), Stage::PostSyn);
    };
    let nobodys = |event: &mut RstEvent| {
        let reason = Some("NO_SOCKET".into());
        event.interface = Some("lo".into());
        event.kernel = Some(Kernel { reason, ..Kernel::default() });
    };
    let (client, server) = (SentBy::Client, SentBy::Server);
    for (told, known_by, sent_by, role, change) in [
        (Some("sender"), SocketOwner, client, Sender, (|_| {}) as fn(&mut RstEvent)),
        (Some("receiver"), SocketOwner, client, Receiver, |_| {}),
        (None, SocketOwner, client, Forwarder, |_| {}),
        (None, SocketOwner, client, Sender, on_loopback),
        (None, SocketOwner, client, Sender, in_a_container),
        (None, SocketOwner, client, Sender, forged),
        (Some("receiver"), SocketOwner, client, Receiver, forged),
        (Some("receiver"), SocketOwner, server, Sender, refused),
        (Some("receiver"), SocketOwner, client, Sender, nobodys),
        (Some("sender"), ActiveClose, client, Sender, on_loopback),
        (Some("receiver"), Listener, client, Sender, on_loopback),
        (Some("sender"), Listener, server, Sender, on_loopback),
    ] {
        assert_eq!(certain(known_by, sent_by, role, change), told, "{known_by:?} {role:?}");
    }
    let mut received = unread_data();
    received.local_role = Receiver;
    received.process.as_mut().unwrap().known_by = SocketOwner;
    assert!(shown(&[received.into()], LINE).ends_with("  receiver nginx[812]\n"));
}

#[test]
fn nothing_goes_on_where_a_reset_found_the_connection_ended() {
    use crate::event::{Effect, Kernel, LocalRole};
    let said = |stage, reason: Option<&'static str>| {
        let mut event = unread_data();
        (event.effect, event.stage) = (Effect::Ignored, stage);
        event.local_role = LocalRole::Receiver;
        event.kernel =
            reason.map(|reason| Kernel { reason: Some(reason.into()), ..Kernel::default() });
        words::verdict(&event)
    };
    let ended = " It found the connection ended already.";
    assert!(said(Stage::PostFin, Some("NO_SOCKET")).contains(ended));
    assert!(said(Stage::NoFlow, Some("NO_SOCKET")).contains("knows no such connection"));
    let closed = said(Stage::Closed, None);
    assert!(closed.contains(" ignored it.") && !closed.contains("went on"), "{closed}");
    assert!(said(Stage::PostData, Some("TCP_OLD_SEQUENCE")).contains("ignored it and went on."));
}

proptest! {
    #[test]
    fn a_stranger_cannot_write_to_the_terminal(event in samples::event(), explain: bool) {
        let text = shown(&[event], Style { colour: false, explain });
        prop_assert!(text.chars().all(|c| c == '\n' || words::clean(c.encode_utf8(&mut [0; 4])) == *c.to_string()));
        prop_assert!(explain || text.find('\n') == Some(text.len() - 1));
    }

    #[test]
    fn the_ladder_fits_a_hundred_columns(event in samples::rst()) {
        let mut ladder = String::new();
        super::super::ladder::draw(&event, LINE, &mut ladder);
        for line in ladder.lines() {
            prop_assert!(line.chars().count() <= 100, "{line}");
        }
        let marked = ladder.lines().filter(|line| line.ends_with("│ RST"));
        prop_assert_eq!(marked.count(), 1);
    }
}
