//! Resets: which end a connection, how many are reported, and what follows them.

use rst_tracer_common::{
    event::{Counters, Kind},
    flow::Stage,
};
use rst_tracer_tests::{
    frames::{flags::*, rst},
    kernel::{self, Program, Record},
};

use crate::talk::{CLIENT_ISN, SERVER_ISN, Talk, counted, data, history, segment, syn, with_flow};

const C: u32 = CLIENT_ISN + 1;
const S: u32 = SERVER_ISN + 1;

/// The stage in which the next RST finds the connection.
fn stage_found(talk: &mut Talk<'_>) -> Stage {
    let ran = talk.server(segment(RST, S, 0));
    let record = with_flow(&ran);
    Stage::of(&record.hot)
}

#[test]
fn a_rst_begins_no_flow() {
    let Some(mut kernel) = kernel::shared() else { return };
    for program in Program::ETHERNET {
        for _ in 0..2 {
            let ran = kernel.run(program, &rst().layer().v4().frame());
            assert!(matches!(ran.records[..], [Record::Rst(_)]));
            assert_eq!(counted(&ran, program).flows, 0);
        }
    }
}

#[test]
fn a_rst_at_the_very_next_number_ends_the_connection() {
    let Some(mut kernel) = kernel::shared() else { return };
    let mut talk = Talk::new(&mut kernel, Program::TcIngress);
    talk.handshake();
    talk.server(segment(RST, S, 0));
    assert_eq!(stage_found(&mut talk), Stage::Closed);
}

#[test]
fn a_rst_elsewhere_in_the_window_does_not() {
    let Some(mut kernel) = kernel::shared() else { return };
    let mut talk = Talk::new(&mut kernel, Program::TcIngress);
    talk.handshake();
    talk.server(segment(RST, S + 1, 0));
    talk.server(segment(RST, S.wrapping_sub(1), 0));
    talk.client(segment(RST, C + 20_000, 0));
    assert_eq!(stage_found(&mut talk), Stage::PostAck);
}

#[test]
fn a_refusal_of_the_syn_ends_the_attempt_if_it_acknowledges_it() {
    let Some(mut kernel) = kernel::shared() else { return };
    for (port, ack, stage) in [(1000, CLIENT_ISN, Stage::PostSyn), (1001, C, Stage::Closed)] {
        let mut talk = Talk { port, ..Talk::new(&mut kernel, Program::XdpIngress) };
        talk.client(syn());
        let ran = talk.server(segment(RST | ACK, 0, ack));
        assert_eq!(history(with_flow(&ran)), "S");
        let ran = talk.client(segment(RST, C, 0));
        let record = with_flow(&ran);
        assert_eq!(Stage::of(&record.hot), stage, "acknowledging {ack}");
        assert_eq!(history(record), "Sr");
    }
}

#[test]
fn a_flow_reports_sixteen_resets_a_second_and_counts_the_rest() {
    let Some(mut kernel) = kernel::shared() else { return };
    for (program, port) in Program::ETHERNET.into_iter().zip(1000..) {
        let mut talk = Talk { port, ..Talk::new(&mut kernel, program) };
        talk.handshake();
        let mut total = Counters::default();
        let mut reported = 0;
        for i in 0..20 {
            let ran = talk.server(segment(RST, S + 40 + i, 0));
            total.add(&counted(&ran, program));
            reported += ran.records.len();
        }
        assert_eq!(reported, 16);
        assert_eq!((total.rsts, total.delivered, total.suppressed), (20, 16, 4));
        assert_eq!(total.rsts, total.delivered + total.suppressed + total.ring_full);
        let flow = talk.flow().expect("the flow stays");
        assert_eq!((flow.resets, flow.suppressed), (20, 4));
    }
}

#[test]
fn what_follows_a_rst_is_reported_as_aftermath_up_to_eight_segments() {
    let Some(mut kernel) = kernel::shared() else { return };
    for (program, port) in Program::ETHERNET.into_iter().zip(1000..) {
        let mut talk = Talk { port, ..Talk::new(&mut kernel, program) };
        talk.handshake();
        talk.client(segment(RST, C, 0));
        let (mut total, mut heads) = (Counters::default(), Vec::new());
        for i in 0..10 {
            let ran = talk.server(data(S + i, C, b"z"));
            total.add(&counted(&ran, program));
            heads.extend(ran.records);
        }
        assert_eq!((total.tracked, total.aftermath, total.aftermath_lost), (10, 8, 0));
        assert_eq!(heads.len(), 8);
        for (i, record) in (0..).zip(&heads) {
            let Record::Aftermath(head) = record else { panic!("{record:?}") };
            assert_eq!((head.kind, head.hook), (Kind::AFTERMATH, program.hook()));
            assert_eq!(head.flow_hash, talk.identity().hash);
            assert_eq!(usize::from(head.side), talk.client_side() ^ 1);
            assert_eq!((head.segment.tcp.seq.0, head.segment.tcp.payload_len), (S + i, 1));
            assert_eq!(head.wire_len, 55);
        }
    }
}

#[test]
fn a_second_rst_begins_a_new_aftermath() {
    let Some(mut kernel) = kernel::shared() else { return };
    let mut talk = Talk::new(&mut kernel, Program::TcEgress);
    talk.handshake();
    let mut aftermath = 0;
    for _ in 0..2 {
        talk.client(segment(RST, C, 0));
        for _ in 0..10 {
            aftermath += talk.server(segment(ACK, S, C)).records.len();
        }
    }
    assert_eq!(aftermath, 16);
}

#[test]
fn decoys_hide_the_reset_that_ends_the_connection_from_no_program() {
    let Some(mut kernel) = kernel::shared() else { return };
    for (program, port) in Program::ETHERNET.into_iter().zip(1000..) {
        let mut talk = Talk { port, ..Talk::new(&mut kernel, program) };
        talk.handshake();
        let mut total = Counters::default();
        for i in 0..40 {
            let ran = talk.server(segment(RST, S + 1_000_000 + i, 0));
            total.add(&counted(&ran, program));
        }
        let ran = talk.server(segment(RST, S, 0));
        total.add(&counted(&ran, program));
        let record = with_flow(&ran);
        assert_eq!((Stage::of(&record.hot), record.flow.suppressed), (Stage::PostAck, 24));
        assert_eq!((total.rsts, total.delivered, total.suppressed), (41, 17, 24));
        assert_eq!(stage_found(&mut talk), Stage::Closed);
    }
}
