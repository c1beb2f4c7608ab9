//! What the programs remember of a connection, as a RST brings it to light.

use std::ops::Range;

use rst_tracer_common::{
    event::Counters,
    flow::{OpenedBy, Side, Slot, Stage, slot_trait},
    wire::{Flags, Seq, option},
};
use rst_tracer_tests::{
    frames::{MAC, Tcp, V4, V6, ether, flags::*, rst, tcp},
    kernel::{self, Program, Record},
};

use crate::{
    behaviour::only,
    talk::{
        CLIENT_ISN, SERVER_ISN, Talk, counted, data, history, segment, syn, syn_ack, with_flow,
    },
};

const C: u32 = CLIENT_ISN + 1;
const S: u32 = SERVER_ISN + 1;

#[test]
fn a_handshake_is_one_flow_and_three_tracked_segments() {
    let Some(mut kernel) = kernel::shared() else { return };
    for (program, port) in Program::ETHERNET.into_iter().zip(1000..) {
        let mut talk = Talk { port, ..Talk::new(&mut kernel, program) };
        let [first, second, third] = talk.handshake();
        let later = Counters { frames: 1, segments: 1, tracked: 1, ..Counters::default() };
        assert_eq!(first.counted, only(program, Counters { flows: 1, ..later }));
        assert_eq!(second.counted, only(program, later));
        assert_eq!(third.counted, only(program, later));
        assert!([first, second, third].iter().all(|ran| ran.records.is_empty()));
    }
}

#[test]
fn a_vlan_tag_lengthens_no_way() {
    let Some(mut kernel) = kernel::shared() else { return };
    let runs =
        Program::ETHERNET.into_iter().flat_map(|program| [(program, false), (program, true)]);
    for ((program, is_v6), port) in runs.zip(1000..) {
        let mut talk = Talk { port, ..Talk::new(&mut kernel, program) };
        let tagged = |segment: Tcp| {
            let layer = tcp(Tcp { from: port, ..segment });
            if is_v6 { layer.v6() } else { layer.v4() }.tagged(ether::VLAN, 10).frame()
        };
        let answer = |segment: Tcp| {
            let layer = tcp(Tcp { from: port, ..segment }.back());
            let layer = if is_v6 {
                layer.in_v6(V6::default().back())
            } else {
                layer.in_v4(V4::default().back())
            };
            layer.tagged(ether::VLAN, 10).frame()
        };
        talk.see(&tagged(syn()));
        talk.see(&answer(syn_ack()));
        talk.see(&tagged(segment(ACK, C, S)));
        let usual = talk.kernel.usual();
        let segments = 40;
        for at in 0..segments {
            talk.see(&tagged(data(C + at * 4, S, b"word")));
        }
        // All but the first ones, with which the recorder is full, and the one that takes the slot of the SYN-ACK.
        assert_eq!(talk.kernel.usual() - usual, u64::from(segments) - 14, "{program:?} {is_v6}");
    }
}

#[test]
fn a_rst_carries_the_flow_as_it_stood_before_it() {
    let Some(mut kernel) = kernel::shared() else { return };
    for (program, port) in Program::ETHERNET.into_iter().zip(1000..) {
        let mut talk = Talk { port, ..Talk::new(&mut kernel, program) };
        talk.handshake();
        talk.client(data(C, S, b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"));
        let ran = talk.server(segment(RST | ACK, S, C + 37));
        let record = with_flow(&ran);
        let client = talk.client_side();
        let server = client ^ 1;

        assert_eq!(history(record), "ShAD");
        assert_eq!(Stage::of(&record.hot), Stage::PostPush);
        assert_eq!(record.hot.opener(), Some(client as u32));
        assert_eq!(record.flow.opened_by, OpenedBy::SYN);
        assert_eq!(record.hot.seq_end[client], Seq(C + 37));
        assert_eq!(record.hot.seq_end[server], Seq(S));
        assert_eq!(record.hot.ack[client], Seq(S));
        assert_eq!(record.hot.ack[server], Seq(C));
        assert_eq!((record.flow.resets, record.flow.reset_ns), (0, 0));

        let sides = Side::both(&record.hot, &record.flow, &record.recorder);
        let (theirs, ours) = (&sides[client], &sides[server]);
        assert_eq!((theirs.packets, theirs.bytes, theirs.data_segments), (3, 37, 1));
        assert_eq!((ours.packets, ours.bytes, ours.data_segments), (1, 0, 0));
        assert_eq!((theirs.ttl, ours.ttl), (64, 57));
        assert_eq!(theirs.scale, 7);
        let (theirs, ours) = (&record.flow.facts[client], &record.flow.facts[server]);
        assert_eq!((theirs.isn, ours.isn), (Seq(CLIENT_ISN), Seq(SERVER_ISN)));
        assert_eq!((theirs.mss, ours.mss), (1460, 1400));
        assert_eq!(theirs.options, option::MSS | option::WINDOW_SCALE);
        assert_eq!((theirs.first_window, ours.first_window), (512, 28_960));
        assert_eq!((theirs.mac, theirs.first_ip_id), (MAC, 7));
        assert_eq!(&theirs.head, b"GET / HTTP/1.1\r\n");
        assert_eq!((theirs.head_len, ours.head_len), (16, 0));

        let noted = talk.flow().expect("the flow stays");
        assert_eq!((noted.resets, noted.reset_ns), (1, record.rst.head.time_ns));
    }
}

#[test]
fn the_flight_recorder_holds_every_segment_before_the_rst() {
    let Some(mut kernel) = kernel::shared() else { return };
    let mut talk = Talk::new(&mut kernel, Program::TcIngress);
    talk.handshake();
    talk.client(data(C, S, b"hello"));
    let ran = talk.server(segment(RST, S, 0));
    let record = with_flow(&ran);
    let client = talk.client_side() as u8;
    let slot = |from: u8, flags: u8, seq: u32, ack: u32| Slot {
        seq: Seq(seq),
        ack: Seq(ack),
        window: 512,
        flags: Flags(flags),
        ttl: if from == client { 64 } else { 57 },
        ip_id: if from == client { 7 } else { 0 },
        traits: (from * slot_trait::SIDE_1) | slot_trait::DONT_FRAGMENT,
        ..Slot::default()
    };
    let expected = [
        slot(client, SYN, CLIENT_ISN, 0),
        Slot { window: 28_960, ..slot(client ^ 1, SYN | ACK, SERVER_ISN, C) },
        slot(client, ACK, C, S),
        Slot { len: 5, ..slot(client, PSH | ACK, C, S) },
    ];
    assert_eq!(record.hot.recorded, 4);
    let recorded = &record.recorder.slots[..4];
    assert!(recorded.is_sorted_by_key(|slot| slot.time_ns));
    assert!(recorded[0].time_ns > 0 && recorded[3].time_ns < record.rst.head.time_ns);
    let timeless = |slot: &Slot| Slot { time_ns: 0, ..*slot };
    assert_eq!(recorded.iter().map(timeless).collect::<Vec<_>>(), expected);
}

#[test]
fn the_flight_recorder_keeps_the_last_sixteen() {
    let Some(mut kernel) = kernel::shared() else { return };
    let mut talk = Talk::new(&mut kernel, Program::XdpIngress);
    talk.handshake();
    for i in 0..20 {
        talk.client(data(C + i, S, b"x"));
    }
    let ran = talk.client(segment(RST, C + 20, 0));
    let record = with_flow(&ran);
    assert_eq!(record.hot.recorded, 23);
    let mut kept: Vec<u32> = record.recorder.slots.iter().map(|slot| slot.seq.0).collect();
    kept.sort_unstable();
    assert_eq!(kept, (C + 4..C + 20).collect::<Vec<_>>());
}

#[test]
fn the_first_payload_of_each_side_is_kept_and_no_other() {
    let Some(mut kernel) = kernel::shared() else { return };
    let mut talk = Talk::new(&mut kernel, Program::TcEgress);
    talk.handshake();
    talk.client(data(C, S, b"SSH-2.0-a"));
    talk.client(data(C + 9, S, b"never mind"));
    talk.server(data(S, C + 19, b"SSH-2.0-b"));
    let ran = talk.server(segment(RST, S + 9, 0));
    let facts = with_flow(&ran).flow.facts;
    let client = &facts[talk.client_side()];
    let server = &facts[talk.client_side() ^ 1];
    assert_eq!(&client.head[..usize::from(client.head_len)], b"SSH-2.0-a");
    assert_eq!(&server.head[..usize::from(server.head_len)], b"SSH-2.0-b");
}

#[test]
fn a_connection_over_ipv6_and_vlan_is_followed_too() {
    let Some(mut kernel) = kernel::shared() else { return };
    let frame = |tcp: rst_tracer_tests::frames::Layer| tcp.v6().tagged(0x8100, 10).frame();
    for (program, port) in Program::ETHERNET.into_iter().zip(1000..) {
        let from = |tcp: Tcp| Tcp { from: port, ..tcp };
        kernel.run(program, &frame(tcp(from(syn()))));
        let ran = kernel.run(program, &frame(tcp(from(Tcp { seq: C, ..rst() }))));
        let record = with_flow(&ran);
        assert_eq!(history(record), "S");
        assert_eq!(record.rst.head.segment.vlan, [1 << 16 | 10, 0]);
    }
}

#[test]
fn the_same_ports_between_other_addresses_are_another_connection() {
    let Some(mut kernel) = kernel::shared() else { return };
    let mut talk = Talk::new(&mut kernel, Program::XdpIngress);
    talk.handshake();
    let ran = talk.see(&rst().layer().v6().frame());
    assert!(matches!(ran.records[..], [Record::Rst(_)]), "{:?}", ran.records);
}

#[test]
fn a_syn_after_the_end_begins_the_next_connection() {
    let Some(mut kernel) = kernel::shared() else { return };
    let mut talk = Talk::new(&mut kernel, Program::TcIngress);
    talk.handshake();
    talk.server(segment(RST, S, 0));
    let ran = talk.client(Tcp { seq: 700_000, ..syn() });
    assert_eq!(counted(&ran, Program::TcIngress).flows, 0, "it takes the place of the former");
    let ran = talk.server(segment(RST | ACK, 0, 700_001));
    let record = with_flow(&ran);
    assert_eq!((history(record).as_str(), record.flow.reuses), ("S", 1));
    assert_eq!(record.flow.facts[talk.client_side()].isn, Seq(700_000));
}

#[test]
fn live_connections_are_never_pushed_out_and_newcomers_are_counted() {
    let Some(mut kernel) = kernel::shared() else { return };
    let program = Program::TcIngress;
    let mut total = Counters::default();
    let mut talk = Talk::new(&mut kernel, program);
    for port in 1000..1200 {
        talk.port = port;
        for ran in talk.handshake() {
            total.add(&counted(&ran, program));
        }
    }
    let tracked = (1000..1200).filter(|port| {
        talk.port = *port;
        talk.flow().is_some()
    });
    let tracked = tracked.count() as u64;
    assert_eq!(total.segments, 600);
    assert_eq!(total.segments, total.tracked + total.table_full);
    assert_eq!((total.flows, total.tracked), (tracked, tracked * 3));
    assert!(tracked <= 64 && total.table_full > 0, "{total:?}");
    assert_eq!((total.evicted_finished, total.evicted_half_open), (0, 0));
}

/// Clients whose connections are to outlive a flood.
const ESTABLISHED: Range<u16> = 1000..1016;

fn shake_hands(talk: &mut Talk<'_>) {
    for port in ESTABLISHED {
        talk.port = port;
        talk.handshake();
    }
}

fn all_are_there(talk: &mut Talk<'_>) {
    for port in ESTABLISHED {
        talk.port = port;
        let ran = talk.client(segment(RST, C, 0));
        assert_eq!(history(with_flow(&ran)), "ShA", "port {port}");
    }
}

#[test]
fn a_flood_of_syns_evicts_half_open_connections_only() {
    let Some(mut kernel) = kernel::shared() else { return };
    let program = Program::XdpIngress;
    let mut talk = Talk::new(&mut kernel, program);
    shake_hands(&mut talk);
    let mut total = Counters::default();
    for port in 2000..4000 {
        talk.port = port;
        total.add(&counted(&talk.client(syn()), program));
    }
    assert_eq!((total.flows, total.table_full), (2000, 0));
    assert!(total.evicted_half_open >= 2000 - 48, "{total:?}");
    all_are_there(&mut talk);
}

#[test]
fn a_flood_of_syns_and_acks_that_nobody_answers_evicts_nothing_else() {
    let Some(mut kernel) = kernel::shared() else { return };
    let program = Program::TcIngress;
    let mut talk = Talk::new(&mut kernel, program);
    shake_hands(&mut talk);
    let mut total = Counters::default();
    for port in 2000..4000 {
        talk.port = port;
        total.add(&counted(&talk.client(syn()), program));
        total.add(&counted(&talk.client(segment(ACK, C, S)), program));
    }
    assert_eq!((total.flows, total.table_full, total.tracked), (2000, 0, 4000));
    all_are_there(&mut talk);
}
