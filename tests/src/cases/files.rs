//! What capture files differ in: byte order, clock, interfaces, snaplen, and a missing end.

use serde_json::json;

use super::{Case, link};
use crate::bytes;
use crate::capture_file::{Clock, Order, pcap, pcapng};
use crate::story::{
    Form::{Active, Refusal},
    Side::Server,
    Story,
};

fn told() -> Story {
    let mut s = Story::v4();
    s.syn();
    s.reset(Server, Refusal).stage("post_syn").zeek("REJ", "Sr");
    s.begin_from_port(51_235);
    s.exchange();
    s.reset(Server, Active).stage("post_data").zeek("RSTR", "ShADadr");
    s
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![two_interfaces(), nanoseconds(), short_snaplen(), cut_off()];
    let s = told();
    let file = pcap(link::ETHERNET, Order::Big, Clock::Microseconds, &s.frames);
    let about = "A pcap file from a big-endian machine.";
    cases.push(Case::in_file("capture.pcap", file, "pcap_big_endian", about, s));
    let s = told();
    let file = pcapng(&[("eth0", 1)], Order::Big, &s.frames);
    let about = "A pcapng file from a big-endian machine.";
    cases.push(Case::in_file("capture.pcapng", file, "pcapng_big_endian", about, s));
    cases
}

fn two_interfaces() -> Case {
    let mut s = Story::v4();
    s.syn();
    s.reset(Server, Refusal).stage("post_syn").zeek("REJ", "Sr").with("interface", "eth0");
    s.begin_from_port(51_235);
    s.wrap = bytes::raw;
    s.interface = 1;
    s.exchange();
    s.reset(Server, Active).stage("post_data").zeek("RSTR", "ShADadr").with("interface", "wg0");
    let file = pcapng(&[("eth0", 1), ("wg0", link::RAW as u16)], Order::Little, &s.frames);
    let about = "A pcapng file with an Ethernet and a raw IP interface: a connection on each.";
    Case::in_file("capture.pcapng", file, "pcapng_two_interfaces", about, s)
}

fn nanoseconds() -> Case {
    let mut s = told();
    for frame in &mut s.frames {
        frame.time_ns += 123;
    }
    // The first reset is two milliseconds behind 14 November 2023 22:13:20 UTC.
    s.events[0]["time"] = json!("2023-11-14T22:13:20.002000123Z");
    let file = pcap(link::ETHERNET, Order::Little, Clock::Nanoseconds, &s.frames);
    let about = "A pcap file whose clock counts nanoseconds.";
    Case::in_file("capture.pcap", file, "pcap_nanoseconds", about, s)
        .never(json!({"time": "2023-11-14T22:13:20.002000000Z"}))
}

fn short_snaplen() -> Case {
    let mut s = Story::v4();
    s.handshake();
    s.data(crate::story::Side::Client, 1000);
    s.ack(Server);
    s.data(Server, 1400);
    let mut reset = s.reset_segment(Server, Active);
    reset.payload = vec![b'x'; 100];
    let frame = s.send_packet(&reset.packet());
    s.expect(Server, frame)
        .stage("post_data")
        .zeek("RSTR", "ShADadr")
        .with("segment", json!({"payload_len": 100}));
    for frame in &mut s.frames {
        frame.bytes.truncate(64);
    }
    let about = "Captured with a snaplen of 64 bytes: headers are there, payload is not, lengths \
                 are those of the wire.";
    Case::of("snaplen_64", about, s)
}

fn cut_off() -> Case {
    let s = told();
    let mut file = pcap(link::ETHERNET, Order::Little, Clock::Microseconds, &s.frames);
    // One more frame begins, and its end is missing.
    let first = file[24..24 + 16 + 30].to_vec();
    file.extend(first);
    let about = "The file ends amid a frame, as that of a killed capture: every event before that \
                 is written, and the exit code is 1.";
    Case::in_file("capture.pcap", file, "cut_off", about, s).fails()
}
