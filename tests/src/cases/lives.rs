//! Resets in every phase of a connection's life, and captures that begin late.

use serde_json::json;

use super::Case;
use crate::bytes::{ACK, SYN};
use crate::story::{
    Form::{Active, Passive, Refusal},
    Side::{Client, Server},
    Story,
};

fn told(mut story: Story, tell: impl FnOnce(&mut Story)) -> Story {
    tell(&mut story);
    story
}

pub(super) fn cases() -> Vec<Case> {
    [refused(), half_open(), established(), closing(), begun_late(), repeated()]
        .into_iter()
        .flatten()
        .collect()
}

fn refused() -> Vec<Case> {
    let refuse = |s: &mut Story| {
        s.syn();
        s.reset(Server, Refusal).stage("post_syn").zeek("REJ", "Sr");
    };
    vec![
        Case::of(
            "closed_port_v4",
            "A SYN to a closed port and the reset that answers it.",
            told(Story::v4(), refuse),
        )
        .never(json!({"sent_by": "client"})),
        Case::of("closed_port_v6", "The same over IPv6.", told(Story::v6(), refuse))
            .never(json!({"sent_by": "client"})),
        Case::of(
            "syn_retransmitted_then_refused",
            "Three SYNs with one sequence number, a second apart, are one connection; the reset \
             answers the last.",
            told(Story::v4(), |s| {
                for _ in 0..3 {
                    let syn = s.segment(Client, SYN, &[]);
                    s.send_packet(&syn.packet());
                    s.pause_ms(1000);
                }
                s.syn();
                s.reset(Server, Refusal).stage("post_syn").zeek("REJ", "Sr");
            }),
        )
        .never(json!({"stage": "closed"})),
    ]
}

fn half_open() -> Vec<Case> {
    vec![
        Case::of(
            "reset_after_syn_by_client",
            "A SYN and a reset from the same side, with nothing heard from the other.",
            told(Story::v4(), |s| {
                s.syn();
                s.reset(Client, Passive).stage("post_syn").zeek("RSTOS0", "SR");
            }),
        )
        .never(json!({"sent_by": "server"})),
        Case::of(
            "reset_after_syn_ack_by_client",
            "A port scanner's handshake: the SYN-ACK is answered by a reset.",
            told(Story::v4(), |s| {
                s.syn();
                s.syn_ack();
                s.reset(Client, Passive).stage("post_synack").zeek("RSTO", "ShR");
            }),
        )
        .never(json!({"sent_by": "server"})),
        Case::of(
            "reset_after_syn_ack_by_server",
            "The server answers, then resets before the handshake is complete. To Zeek the SYN-ACK \
             establishes the connection: RSTR, not REJ.",
            told(Story::v4(), |s| {
                s.syn();
                s.syn_ack();
                s.reset(Server, Active).stage("post_synack").zeek("RSTR", "Shr");
            }),
        )
        .never(json!({"sent_by": "client"})),
    ]
}

fn established() -> Vec<Case> {
    vec![
        Case::of(
            "reset_after_handshake",
            "The handshake is complete, no data flowed.",
            told(Story::v4(), |s| {
                s.handshake();
                s.reset(Server, Active).stage("post_ack").zeek("RSTR", "ShAr");
            }),
        ),
        Case::of(
            "reset_after_first_data",
            "One segment of data, then a reset: where most inspection devices act.",
            told(Story::v4(), |s| {
                s.handshake();
                s.data(Client, 100);
                s.reset(Server, Passive).stage("post_push").zeek("RSTR", "ShADr");
            }),
        ),
        Case::of(
            "reset_after_data_by_client",
            "Request and answer, then the client resets.",
            told(Story::v6(), |s| {
                s.exchange();
                s.reset(Client, Active).stage("post_data").zeek("RSTO", "ShADadR");
            }),
        ),
        Case::of(
            "reset_after_data_by_server",
            "Request and answer, then the server resets.",
            told(Story::v4(), |s| {
                s.exchange();
                s.ack(Client);
                s.reset(Server, Active).stage("post_data").zeek("RSTR", "ShADadr");
            }),
        ),
        Case::of(
            "reset_after_data_one_direction",
            "Only what the client sent was captured, as behind an asymmetric route.",
            told(Story::v4(), |s| {
                s.syn();
                s.ack(Client);
                s.data(Client, 100);
                s.reset(Client, Active).stage("post_push").zeek("OTH", "SADR");
            }),
        ),
    ]
}

fn closing() -> Vec<Case> {
    vec![
        Case::of(
            "fin_then_reset_by_the_same_side",
            "The client closes, the server still sends, the closed client answers with a reset.",
            told(Story::v4(), |s| {
                s.exchange();
                s.fin(Client);
                s.data(Server, 300);
                s.reset(Client, Passive).stage("post_fin").zeek("RSTO", "ShADadFR");
            }),
        ),
        Case::of(
            "fin_then_reset_by_the_other_side",
            "The client closes, the server resets.",
            told(Story::v4(), |s| {
                s.exchange();
                s.fin(Client);
                s.reset(Server, Active).stage("post_fin").zeek("RSTR", "ShADadFr");
            }),
        ),
        Case::of(
            "reset_after_close",
            "Both sides closed and acknowledged it; the client resets nevertheless.",
            told(Story::v4(), |s| {
                s.exchange();
                s.fin(Client);
                s.fin(Server);
                s.ack(Client);
                s.reset(Client, Active).stage("closed");
            }),
        ),
    ]
}

fn begun_late() -> Vec<Case> {
    vec![
        Case::of(
            "capture_begins_at_syn_ack",
            "The SYN was not captured; the SYN-ACK tells who opened the connection.",
            told(Story::v4(), |s| {
                s.syn_ack();
                s.ack(Client);
                s.reset(Server, Active).stage("post_ack").with("history", "^hAr");
            }),
        )
        .never(json!({"initiator": "syn"}))
        .never(json!({"initiator": "ports"})),
        Case::of(
            "capture_begins_mid_stream",
            "Nothing of the handshake was captured.",
            told(Story::v4(), |s| {
                s.data(Client, 100);
                s.data(Server, 300);
                s.reset(Server, Active).stage("post_data");
            }),
        )
        .never_claims_a_handshake()
        .never(json!({"sent_by": "client"})),
        Case::of(
            "syn_ack_mid_stream",
            "A stray SYN-ACK amid a connection whose beginning was not captured proves nothing \
             about who opened it.",
            told(Story::v4(), |s| {
                s.data(Client, 100);
                s.data(Server, 300);
                let stray = s.segment(Client, SYN | ACK, &[]);
                s.send_packet(&stray.packet());
                s.reset(Server, Active).stage("post_data");
            }),
        )
        .never_claims_a_handshake()
        .never(json!({"sent_by": "client"})),
        Case::of(
            "lone_reset",
            "A reset and nothing else.",
            told(Story::v4(), |s| {
                s.reset(Server, Passive).stage("no_flow");
            }),
        )
        .never_claims_a_handshake()
        .never(json!({"sent_by": "client"})),
    ]
}

fn repeated() -> Vec<Case> {
    vec![
        Case::of(
            "port_reused",
            "Two connections between the same ends: the second begins anew and is refused.",
            told(Story::v4(), |s| {
                s.exchange();
                s.reset(Client, Active).stage("post_data").zeek("RSTO", "ShADadR");
                s.pause_ms(2000);
                s.begin_again([90_000_000, 0]);
                s.syn();
                s.reset(Server, Refusal).stage("post_syn").zeek("REJ", "Sr");
            }),
        ),
        Case::of(
            "three_resets_of_one_connection",
            "Three segments in flight meet a dead socket: one reset each, each an event.",
            told(Story::v4(), |s| {
                s.handshake();
                for _ in 0..3 {
                    s.data(Client, 100);
                }
                let mut reset = s.reset_segment(Server, Passive);
                for n in 0..3 {
                    let frame = s.send_packet(&reset.packet());
                    let stage = if n == 0 { "post_data" } else { "closed" };
                    s.expect(Server, frame).stage(stage);
                    reset.ip_id += 1;
                }
            }),
        )
        .never(json!({"sent_by": "client"})),
    ]
}
