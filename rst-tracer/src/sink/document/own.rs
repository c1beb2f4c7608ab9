//! What neither schema has a field for, as one object: `Rst` in ECS, `unmapped` in OCSF.
//!
//! Names and values are those of our own JSON. What stands in `segment` there is `tcp` and `ip` here, because
//! those who search for flags and TTL look for them there.

use serde_json::{Value, json};

use super::sides;
use crate::event::{Finding, RstEvent, StatsEvent};

/// Of a reset.
pub(super) fn rst(event: &RstEvent) -> Value {
    let process = event.process.as_ref();
    let (source, destination) = sides(event);
    json!({
        "class": event.class,
        "cause": event.cause,
        "confidence": event.confidence,
        "basis": event.basis,
        "severity": event.severity,
        "at_fault": event.at_fault,
        "origin": event.origin,
        "effect": event.effect,
        "stage": event.stage,
        "conn_state": event.conn_state,
        "history": event.history,
        "initiator": event.initiator,
        "sent_by": event.sent_by,
        "session_end_reason": event.session_end_reason,
        "local_role": event.local_role,
        "app": event.app,
        "evidence": event.evidence,
        "alternatives": event.alternatives,
        "signature": event.signature,
        "tcp": {
            "flags": event.segment.flags,
            "flags_num": event.segment.flags.0,
            "seq": event.segment.seq,
            "ack": event.segment.ack,
            "window": event.segment.window,
            "payload_len": event.segment.payload_len,
            "payload_text": event.payload_text,
            "mptcp_reason": event.mptcp_reason,
        },
        "ip": {
            "ttl": event.segment.ttl,
            "id": event.segment.ip_id,
            "df": event.segment.df,
            "tos": event.segment.tos,
            "flow_label": event.segment.flow_label,
        },
        "flow": event.flow.map(|flow| json!({
            "duration_ms": flow.duration_ms,
            "idle_ms": flow.idle_ms,
            "rtt_us": flow.rtt_us,
            "src": source.map(|side| json!({ "retransmits": side.retransmits, "ttl": side.ttl })),
            "dst": destination.map(|side| json!({ "retransmits": side.retransmits, "ttl": side.ttl })),
        })),
        "recent": event.recent,
        "process": process.map(|process| json!({
            "known_by": process.known_by,
            "cgroup": process.cgroup,
        })),
        "kernel": event.kernel,
        "policy": event.policy,
        "hook": event.hook,
        "direction": event.direction,
        "ifindex": event.ifindex,
        "netns": event.netns,
        "file": event.file,
        "frame": event.frame,
        "vlan": event.vlan,
        "tunnel": event.tunnel,
        "repeats": event.repeats,
        "sightings": event.sightings,
        "truncated": event.truncated.then_some(true),
    })
}

/// Of a finding.
pub(super) fn finding(finding: &Finding) -> Value {
    json!({
        "kind": finding.kind,
        "state": finding.state,
        "rule": finding.rule,
        "severity": finding.severity,
        "counts": finding.counts,
        "sources": finding.sources,
        "truncated": finding.truncated.then_some(true),
    })
}

/// Of what was seen, kept and lost.
pub(super) fn stats(stats: &StatsEvent) -> Value {
    json!({
        "stats": {
            "segments": stats.segments,
            "rsts": stats.rsts,
            "events": stats.events,
            "merged": stats.merged,
            "repeated": stats.repeated,
            "filtered": stats.filtered,
            "pending": stats.pending,
            "suppressed": stats.suppressed,
            "lost": stats.lost,
            "malformed": stats.malformed,
            "flows": stats.flows,
            "evictions": stats.evictions,
            "vlan_visible": stats.vlan_visible,
            "outputs": stats.outputs,
            "policy": stats.policy,
            "hooks": stats.hooks,
        },
        "truncated": stats.truncated.then_some(true),
    })
}
