//! Frames whose headers stand in several buffers, as drivers hand them on that keep little or nothing in the first.
//!
//! A tap with NAPI fragments makes such socket buffers: what is written in pieces is a buffer a piece. Without GRO
//! nothing but the Ethernet header is brought together before the classifiers of traffic control.

use std::{
    fs::File,
    io::{IoSlice, Write},
    process::Command,
};

use rst_tracer::{demo::truth::Side, source::live::evidence::Scope};
use rst_tracer_common::event::FRAME;
use rst_tracer_tests::{
    frames::{Layer, Tcp, V4, ether, flags, protocol},
    tap,
};

use crate::{ear::Ear, in_laboratory, on_server};

const TAP: &str = "tap0";
/// Of an Ethernet header: no less may stand in the first buffer.
const ETHERNET: usize = 14;
/// Data segments amid each connection: with its opening more than the flight recorder holds.
const SWING: u32 = 20;
const SAID: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const LAST: &[u8] = b"Go away, please.";
const ISN: u32 = 999;

/// How a segment travels, and what becomes of it.
type Road = (&'static str, fn(Layer) -> Vec<u8>);

const ROADS: [Road; 6] = [
    ("IPv4", |segment| segment.v4().frame()),
    ("IPv6", |segment| segment.v6().frame()),
    ("IPv4 with options", |segment| {
        segment.in_v4(V4 { options: vec![1; 12], ..V4::default() }).frame()
    }),
    ("IPv6 with an extension header", |segment| {
        segment.behind_options(protocol::DESTINATION, 1).v6().frame()
    }),
    ("VLAN", |segment| segment.v4().tagged(ether::VLAN, 10).frame()),
    ("QinQ", |segment| segment.v6().tagged(ether::VLAN, 20).tagged(ether::QINQ, 10).frame()),
];

#[test]
fn headers_in_other_buffers_are_read_and_a_reset_is_copied_whole() {
    in_laboratory(|lab| {
        let mut tap = on_server(lab, || {
            let tap = tap::open(TAP, libc::IFF_TAP | libc::IFF_NAPI | libc::IFF_NAPI_FRAGS);
            run("ethtool", &["-K", TAP, "gro", "off"]);
            run("ip", &["link", "set", TAP, "up"]);
            tap.expect("a tap that takes frames in pieces")
        });
        let ear = Ear::open_at(lab.host(Side::Server), TAP, Scope::Netns);
        let mut resets = Vec::new();
        for (name, wrap) in ROADS {
            let headers = wrap(segment(0, flags::ACK, 0, b"").layer()).len();
            // Before each header and inside it; what is behind the cut in one buffer, and in many.
            for cut in (ETHERNET..headers + 2).step_by(3) {
                for piece in [usize::MAX, 11] {
                    let client = 10_000 + resets.len() as u16;
                    let mut send = |segment: Tcp| {
                        let frame = wrap(segment.layer());
                        write(&mut tap, &frame, cut, piece);
                        frame
                    };
                    let frame = talk(client, &mut send);
                    resets.push((format!("{name}, cut at {cut}, {piece} a piece"), client, frame));
                }
            }
        }
        let heard = ear.close();
        for (what, client, frame) in resets {
            let all: Vec<_> = heard
                .resets()
                .filter(|it| it.rst.head.segment.src.port == u32::from(client))
                .collect();
            assert_eq!(all.len(), 1, "{what}");
            let rst = &all[0].rst;
            let sent = untagged(frame);
            let seen = &rst.frame[..usize::from(rst.frame_len)];
            assert_eq!(seen, &sent[..sent.len().min(FRAME)], "{what}");
            assert_eq!(&rst.payload[..usize::from(rst.payload_len)], LAST, "{what}");
            let flow = all[0].flow.as_ref().unwrap_or_else(|| panic!("{what}: no connection"));
            let side = usize::from(rst.head.side);
            let facts = &flow.flow.facts[side];
            assert_eq!(facts.isn.0, ISN, "{what}");
            assert_eq!(facts.head, SAID[..facts.head.len()], "{what}");
            let said = u64::from(SWING) * SAID.len() as u64;
            assert_eq!(flow.hot.counts[side].bytes, said, "{what}");
        }
    });
}

/// A segment of the client, `at` bytes behind its SYN.
fn segment(client: u16, flags: u8, at: u32, payload: &[u8]) -> Tcp {
    Tcp { from: client, seq: ISN + at, flags, payload: payload.to_vec(), ..Tcp::default() }
}

/// A connection from its SYN to its reset, all of which comes out of the tap; the reset's frame.
fn talk(client: u16, send: &mut impl FnMut(Tcp) -> Vec<u8>) -> Vec<u8> {
    send(Tcp { ack: 0, ..segment(client, flags::SYN, 0, b"") });
    send(segment(client, flags::ACK, 1, b""));
    let len = SAID.len() as u32;
    for number in 0..SWING {
        send(segment(client, flags::ACK | flags::PSH, 1 + number * len, SAID));
    }
    send(segment(client, flags::RST | flags::ACK, 1 + SWING * len, LAST))
}

/// Writes a frame whose first `cut` bytes are one buffer, and whose others are of `piece` bytes each.
fn write(tap: &mut File, frame: &[u8], cut: usize, piece: usize) {
    let (first, rest) = frame.split_at(cut.min(frame.len() - 1));
    let pieces = std::iter::once(first).chain(rest.chunks(piece));
    let buffers: Vec<IoSlice<'_>> = pieces.map(IoSlice::new).collect();
    let written = tap.write_vectored(&buffers).expect("the tap takes it");
    assert_eq!(written, frame.len());
}

/// The frame as traffic control gets it: the kernel has put the outer tag beside it.
fn untagged(mut frame: Vec<u8>) -> Vec<u8> {
    let ether_type = u16::from_be_bytes([frame[12], frame[13]]);
    if [ether::VLAN, ether::QINQ].contains(&ether_type) {
        frame.drain(12..16);
    }
    frame
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().expect("it is installed");
    assert!(status.success(), "{program} {arguments:?}");
}
