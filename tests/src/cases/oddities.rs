//! Segments and packets out of the ordinary: fragments, extension headers, wraps, quotations.

use serde_json::json;

use super::Case;
use crate::bytes::{ACK, Ipv4, PSH, RST, TCP, ipv6, quoted_in_icmp};
use crate::story::{
    Form::{Active, Passive, Refusal},
    Side::{Client, Server},
    Story,
};

pub(super) fn cases() -> Vec<Case> {
    vec![
        reset_with_payload(),
        all_flags(),
        retransmitted_data(),
        sequence_wrap(),
        unordered_times(),
        options_in_ipv4(),
        extension_headers(),
        fragments_v4(),
        fragments_v6(),
        quoted_v4(),
        quoted_v6(),
    ]
}

fn reset_with_payload() -> Case {
    let mut s = Story::v4();
    s.exchange();
    let mut reset = s.reset_segment(Server, Active);
    reset.payload = b"Go away, we're not home".to_vec();
    let frame = s.send_packet(&reset.packet());
    let text = json!({"flags": "RA", "payload_len": 23});
    s.expect(Server, frame)
        .stage("post_data")
        .with("segment", text)
        .with("payload_text", "Go away, we're not home");
    let about = "A reset that says why, as RFC 9293 section 3.10.7.4 lets it.";
    Case::of("reset_with_payload", about, s)
}

fn all_flags() -> Case {
    let mut s = Story::v4();
    let segment = s.segment(Client, 0xff, &[]);
    let frame = s.send_packet(&segment.packet());
    s.expect(Client, frame).stage("no_flow").with("segment", json!({"flags": "FSRPAUEC"}));
    let about = "A scanner's segment with every flag set is a reset, and opens nothing.";
    let mut case = Case::of("every_flag_set", about, s);
    // Neither a SYN nor a SYN-ACK was seen: what carries RST opens nothing.
    for event in &mut case.events {
        for key in ["client", "server", "initiator", "sent_by"] {
            event.as_object_mut().map(|event| event.remove(key));
        }
    }
    case.never_claims_a_handshake()
}

fn retransmitted_data() -> Case {
    let mut s = Story::v4();
    s.handshake();
    let first = s.segment(Client, PSH | ACK, &[b'x'; 100]);
    s.data(Client, 100);
    for wait_ms in [200, 400, 800] {
        s.pause_ms(wait_ms);
        s.send_packet(&first.packet());
    }
    s.reset(Server, Passive).stage("post_push").zeek("RSTR", "ShADTr");
    let about = "Data sent four times is one segment of data; then the server resets.";
    Case::of("retransmitted_data", about, s).never(json!({"stage": "post_data"}))
}

fn sequence_wrap() -> Case {
    let mut s = Story::v4();
    s.begin_again([u32::MAX - 50, u32::MAX]);
    s.exchange();
    s.ack(Client);
    s.reset(Server, Active).stage("post_data").zeek("RSTR", "ShADadr");
    let about = "Both sequence numbers pass 2^32 amid the data; nothing is a retransmission.";
    Case::of("sequence_numbers_wrap", about, s)
}

fn unordered_times() -> Case {
    let mut s = Story::v4();
    s.syn();
    s.syn_ack();
    s.now_ns -= 5_000_000;
    s.ack(Client);
    s.now_ns -= 5_000_000;
    s.reset(Server, Active).stage("post_ack").zeek("RSTR", "ShAr");
    s.begin_from_port(51_235);
    s.now_ns -= 1_000_000_000;
    s.syn();
    s.reset(Server, Refusal).stage("post_syn").zeek("REJ", "Sr");
    let about =
        "Timestamps run backwards, as in files merged by hand: frames count in their order.";
    Case::of("unordered_timestamps", about, s)
}

fn options_in_ipv4() -> Case {
    let mut s = Story::v4();
    s.syn();
    let mut packet = s.reset_segment(Server, Refusal).packet();
    // Router alert (RFC 2113), with the header length and total length it makes.
    packet.splice(20..20, [0x94, 4, 0, 0]);
    packet[0] = 0x46;
    packet[3] += 4;
    // The checksum moves by what was added: 0x0100 + 0x0004 + 0x9404.
    let sum = u32::from(u16::from_be_bytes([packet[10], packet[11]]));
    let sum = sum + 2 * 0xffff - 0x0100 - 4 - 0x9404;
    let folded = ((sum & 0xffff) + (sum >> 16)) as u16;
    packet[10..12].copy_from_slice(&folded.to_be_bytes());
    let frame = s.send_packet(&packet);
    s.expect(Server, frame).stage("post_syn").zeek("REJ", "Sr");
    Case::of("ipv4_options", "The reset's IPv4 header has an option.", s)
}

fn extension_headers() -> Case {
    let mut s = Story::v6();
    s.syn();
    let reset = s.reset_segment(Server, Refusal);
    let (src, dst) = v6_ends();
    // Hop-by-hop, routing (type 253, no segments left), destination options: PadN in each.
    let hop_by_hop = [43, 0, 1, 4, 0, 0, 0, 0];
    let routing = [60, 0, 253, 0, 0, 0, 0, 0];
    let destination = [TCP, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let headers: [&[u8]; 4] = [&hop_by_hop, &routing, &destination, &reset.tcp()];
    let frame = s.send_packet(&ipv6(src, dst, 0, 64, &headers.concat()));
    s.expect(Server, frame).stage("post_syn").zeek("REJ", "Sr");
    let about = "The reset stands behind hop-by-hop, routing and destination headers.";
    Case::of("ipv6_extension_headers", about, s)
}

fn v6_ends() -> (std::net::Ipv6Addr, std::net::Ipv6Addr) {
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 9].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 5].into())
}

/// A reset with 40 bytes of payload, to be cut in two behind its first 32 bytes.
fn long_reset(s: &mut Story) -> crate::bytes::Segment {
    let mut reset = s.reset_segment(Server, Active);
    reset.payload = vec![RST; 40];
    reset
}

fn fragments_v4() -> Case {
    let mut s = Story::v4();
    s.exchange();
    let tcp = long_reset(&mut s).tcp();
    let (src, dst) = ([10, 0, 0, 9].into(), [10, 0, 0, 5].into());
    let header = Ipv4 { src, dst, protocol: TCP, ttl: 64, id: 77 };
    let frame = s.send_packet(&header.with_fragment_field(0x2000, &tcp[..32]));
    s.send_packet(&header.with_fragment_field(4, &tcp[32..]));
    s.expect(Server, frame).stage("post_data").zeek("RSTR", "ShADadr");
    let about = "A reset in two IPv4 fragments is one reset, at the first. The second begins with \
                 bytes that would pass for a header.";
    Case::of("fragments_v4", about, s)
}

fn fragments_v6() -> Case {
    let mut s = Story::v6();
    s.exchange();
    let tcp = long_reset(&mut s).tcp();
    let (src, dst) = v6_ends();
    let fragment = |field: u8, part: &[u8]| {
        let header = [TCP, 0, 0, field, 0, 0, 0, 77];
        ipv6(src, dst, 44, 64, &[&header, part].concat())
    };
    let frame = s.send_packet(&fragment(1, &tcp[..32]));
    s.send_packet(&fragment(4 << 3, &tcp[32..]));
    s.expect(Server, frame).stage("post_data").zeek("RSTR", "ShADadr");
    Case::of("fragments_v6", "The same in two IPv6 fragments.", s)
}

fn quoted_v4() -> Case {
    let mut s = Story::v4();
    s.handshake();
    let reset = s.reset_segment(Client, Active);
    s.send_packet(&quoted_in_icmp(&reset));
    let about = "An ICMP error quotes a reset. The quotation is no reset.";
    Case::of("quoted_in_icmp", about, s)
}

fn quoted_v6() -> Case {
    let mut s = Story::v6();
    s.handshake();
    let reset = s.reset_segment(Client, Active);
    s.send_packet(&quoted_in_icmp(&reset));
    Case::of("quoted_in_icmpv6", "The same in ICMPv6.", s)
}
