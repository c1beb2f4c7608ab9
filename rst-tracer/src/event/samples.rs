//! Events for tests: arbitrary ones, and the one of the contract.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// The example of the contract: an application closed with unread data.
pub(crate) fn unread_data() -> Event {
    serde_json::from_str(include_str!("samples/unread_data.json")).unwrap()
}

/// The contract's example with every list and every stranger's string far too long.
pub(crate) fn oversized(string: &str) -> Event {
    let Event::Rst(mut rst) = unread_data() else { panic!("the example is a reset") };
    let long = || string.to_owned();
    rst.interface = Some(long());
    (rst.file, rst.history, rst.payload_text) = (Some(long()), Some(long()), Some(long()));
    (rst.host, rst.app) = (long(), long().into());
    (rst.signature, rst.mptcp_reason) = (Some(long().into()), Some(long().into()));
    rst.tunnel = Some(long().into());
    if let Some(process) = &mut rst.process {
        (process.name, process.cgroup) = (long(), Some(long()));
        process.container_id = Some(long());
        (process.pod_uid, process.executable) = (Some(long()), Some(long()));
        (process.container_runtime, process.entity_id) = (Some(long().into()), Some(long()));
        process.start = Some(rst.time);
    }
    if let Some(kernel) = &mut rst.kernel {
        (kernel.reason, kernel.state) = (Some(long().into()), Some(long().into()));
    }
    let (expect, verdict) = (Expect::Denied, PolicyVerdict::Violated);
    rst.policy = Some(Policy { rule: long().into(), expect, verdict, text: Some(long().into()) });
    rst.evidence[0].id = long().into();
    rst.evidence[0].text = long().into();
    rst.evidence = vec![rst.evidence[0].clone(); 40];
    rst.alternatives = vec![rst.alternatives[0]; 40];
    rst.recent = vec![rst.recent[0]; 64];
    rst.vlan = vec![u16::MAX; 64];
    let ip = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
    for end in [&mut rst.src, &mut rst.dst] {
        (end.ip, end.port) = (ip, u16::MAX);
    }
    (rst.client, rst.server) = (Some(rst.src), Some(rst.dst));
    rst.repeats = u64::MAX;
    (rst.netns, rst.frame, rst.ifindex) = (Some(u32::MAX), Some(u64::MAX), Some(u32::MAX));
    let (seq, ack, payload_len) = (u32::MAX, u32::MAX, u32::MAX);
    let (ip_id, flow_label) = (Some(u16::MAX), Some(u32::MAX));
    let src_mac = Some(Mac([u8::MAX; 6]));
    let dst_mac = src_mac;
    rst.segment =
        Segment { seq, ack, payload_len, ip_id, flow_label, src_mac, dst_mac, ..rst.segment };
    if let Some(flow) = &mut rst.flow {
        (flow.duration_ms, flow.idle_ms, flow.rtt_us) = (u64::MAX, u64::MAX, Some(u32::MAX));
        for side in [&mut flow.client, &mut flow.server].into_iter().flatten() {
            (side.packets, side.bytes, side.retransmits) = (u64::MAX, u64::MAX, u64::MAX);
        }
    }
    Event::Rst(rst)
}

/// A finding that is far too long.
pub(crate) fn oversized_finding(string: &str) -> Event {
    let source = Source { ip: "2001:db8::9".parse().unwrap(), port: Some(443), resets: u64::MAX };
    Event::from(Finding {
        id: "f-1".into(),
        seq: 4,
        time: Timestamp(0),
        host: "web-1".into(),
        kind: FindingKind::PortScan,
        state: FindingState::Over,
        rule: Some(string.to_owned().into()),
        start: Timestamp(0),
        end: Timestamp(0),
        severity: Severity::High,
        text: string.to_owned().into(),
        counts: [("ports".into(), 7)].into(),
        sources: vec![source; 5_000],
        truncated: false,
    })
}

/// The counters of far too many hooks.
pub(crate) fn oversized_stats() -> Event {
    let hook = HookStats {
        hook: Hook::Xdp,
        interface: Some("eth0".into()),
        segments: 1,
        tracked: 1,
        untracked: [("set_full".into(), 0)].into(),
        malformed: [].into(),
        skipped: [].into(),
    };
    let rule = RuleStats {
        rule: "x".repeat(64).into(),
        expect: Expect::AtMost,
        rsts: u64::MAX,
        as_configured: u64::MAX,
        expected: u64::MAX,
        violated: u64::MAX,
        unclear: u64::MAX,
        last: Some(Timestamp(0)),
    };
    let (policy, hooks) = (vec![rule; 200], vec![hook; 200]);
    StatsEvent { rsts: 3, policy, hooks, ..StatsEvent::default() }.into()
}

/// Any event.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => rst().prop_map(Event::from).boxed(),
        1 => finding().prop_map(Event::from),
        1 => stats().prop_map(Event::from),
    ]
}

/// Strings as strangers choose them: plain, with everything that JSON escapes, or anything.
fn wild() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9./-]{0,24}", "[\\x00-\\x1f\"\\\\/\\x7f-\\xa0]{0,24}", any::<String>()]
}

fn text() -> impl Strategy<Value = Text> {
    wild().prop_map(Text::Owned)
}

fn one<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    select(all)
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp)
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    any::<(std::net::IpAddr, u16)>().prop_map(|(ip, port)| Endpoint { ip, port })
}

fn confidence() -> impl Strategy<Value = Confidence> {
    any::<f64>().prop_map(|p| Confidence::new(p.abs().fract()))
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let weight = (-2000.0..2000.0).prop_map(Weight::new);
    (text(), text(), weight).prop_map(|(id, text, weight)| Evidence { id, text, weight })
}

fn alternative() -> impl Strategy<Value = Alternative> {
    (one(Cause::ALL), confidence()).prop_map(|(cause, c)| Alternative::new(cause, c))
}

fn segment() -> impl Strategy<Value = Segment> {
    let numbers = any::<(u8, u32, u32, u16, u8, u8, u32)>();
    let options = any::<(Option<u16>, Option<bool>, Option<u32>, Option<[u8; 6]>)>();
    (numbers, options).prop_map(|((flags, seq, ack, window, ttl, tos, payload_len), options)| {
        let (ip_id, df, flow_label, src_mac) = options;
        let (flags, src_mac) = (Flags(flags), src_mac.map(Mac));
        let dst_mac = src_mac.map(|Mac(bytes)| Mac(bytes.map(|byte| !byte)));
        Segment {
            flags,
            seq,
            ack,
            window,
            ttl,
            ip_id,
            df,
            tos,
            flow_label,
            payload_len,
            src_mac,
            dst_mac,
        }
    })
}

fn side() -> impl Strategy<Value = Side> {
    any::<(u64, u64, u64, Option<u8>)>().prop_map(|(packets, bytes, retransmits, ttl)| Side {
        packets,
        bytes,
        retransmits,
        ttl,
    })
}

fn flow() -> impl Strategy<Value = Flow> {
    let numbers = (time(), any::<(u64, u64, Option<u32>)>());
    (numbers, side(), side(), any::<bool>()).prop_map(|((start, numbers), a, b, known)| {
        let (duration_ms, idle_ms, rtt_us) = numbers;
        let flow = Flow { start, duration_ms, idle_ms, rtt_us, ..Flow::default() };
        match known {
            true => Flow { client: Some(a), server: Some(b), ..flow },
            false => Flow { src: Some(a), dst: Some(b), ..flow },
        }
    })
}

fn recent() -> impl Strategy<Value = Recent> {
    let numbers = any::<(u64, u8, u32, u32, u32, u16, u8)>();
    (one(Speaker::ALL), numbers).prop_map(|(from, (ago_us, flags, seq, ack, len, window, ttl))| {
        Recent { ago_us, from, flags: Flags(flags), seq, ack, len, window, ttl }
    })
}

fn process() -> impl Strategy<Value = Process> {
    let numbers = any::<(u32, Option<u32>)>();
    let container = (of(wild()), of(text()), of(wild()));
    let program = (of(wild()), of(time()), of(wild()));
    (numbers, wild(), one(KnownBy::ALL), of(wild()), container, program).prop_map(
        |((pid, uid), name, known_by, cgroup, container, program)| {
            let (container_id, container_runtime, pod_uid) = container;
            let (executable, start, entity_id) = program;
            Process {
                pid,
                name,
                known_by,
                uid,
                cgroup,
                container_id,
                container_runtime,
                pod_uid,
                executable,
                start,
                entity_id,
            }
        },
    )
}

fn kernel() -> impl Strategy<Value = Kernel> {
    (of(text()), of(text()), any::<Option<u32>>()).prop_map(|(reason, state, netns)| Kernel {
        reason,
        state,
        netns,
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    (text(), one(Expect::ALL), one(PolicyVerdict::ALL), of(text()))
        .prop_map(|(rule, expect, verdict, text)| Policy { rule, expect, verdict, text })
}

fn sighting() -> impl Strategy<Value = Sighting> {
    (of(wild()), one(Hook::ALL), of(one(Direction::ALL)))
        .prop_map(|(interface, hook, direction)| Sighting { interface, hook, direction })
}

/// Any reset event that keeps the rules between keys.
pub(crate) fn rst() -> impl Strategy<Value = RstEvent> {
    let bare = (time(), one(Hook::ALL), endpoint(), endpoint(), segment()).prop_map(
        |(time, hook, src, dst, segment)| RstEvent::unexplained(time, hook, src, dst, segment),
    );
    let numbers = any::<(Option<u32>, Option<u32>)>();
    let place = (wild(), wild(), of(wild()), numbers, wild(), any::<u64>());
    let sides = (of((endpoint(), endpoint())), one(Initiator::ALL), one(SentBy::ALL));
    let words = (
        (of(one(Direction::ALL)), one(LocalRole::ALL), one(Origin::ALL), one(Effect::ALL)),
        (one(Stage::ALL), of(one(ConnState::ALL)), of(wild()), text()),
    );
    let verdict = (
        (one(Cause::ALL), confidence(), one(Basis::ALL), one(Severity::ALL), one(AtFault::ALL)),
        (vec(evidence(), 0..6), vec(alternative(), 0..4), of(text())),
    );
    let rest = (
        (of(wild()), of(text()), of(flow()), vec(recent(), 0..17), of(process()), of(kernel())),
        ("1:[A-Za-z0-9+/]{27}=", vec(any::<u16>(), 0..3), of(text()), any::<u64>()),
        (vec(sighting(), 0..4), any::<bool>(), of(policy())),
    );
    (bare, place, sides, words.boxed(), verdict.boxed(), rest.boxed()).prop_map(
        |(mut e, place, sides, words, verdict, rest)| {
            let (file, frame);
            (e.id, e.host, e.interface, (e.ifindex, e.netns), file, frame) = place;
            if e.hook == Hook::Pcap {
                (e.file, e.frame) = (Some(file), Some(frame));
            }
            let ends;
            (ends, e.initiator, e.sent_by) = sides;
            (e.client, e.server) = ends.unzip();
            e.session_end_reason = e.sent_by.session_end_reason();
            (e.direction, e.local_role, e.origin, e.effect) = words.0;
            (e.stage, e.conn_state, e.history, e.app) = words.1;
            (e.cause, e.confidence, e.basis, e.severity, e.at_fault) = verdict.0;
            e.class = e.cause.class();
            (e.evidence, e.alternatives, e.signature) = verdict.1;
            (e.payload_text, e.mptcp_reason, e.flow, e.recent, e.process, e.kernel) = rest.0;
            (e.community_id, e.vlan, e.tunnel, e.repeats) = rest.1;
            (e.sightings, e.truncated, e.policy) = rest.2;
            e
        },
    )
}

fn finding() -> impl Strategy<Value = Finding> {
    let source = any::<(std::net::IpAddr, Option<u16>, u64)>()
        .prop_map(|(ip, port, resets)| Source { ip, port, resets });
    let head = (wild(), time(), wild(), one(FindingKind::ALL), one(Severity::ALL), text());
    let spell = (one(FindingState::ALL), of(text()), time(), time());
    (head, spell, btree_map(text(), any::<u64>(), 0..4), vec(source, 0..4), any::<bool>()).prop_map(
        |(
            (id, time, host, kind, severity, text),
            (state, rule, start, end),
            counts,
            sources,
            truncated,
        )| Finding {
            id,
            seq: 7,
            time,
            host,
            kind,
            state,
            rule,
            start,
            end,
            severity,
            text,
            counts,
            sources,
            truncated,
        },
    )
}

fn stats() -> impl Strategy<Value = StatsEvent> {
    let counts = || btree_map(text(), any::<u64>(), 0..3);
    let hook = (one(Hook::ALL), of(wild()), any::<(u64, u64)>(), counts(), counts(), counts())
        .prop_map(|(hook, interface, (segments, tracked), untracked, malformed, skipped)| {
            HookStats { hook, interface, segments, tracked, untracked, malformed, skipped }
        });
    let rule = (text(), one(Expect::ALL), any::<[u64; 5]>(), of(time())).prop_map(
        |(rule, expect, [rsts, as_configured, expected, violated, unclear], last)| RuleStats {
            rule,
            expect,
            rsts,
            as_configured,
            expected,
            violated,
            unclear,
            last,
        },
    );
    let lists = (vec(rule, 0..3), vec(hook, 0..3));
    (time(), wild(), any::<[u64; 12]>(), lists).prop_map(|(time, host, n, (policy, hooks))| {
        let mut s = StatsEvent { time, host, policy, hooks, ..StatsEvent::default() };
        [s.segments, s.rsts, s.events, s.merged, s.repeated, s.filtered, ..] =
            [n[0], n[1], n[2], n[3], n[4], n[5]];
        [s.pending, s.suppressed, s.lost, s.malformed, s.flows, s.evictions] =
            [n[6], n[7], n[8], n[9], n[10], n[11]];
        s
    })
}
