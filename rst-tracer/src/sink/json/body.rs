//! The keys of each type, in the order of the contract.
//!
//! Each list takes its type apart, so that a key forgotten here does not compile.

use bytes::BytesMut;

use super::write::{Encode, Object};
use crate::event::{
    Alternative, Endpoint, Event, Evidence, Finding, Flow, HookStats, Kernel, OutputStats, Policy,
    Process, Recent, RstEvent, RuleStats, SCHEMA, Segment, Side, Sighting, Source, StatsEvent,
};

/// Appends the event as one JSON object, of whatever length.
pub(super) fn event(event: &Event, out: &mut BytesMut) {
    let mut object = Object::open(out);
    object.key(",\"schema\":", SCHEMA).key(",\"type\":", event.type_id());
    match event {
        Event::Rst(body) => body.keys(&mut object),
        Event::Finding(body) => body.keys(&mut object),
        Event::Stats(body) => body.keys(&mut object),
    }
    object.close();
}

/// A type with keys.
trait Keys {
    fn keys(&self, object: &mut Object<'_>);
}

/// Declares the keys of a type. An `Option` is left out when nothing is known; `if_any` leaves
/// out an empty list, `if_counted` an empty map, `if_some` zero, `if_set` what is false.
macro_rules! keys {
    ($type:ident { $($key:ident $($when:ident)?),+ $(,)? }) => {
        impl Keys for $type {
            fn keys(&self, object: &mut Object<'_>) {
                let Self { $($key),+ } = self;
                $(keys!(@one object $key $($when)?);)+
            }
        }
    };
    (@one $object:ident $key:ident) => {
        $object.key(concat!(",\"", stringify!($key), "\":"), $key)
    };
    (@one $object:ident $key:ident $when:ident) => {
        $object.$when(concat!(",\"", stringify!($key), "\":"), $key)
    };
}

/// [`keys`] of a type that is an object by itself.
macro_rules! object {
    ($type:ident $keys:tt) => {
        keys!($type $keys);

        impl Encode for $type {
            fn encode(&self, out: &mut BytesMut) {
                let mut object = Object::open(out);
                self.keys(&mut object);
                object.close();
            }
        }
    };
}

#[rustfmt::skip] // A line of keys a thought.
keys!(RstEvent {
    id, seq if_some, time, host,
    interface, ifindex, netns, hook, file, frame, direction, local_role,
    src, dst, client, server, initiator,
    sent_by, session_end_reason, origin, effect,
    stage, conn_state, history, app,
    class, cause, confidence, basis, severity, at_fault, evidence, alternatives, signature,
    segment, payload_text, mptcp_reason,
    flow, recent if_any, process, kernel, policy,
    community_id, vlan if_any, tunnel, repeats, sightings if_any, truncated if_set,
});
#[rustfmt::skip]
keys!(Finding {
    id, seq if_some, time, host, kind, state, rule, start, end, severity, text, counts, sources, truncated if_set,
});
#[rustfmt::skip]
keys!(StatsEvent {
    seq if_some, time, host, segments,
    rsts, events, merged, repeated, filtered, pending, suppressed, lost,
    malformed, flows, evictions, vlan_visible, outputs if_any, policy if_any, hooks, truncated if_set,
});

object!(Endpoint { ip, port });
object!(Evidence { id, text, weight });
object!(Alternative { class, cause, confidence });
#[rustfmt::skip]
object!(Segment {
    flags, seq, ack, window, ttl, ip_id, df, tos, flow_label, payload_len, src_mac, dst_mac,
});
object!(Flow { start, duration_ms, idle_ms, rtt_us, client, server, src, dst });
object!(Side { packets, bytes, retransmits, ttl });
object!(Recent { ago_us, from, flags, seq, ack, len, window, ttl });
#[rustfmt::skip]
object!(Process {
    pid, name, known_by, uid, cgroup,
    container_id, container_runtime, pod_uid, executable, start, entity_id,
});
object!(Kernel { reason, state, netns });
object!(Policy { rule, expect, verdict, text });
object!(Sighting { interface, hook, direction });
object!(Source { ip, port, resets });
object!(OutputStats { output, written, waiting, dropped });
object!(HookStats { hook, interface, segments, tracked, untracked, malformed, skipped if_counted });
#[rustfmt::skip]
object!(RuleStats {
    rule, expect, rsts,
    as_configured if_some, expected if_some, violated if_some, unclear if_some, last,
});
