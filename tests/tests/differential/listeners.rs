//! Listeners that the table of servers remembers in one set, and more of them than it has room for.
//!
//! In: how many. Out: frames in which each of them accepts a connection, and then each refuses one.

use rst_tracer_common::flow::Identity;
use rst_tracer_tests::{
    frames::{CLIENT_PORT, Tcp, V4, flags, tcp},
    kernel::{KEYS, Program},
};

use crate::{script::Action, twin::Twin};

/// The client's sequence number.
const SEQ: u32 = 1000;

/// The client's SYN to a listener, from a port of its own.
fn calls(from: u16, to: u16) -> Action {
    let segment = Tcp { from, to, flags: flags::SYN, seq: SEQ, ack: 0, ..Tcp::default() };
    Action::Frame(Program::XdpIngress, tcp(segment).in_v4(V4::default()).frame())
}

/// The listener's answer.
fn answers(from: u16, to: u16, flags: u8) -> Action {
    let segment = Tcp { from, to, flags, seq: 0, ack: SEQ + 1, ..Tcp::default() };
    Action::Frame(Program::TcEgress, tcp(segment).in_v4(V4::default().back()).frame())
}

/// The set in which a listener is remembered.
fn set_of(port: u16) -> u32 {
    let Action::Frame(program, frame) = answers(port, CLIENT_PORT, flags::RST) else {
        unreachable!("a frame")
    };
    let segment = Twin::locate(program, &frame).expect("a segment");
    Identity::of(&segment.src, &segment.dst, &KEYS).server_set()
}

/// So many listeners, all of one set.
pub(crate) fn of_one_set(count: usize) -> Vec<Action> {
    let all = (1..=u16::MAX).filter(|port| set_of(*port) == set_of(443));
    let listeners: Vec<u16> = all.take(count).collect();
    assert_eq!(listeners.len(), count);
    let talk = |client: u16, answer| {
        let both = move |port: &u16| [calls(client, *port), answers(*port, client, answer)];
        listeners.iter().flat_map(both)
    };
    let accept = talk(CLIENT_PORT, flags::SYN | flags::ACK);
    accept.chain(talk(CLIENT_PORT + 1, flags::RST | flags::ACK)).collect()
}
