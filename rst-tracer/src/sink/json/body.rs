//! The keys of each body, in the order of the contract.

use bytes::BytesMut;

use super::write::{Encode, Object};
use crate::event::{
    Alternative, Endpoint, Event, Evidence, Finding, Flow, HookStats, Kernel, Process, Recent,
    RstEvent, SCHEMA, Segment, Side, Sighting, Source, StatsEvent,
};

/// Appends the event as one JSON object, of whatever length.
pub(super) fn event(event: &Event, out: &mut BytesMut) {
    let mut o = Object::open(out);
    o.word("schema", SCHEMA).word("type", event.type_id());
    match event {
        Event::Rst(body) => rst(body, &mut o),
        Event::Finding(body) => finding(body, &mut o),
        Event::Stats(body) => stats(body, &mut o),
    }
    o.close();
}

fn rst(e: &RstEvent, o: &mut Object<'_>) {
    o.key("id", &e.id).key("time", &e.time).key("host", &e.host);
    o.maybe("interface", &e.interface).maybe("netns", &e.netns).word("hook", e.hook.id());
    o.maybe("file", &e.file).maybe("frame", &e.frame);
    if let Some(direction) = e.direction {
        o.word("direction", direction.id());
    }
    o.word("local_role", e.local_role.id()).key("src", &e.src).key("dst", &e.dst);
    o.maybe("client", &e.client).maybe("server", &e.server);
    o.word("initiator", e.initiator.id()).word("sent_by", e.sent_by.id());
    o.word("session_end_reason", e.session_end_reason.id()).word("origin", e.origin.id());
    o.word("effect", e.effect.id()).word("stage", e.stage.id());
    if let Some(state) = e.conn_state {
        o.word("conn_state", state.id());
    }
    o.maybe("history", &e.history).key("app", &e.app);
    o.word("class", e.class.id()).word("cause", e.cause.id()).key("confidence", &e.confidence);
    o.word("basis", e.basis.id()).word("severity", e.severity.id());
    o.word("at_fault", e.at_fault.id());
    o.key("evidence", e.evidence.as_slice()).key("alternatives", e.alternatives.as_slice());
    o.maybe("signature", &e.signature).key("segment", &e.segment);
    o.maybe("payload_text", &e.payload_text).maybe("mptcp_reason", &e.mptcp_reason);
    o.maybe("flow", &e.flow).list("recent", &e.recent);
    o.maybe("process", &e.process).maybe("kernel", &e.kernel);
    o.key("community_id", &e.community_id).list("vlan", &e.vlan).maybe("tunnel", &e.tunnel);
    o.key("repeats", &e.repeats).list("sightings", &e.sightings).mark("truncated", e.truncated);
}

fn finding(f: &Finding, o: &mut Object<'_>) {
    o.key("id", &f.id).key("time", &f.time).key("host", &f.host);
    o.word("kind", f.kind.id()).word("severity", f.severity.id()).key("text", &f.text);
    o.key("counts", &f.counts).key("sources", f.sources.as_slice());
    o.mark("truncated", f.truncated);
}

fn stats(s: &StatsEvent, o: &mut Object<'_>) {
    o.key("time", &s.time).key("host", &s.host).key("segments", &s.segments);
    o.key("rsts", &s.rsts).key("events", &s.events).key("merged", &s.merged);
    o.key("repeated", &s.repeated).key("filtered", &s.filtered).key("pending", &s.pending);
    o.key("suppressed", &s.suppressed).key("lost", &s.lost).key("malformed", &s.malformed);
    o.key("flows", &s.flows).key("evictions", &s.evictions).key("hooks", s.hooks.as_slice());
    o.mark("truncated", s.truncated);
}

/// Declares the keys of a part.
macro_rules! encode_part {
    ($part:ty, |$value:ident, $object:ident| $keys:expr) => {
        impl Encode for $part {
            fn encode(&self, out: &mut BytesMut) {
                let ($value, mut object) = (self, Object::open(out));
                let $object = &mut object;
                $keys;
                object.close();
            }
        }
    };
}

encode_part!(Endpoint, |e, o| o.key("ip", &e.ip).key("port", &e.port));

encode_part!(Evidence, |e, o| { o.key("id", &e.id).key("text", &e.text).key("weight", &e.weight) });

encode_part!(Alternative, |a, o| {
    o.word("class", a.class.id()).word("cause", a.cause.id()).key("confidence", &a.confidence)
});

encode_part!(Segment, |s, o| {
    o.key("flags", &s.flags).key("seq", &s.seq).key("ack", &s.ack).key("window", &s.window);
    o.key("ttl", &s.ttl).maybe("ip_id", &s.ip_id).maybe("df", &s.df).key("tos", &s.tos);
    o.maybe("flow_label", &s.flow_label).key("payload_len", &s.payload_len)
});

encode_part!(Flow, |f, o| {
    o.key("start", &f.start).key("duration_ms", &f.duration_ms).key("idle_ms", &f.idle_ms);
    o.maybe("rtt_us", &f.rtt_us).maybe("client", &f.client).maybe("server", &f.server);
    o.maybe("src", &f.src).maybe("dst", &f.dst)
});

encode_part!(Side, |s, o| {
    o.key("packets", &s.packets).key("bytes", &s.bytes).key("retransmits", &s.retransmits);
    o.maybe("ttl", &s.ttl)
});

encode_part!(Recent, |r, o| {
    o.key("ago_us", &r.ago_us).word("from", r.from.id()).key("flags", &r.flags);
    o.key("seq", &r.seq).key("ack", &r.ack).key("len", &r.len);
    o.key("window", &r.window).key("ttl", &r.ttl)
});

encode_part!(Process, |p, o| {
    o.key("pid", &p.pid).key("name", &p.name).word("known_by", p.known_by.id());
    o.maybe("uid", &p.uid).maybe("cgroup", &p.cgroup).maybe("container_id", &p.container_id)
});

encode_part!(Kernel, |k, o| {
    o.maybe("reason", &k.reason).maybe("state", &k.state).maybe("netns", &k.netns)
});

encode_part!(Sighting, |s, o| {
    o.maybe("interface", &s.interface).word("hook", s.hook.id());
    if let Some(direction) = s.direction {
        o.word("direction", direction.id());
    }
});

encode_part!(Source, |s, o| { o.key("ip", &s.ip).maybe("port", &s.port).key("resets", &s.resets) });

encode_part!(HookStats, |h, o| {
    o.word("hook", h.hook.id()).maybe("interface", &h.interface).key("segments", &h.segments);
    o.key("tracked", &h.tracked).key("untracked", &h.untracked).key("malformed", &h.malformed)
});
