//! A host that forwards sees every segment twice; and frames that come in several buffers.

use rst_tracer_common::event::Counters;
use rst_tracer_tests::{
    frames::{Tcp, flags::*, rst, tcp},
    kernel::{self, Program, Record},
};

use crate::{
    behaviour::only,
    talk::{CLIENT_ISN, SERVER_ISN, Talk, segment, syn, with_flow},
};

/// Arrives by one hook, leaves by another.
const WAYS_THROUGH: [(Program, Program); 2] =
    [(Program::XdpIngress, Program::TcEgress), (Program::TcIngress, Program::TcEgress)];

#[test]
fn a_forwarded_segment_counts_once_for_its_flow() {
    let Some(mut kernel) = kernel::shared() else { return };
    for ((arrival, departure), port) in WAYS_THROUGH.into_iter().zip(1000..) {
        let mut talk = Talk { port, ..Talk::new(&mut kernel, arrival) };
        let frame = talk.of_client(syn());
        talk.see(&frame);
        let ran = talk.kernel.run(departure, &frame);
        let again = Counters { frames: 1, segments: 1, second_sightings: 1, ..Counters::default() };
        assert_eq!(ran.counted, only(departure, again));
        assert_eq!(talk.client_count().expect("a flow").packets, 1);
        assert_eq!(talk.flow().expect("a flow").retransmits[talk.client_side()], 0);
    }
}

#[test]
fn a_forwarded_rst_is_reported_at_both_places_and_noted_once() {
    let Some(mut kernel) = kernel::shared() else { return };
    for ((arrival, departure), port) in WAYS_THROUGH.into_iter().zip(1000..) {
        let mut talk = Talk { port, ..Talk::new(&mut kernel, arrival) };
        talk.handshake();
        let frame = talk.of_client(segment(RST, CLIENT_ISN + 1, 0));
        let arrived = talk.see(&frame);
        let left = talk.kernel.run_forwarded(departure, &frame, 77);
        let (arrived, left) = (with_flow(&arrived), with_flow(&left));
        assert_eq!((arrived.rst.head.hook, arrived.rst.head.came_by), (arrival.hook(), 0));
        assert_eq!((left.rst.head.hook, left.rst.head.came_by), (departure.hook(), 77));
        assert_eq!((arrived.flow.resets, left.flow.resets), (0, 1));
        assert_eq!(talk.flow().expect("a flow").resets, 1);
    }
}

#[test]
fn where_it_came_in_says_nothing_on_arrival() {
    let Some(mut kernel) = kernel::shared() else { return };
    let ran = kernel.run_forwarded(Program::TcIngress, &rst().layer().v4().frame(), 77);
    assert_eq!(ran.records[0].head().came_by, 0);
}

#[test]
fn the_answer_goes_the_other_way_and_has_a_home_of_its_own() {
    let Some(mut kernel) = kernel::shared() else { return };
    let mut talk = Talk::new(&mut kernel, Program::XdpIngress);
    talk.client(syn());
    let answer = talk.of_server(segment(SYN | ACK, SERVER_ISN, CLIENT_ISN + 1));
    let ran = talk.kernel.run(Program::TcEgress, &answer);
    assert_eq!(ran.counted[usize::from(Program::TcEgress.hook().0)].tracked, 1);
}

#[test]
fn a_jumbo_frame_in_several_buffers_is_read_at_its_front() {
    let Some(mut kernel) = kernel::shared() else { return };
    let payload = vec![b'j'; 8900];
    let frame = tcp(Tcp { payload, ..rst() }).v4().frame();
    let ran = kernel.run(Program::XdpIngress, &frame);
    assert_eq!(ran.verdict, Program::XdpIngress.verdict());
    assert!(ran.frame == frame);
    let [Record::Rst(rst)] = &ran.records[..] else { panic!("{:?}", ran.records) };
    assert_eq!(rst.head.wire_len as usize, frame.len());
    assert_eq!(rst.head.segment.tcp.payload_len, 8900);
    assert_eq!((rst.payload_len, rst.payload), (64, [b'j'; 64]));
}

#[test]
fn a_jumbo_frame_that_claims_more_than_its_buffers_hold_is_malformed() {
    let Some(mut kernel) = kernel::shared() else { return };
    let payload = vec![b'j'; 8900];
    let mut frame = tcp(Tcp { payload, ..rst() }).v4().frame();
    frame.pop();
    let ran = kernel.run(Program::XdpIngress, &frame);
    let mut expected = Counters { frames: 1, ..Counters::default() };
    expected.malformed[rst_tracer_common::wire::Malformed::LengthPastFrame as usize] = 1;
    assert_eq!(ran.counted, only(Program::XdpIngress, expected));
}
