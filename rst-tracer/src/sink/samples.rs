//! Events that the tests of several formats write.

use crate::event::{
    Event, Finding, FindingKind, FindingState, Hook, HookStats, Severity, Source, StatsEvent,
    Timestamp,
};

pub(super) use crate::event::samples::{event, oversized, unread_data};

/// A closed port of an IPv6 host, read from a capture file.
pub(super) fn refusal() -> Event {
    serde_json::from_str(include_str!("samples/refusal.json")).unwrap()
}

/// The contract's example with every string as a stranger would choose it.
pub(super) fn hostile() -> Event {
    const TEXT: &str = "a|b=c\\d\"e\r\nCEF:0|x| src=1.2.3.4 \u{1b}[2J\u{0}\t\u{202e}\u{fffd}é";
    let Event::Rst(mut rst) = unread_data() else { panic!("the example is a reset") };
    (rst.host, rst.interface) = (TEXT.into(), Some(TEXT.into()));
    (rst.payload_text, rst.tunnel) = (Some(TEXT.into()), Some(TEXT.into()));
    rst.evidence[0].text = TEXT.into();
    if let Some(process) = &mut rst.process {
        (process.name, process.cgroup) = (TEXT.into(), Some(TEXT.into()));
    }
    Event::Rst(rst)
}

/// A port scan from two addresses.
pub(super) fn scan() -> Event {
    let source = |ip: &str, port, resets| Source { ip: ip.parse().unwrap(), port, resets };
    let Event::Rst(rst) = unread_data() else { panic!("the example is a reset") };
    Event::from(Finding {
        seq: 0,
        id: "f-1".into(),
        time: rst.time,
        host: "web-1".into(),
        kind: FindingKind::PortScan,
        state: FindingState::Over,
        rule: None,
        start: Timestamp(rst.time.0 - 2_000_000_000),
        end: rst.time,
        severity: Severity::High,
        text: "10.0.0.66 tried 120 ports of 3 hosts within 2 s".into(),
        counts: [("hosts".into(), 3), ("ports".into(), 120)].into(),
        sources: vec![source("10.0.0.66", Some(443), 118), source("2001:db8::66", None, 2)],
        truncated: false,
    })
}

/// Counters of one hook.
pub(super) fn stats() -> Event {
    let Event::Rst(rst) = unread_data() else { panic!("the example is a reset") };
    let hook = HookStats {
        hook: Hook::Xdp,
        interface: Some("eth0".into()),
        segments: 1000,
        tracked: 998,
        untracked: [("set_full".into(), 2)].into(),
        malformed: [("short".into(), 1)].into(),
        skipped: [("gtp_u".into(), 5)].into(),
    };
    let (time, host) = (rst.time, "web-1".into());
    let (segments, rsts, events, lost, malformed, flows) = (1000, 9, 8, 1, 1, 40);
    let hooks = vec![hook];
    let rest = StatsEvent::default();
    StatsEvent { time, host, segments, rsts, events, lost, malformed, flows, hooks, ..rest }.into()
}

/// An oversized event with every number as long as it can be.
pub(super) fn largest(string: &str) -> Event {
    use crate::event::{Flags, Flow, Kernel, Side};
    let Event::Rst(mut rst) = oversized(string) else { panic!("a reset") };
    let many = u64::MAX;
    let side = Side { packets: many, bytes: many, retransmits: many, ttl: Some(255) };
    let (client, server, rtt_us) = (Some(side), Some(side), Some(u32::MAX));
    let (duration_ms, idle_ms) = (many, many);
    rst.flow =
        Some(Flow { duration_ms, idle_ms, rtt_us, client, server, ..rst.flow.unwrap_or_default() });
    let s = &mut rst.segment;
    (s.flags, s.seq, s.ack, s.window) = (Flags(255), u32::MAX, u32::MAX, u16::MAX);
    (s.ttl, s.tos, s.payload_len) = (255, 255, u32::MAX);
    (s.ip_id, s.flow_label) = (Some(u16::MAX), Some(0xf_ffff));
    (rst.frame, rst.netns) = (Some(many), Some(u32::MAX));
    rst.kernel = rst.kernel.map(|kernel| Kernel { netns: Some(u32::MAX), ..kernel });
    rst.id = "0".repeat(64);
    Event::Rst(rst)
}
