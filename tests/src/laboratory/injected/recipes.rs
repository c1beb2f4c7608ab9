//! What known injectors write: the shapes that research and sources tell of their resets.
//!
//! In: what a box has heard. Out: the segments that it forges.

use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};

use super::watcher::Heard;

/// A number that looks random and is the same each time.
pub(in crate::laboratory) fn noise(heard: &Heard) -> u16 {
    (heard.trigger.seq >> 7) as u16 | 1
}

fn length(heard: &Heard) -> u32 {
    heard.trigger.payload_len as u32
}

/// Suricata `rejectsrc` (src/respond-reject-libnet11.c): the window of the offending packet, no
/// IP ID, TTL 64.
pub(super) fn suricata_src(heard: &Heard) -> Vec<Forgery> {
    let window = heard.trigger.window;
    let plain = heard.to_client(RST | ACK);
    let (seq, ack) = (heard.trigger.ack, heard.trigger.seq.wrapping_add(length(heard)));
    vec![Forgery { seq, ack, window, ttl: 64, ip_id: 0, ..plain }]
}

/// Suricata `rejectdst`: the sequence number is that of the offending packet, not of what follows.
pub(super) fn suricata_dst(heard: &Heard) -> Vec<Forgery> {
    let window = heard.trigger.window;
    let plain = heard.to_server(RST | ACK);
    let (seq, ack) = (heard.trigger.seq, heard.trigger.ack);
    vec![Forgery { seq, ack, window, ttl: 64, ip_id: 0, ..plain }]
}

/// Suricata `rejectboth`.
pub(super) fn suricata_both(heard: &Heard) -> Vec<Forgery> {
    [suricata_src(heard), suricata_dst(heard)].concat()
}

/// Snort 3 `reset source` (src/packet_io/active.cc): the TTL learnt from the flow, the TOS copied,
/// a random IP ID.
pub(super) fn snort_src(heard: &Heard) -> Vec<Forgery> {
    let (ttl, tos) = (heard.server.ttl, heard.trigger.tos);
    vec![Forgery { ttl, tos, ip_id: noise(heard), ..heard.to_client(RST | ACK) }]
}

/// Snort 3 `reset both` with strafing: further attempts at later sequence numbers.
pub(super) fn snort_both(heard: &Heard) -> Vec<Forgery> {
    let mut all = Vec::new();
    for attempt in 0..3u16 {
        let step = u32::from(attempt) * length(heard);
        for (plain, ttl) in [
            (heard.to_client(RST | ACK), heard.server.ttl),
            (heard.to_server(RST | ACK), heard.client.ttl),
        ] {
            let ip_id = noise(heard).wrapping_mul(attempt + 3);
            all.push(Forgery { seq: plain.seq.wrapping_add(step), ttl, ip_id, ..plain });
        }
    }
    all
}

/// dsniff's tcpkill, three bare resets; the i-th is i more windows further on.
pub(super) fn tcpkill(heard: &Heard) -> Vec<Forgery> {
    let plain = Forgery { ack: 0, ttl: 64, ip_id: noise(heard), ..heard.to_client(RST) };
    let window = u32::from(heard.trigger.window);
    // Cumulative: 0, 1, then 3 windows.
    [0, 1, 3].map(|n| Forgery { seq: plain.seq.wrapping_add(n * window), ..plain.clone() }).into()
}

/// The Great Firewall's first kind (one bare reset) and second kind (three at X, X+1460, X+4380),
/// to both sides (Clayton 2006, Wang 2017).
pub(super) fn gfw_both_kinds(heard: &Heard) -> Vec<Forgery> {
    let mut all = Vec::new();
    for plain in [heard.to_client(RST), heard.to_server(RST)] {
        let one = Forgery { window: 2119, ttl: 103, ip_id: noise(heard), ..plain.clone() };
        all.push(Forgery { ack: 0, ..one });
        for (n, beyond) in [0, 1460, 4380].into_iter().enumerate() {
            let n = n as u16;
            all.push(Forgery {
                seq: plain.seq.wrapping_add(beyond),
                flags: RST | ACK,
                window: 1340 + n,
                ttl: 71 + n as u8,
                ip_id: noise(heard).wrapping_add(n),
                ..plain.clone()
            });
        }
    }
    all
}

/// The triple that answers a SYN (2023, 1.1.1.1:443): sequence number 0, window and TTL counting.
pub(super) fn gfw_syn_triple(heard: &Heard) -> Vec<Forgery> {
    let one = |n: u16| {
        let plain = heard.to_client(RST | ACK);
        Forgery { seq: 0, window: 4229 + n, ttl: 65 + n as u8, ip_id: noise(heard), ..plain }
    };
    (0..3).map(one).collect()
}

/// The provincial firewall of Henan (2023): one reset that carries ten bytes.
pub(super) fn henan(heard: &Heard) -> Vec<Forgery> {
    let payload = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 0];
    let plain = heard.to_client(RST | ACK);
    vec![Forgery { payload, ttl: 60, ip_id: noise(heard), window: 1024, ..plain }]
}

/// Sandvine, as Comcast had it in 2008: two resets, the second 12503 further on; to both sides.
pub(super) fn sandvine(heard: &Heard) -> Vec<Forgery> {
    let sides = [heard.to_client(RST | ACK), heard.to_server(RST | ACK)];
    let two = |plain: Forgery| {
        [0, 12_503].map(|n| Forgery { seq: plain.seq.wrapping_add(n), ttl: 127, ..plain.clone() })
    };
    sides.into_iter().flat_map(two).collect()
}

/// What scapy writes unless told otherwise: window 8192, IP ID 1, TTL 64.
pub(super) fn scapy(heard: &Heard) -> Vec<Forgery> {
    vec![Forgery { window: 8192, ip_id: 1, ttl: 64, ack: 0, ..heard.to_client(RST) }]
}

/// An injector that was too slow: its number is that of before the server's answer.
pub(super) fn stale(heard: &Heard) -> Vec<Forgery> {
    let (seq, ip_id) = (heard.trigger.ack, noise(heard));
    vec![Forgery { seq, ttl: 57, window: 512, ip_id, ..heard.to_client(RST | ACK) }]
}

/// An injector that copies everything but makes up the timestamp (2025).
pub(super) fn wild_timestamp(heard: &Heard) -> Vec<Forgery> {
    let careful = careful_to_client(heard);
    let (value, echo) = heard.server.timestamps.unwrap_or_default();
    vec![Forgery { options: timestamps(value ^ 0x5555_0000, echo), ..careful }]
}

/// An injector that copies whatever it can: TTL, IP ID, DF, TOS, flow label, window, timestamps.
pub(super) fn careful(heard: &Heard) -> Vec<Forgery> {
    vec![careful_to_client(heard)]
}

/// The same, to both sides, so that neither contradicts it.
pub(in crate::laboratory) fn careful_both(heard: &Heard) -> Vec<Forgery> {
    let to_server = imitate(heard.to_server(RST | ACK), &heard.client, &heard.server);
    vec![careful_to_client(heard), to_server]
}

fn careful_to_client(heard: &Heard) -> Forgery {
    imitate(heard.to_client(RST | ACK), &heard.server, &heard.client)
}

/// As the sender of `like` would write it, who has heard `other`.
fn imitate(
    plain: Forgery,
    like: &rst_tracer::demo::frame::Segment,
    other: &rst_tracer::demo::frame::Segment,
) -> Forgery {
    let options = like.timestamps.map(|(value, echo)| {
        let heard_last = other.timestamps.map_or(echo, |(value, _)| value);
        timestamps(value.wrapping_add(2), heard_last)
    });
    Forgery {
        window: like.window,
        ttl: like.ttl,
        ip_id: like.ip_id.unwrap_or_default().wrapping_add(1),
        dont_fragment: like.dont_fragment,
        tos: like.tos,
        flow_label: like.flow_label.unwrap_or_default(),
        options: options.unwrap_or_default(),
        ..plain
    }
}

/// NOP, NOP, timestamps (RFC 7323, appendix A).
fn timestamps(value: u32, echo: u32) -> Vec<u8> {
    [&[1, 1, 8, 10][..], &value.to_be_bytes(), &echo.to_be_bytes()].concat()
}

/// A box that inspects what is said, and tells both sides that it is over.
pub(super) fn inspector(heard: &Heard) -> Vec<Forgery> {
    [heard.to_client(RST | ACK), heard.to_server(RST | ACK)]
        .map(|plain| Forgery { ttl: 61, ip_id: noise(heard), dont_fragment: true, ..plain })
        .into()
}

/// F5 BIG-IP with `tm.rstcause.pkt`: the reason in the payload, TTL 255 at the box.
fn big_ip(heard: &Heard, reason: &str) -> Vec<Forgery> {
    let payload = format!("BIG-IP: [0x2409a71:704] {reason}").into_bytes();
    [heard.to_client(RST | ACK), heard.to_server(RST | ACK)]
        .map(|plain| Forgery {
            payload: payload.clone(),
            ttl: 254,
            ip_id: noise(heard),
            dont_fragment: true,
            ..plain
        })
        .into()
}

/// F5: nothing was said for too long.
pub(super) fn big_ip_expired(heard: &Heard) -> Vec<Forgery> {
    big_ip(heard, "Flow expired (sweeper)")
}

/// F5: too many connections.
pub(super) fn big_ip_full(heard: &Heard) -> Vec<Forgery> {
    big_ip(heard, "connection limit exceeded")
}

/// F5: a policy.
pub(super) fn big_ip_policy(heard: &Heard) -> Vec<Forgery> {
    big_ip(heard, "Policy action")
}

/// The diagnostic payload of draft-boucadair-tcpm-rst-diagnostic-payload: the magic cookie 12345,
/// then a map of reason code (1) and text (3), in CBOR.
fn diagnostic(heard: &Heard, code: u8, text: &str) -> Vec<Forgery> {
    let mut payload = vec![0x19, 0x30, 0x39, 0xa2, 1, code, 3, 0x60 | text.len() as u8];
    payload.extend(text.as_bytes());
    [heard.to_client(RST | ACK), heard.to_server(RST | ACK)]
        .map(|plain| Forgery { payload: payload.clone(), ttl: 62, ip_id: noise(heard), ..plain })
        .into()
}

/// Reason 10 of the draft.
pub(super) fn diagnostic_full(heard: &Heard) -> Vec<Forgery> {
    diagnostic(heard, 10, "resource exceeded")
}

/// Reason 9 of the draft.
pub(super) fn diagnostic_forbidden(heard: &Heard) -> Vec<Forgery> {
    diagnostic(heard, 9, "not authorized")
}
