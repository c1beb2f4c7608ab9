//! Whose habits a reset has.

use super::{gives, sane, share};
use crate::correlate::story::{ACK, Client, Packet, RST, Server, Story};
use crate::event::{Cause, Origin, RstEvent};

fn request() -> Story {
    let mut story = Story::v4();
    story.handshake();
    story.send(Packet {
        payload: b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        window: 1234,
        ..story.packet(Client, 0x18)
    });
    story.wait(5);
    story
}

fn raw(story: &Story) -> Packet {
    Packet { options: vec![], ip_id: 40_000, df: false, ttl: 60, ..story.packet(Server, RST | ACK) }
}

#[track_caller]
fn has_habit(event: &RstEvent, whose: &str) {
    let said = event.evidence.iter().find(|e| e.id == "habit");
    assert!(said.is_some_and(|said| said.text.contains(whose)), "{event:#?}");
}

#[test]
fn suricata_copies_the_window_of_the_trigger() {
    let mut story = request();
    story.send(Packet { window: 1234, ..raw(&story) });
    let event = sane(story.first());
    has_habit(&event, "Suricata");
    assert_eq!((event.cause, event.origin), (Cause::IpsActiveResponse, Origin::MiddleboxSuspected));
}

#[test]
fn suricata_is_proven_by_the_life_behind_it_alone() {
    let mut story = request();
    story.send(Packet { window: 1234, ..raw(&story) }).wait(30).say(Server, b"HTTP/1.1 200 OK");
    let event = sane(story.first());
    assert_eq!((event.cause, event.origin), (Cause::IpsActiveResponse, Origin::MiddleboxProven));
}

#[test]
fn suricata_resets_onwards_with_the_numbers_of_the_trigger() {
    let mut story = request();
    let sent = story.packet(Client, 0x18);
    let trigger = Packet { seq: sent.seq.wrapping_sub(18), window: 1234, ..sent };
    story.send(Packet { flags: RST | ACK, options: vec![], df: false, ttl: 60, ..trigger });
    let event = sane(story.first());
    has_habit(&event, "Suricata");
    assert!(gives(&event, "stale_seq"));
    assert_ne!(event.origin, Origin::MiddleboxProven);
}

#[test]
fn snort_answers_without_a_window() {
    let mut story = request();
    story.send(Packet { window: 0, ..raw(&story) });
    let event = sane(story.first());
    has_habit(&event, "Snort");
    assert!(share(&event, Cause::IpsActiveResponse) >= 10);
}

#[test]
fn snort_takes_what_the_triggers_hop_limit_leaves() {
    for (ttl, is_snorts) in [(255 - 64, true), (150, false)] {
        let mut story = Story::v6();
        story.handshake().exchange();
        let usual = story.packet(Server, RST | ACK);
        let raw = Packet { window: 0, options: vec![], flow_label: 0, ttl, ..usual };
        let event = sane(story.send(raw).first());
        let says = event.evidence.iter().any(|reason| reason.text.contains("Snort"));
        assert_eq!(says, is_snorts, "{event:#?}");
    }
}

#[test]
fn snort_mirrors_the_time_to_live_of_its_trigger_and_not_of_a_reset() {
    for (ttl, surely) in [(255 - 64, true), (150, false)] {
        let mut story = Story::v4();
        story.handshake().exchange();
        story.send(Packet { window: 0, ttl, ..raw(&story) });
        let event = sane(story.first());
        has_habit(&event, "Snort");
        assert_eq!(event.cause == Cause::IpsActiveResponse, surely, "{event:#?}");
    }
}

#[test]
fn tcpkill_shoots_a_window_apart() {
    let mut story = request();
    let acked = story.packet(Client, ACK).ack;
    for i in 0..3_u32 {
        let seq = acked.wrapping_add(i * 1234);
        story.send(Packet {
            flags: RST,
            ack: 0,
            window: 0,
            seq,
            ip_id: 40_000 + 77 * i as u16,
            ..raw(&story)
        });
    }
    let told: Vec<_> = story.told().into_iter().map(sane).collect();
    has_habit(&told[0], "tcpkill");
    assert_eq!((told[0].cause, told[0].origin), (Cause::InjectedReset, Origin::MiddleboxProven));
    assert_eq!(told[0].signature.as_deref(), Some("PSH+ACK → RST=RST"));
}

#[test]
fn constant_identifications_and_reserved_bits_are_known_habits() {
    let mut constant = Story::v4();
    constant.handshake().exchange().exchange();
    constant.send(Packet { ip_id: 16448, df: true, ..raw(&constant) });
    has_habit(&constant.first(), "constant IP ID");

    let mut reserved = request();
    reserved.send(Packet { reserved: 0xe, df: true, ip_id: 7003, ..raw(&reserved) });
    has_habit(&reserved.first(), "reserved bits");
}

#[test]
fn scapy_and_hping_are_known_by_their_defaults() {
    let mut scapy = request();
    scapy.send(Packet { ip_id: 1, window: 8192, ..raw(&scapy) });
    has_habit(&scapy.first(), "scapy");
    let mut hping = request();
    hping.send(Packet { window: 64, ..raw(&hping) });
    has_habit(&hping.first(), "hping");
}

#[test]
fn linux_has_no_habit_of_an_injector() {
    for mut story in super::both() {
        story.handshake().exchange().abort(Server).say(Client, b"more").disown(Server);
        assert!(story.told().iter().all(|event| !gives(event, "habit")));
    }
}

#[test]
fn a_reset_said_more_often_than_was_asked_is_no_answer() {
    let told = |times: usize, asks_again: bool| {
        let mut story = Story::v6();
        story.handshake().exchange().say(Client, b"more").wait(1);
        let answer = Packet { flow_label: 0, ..story.answer(Server) };
        for _ in 0..times {
            story.send(answer.clone()).wait(15);
            if asks_again {
                story.ack(Client).wait(1);
            }
        }
        story.wait(50).say_deaf(Server, b"and this", b"more").wait(50);
        story.say_deaf(Server, b"and that", b"more");
        sane(story.first())
    };
    let thrice = told(3, false);
    assert_eq!(thrice.cause, Cause::InjectedReset, "{thrice:#?}");
    assert_eq!(thrice.origin, Origin::MiddleboxProven);
    for (times, asks_again) in [(1, false), (3, true)] {
        assert_eq!(told(times, asks_again).cause, Cause::HostFirewallReject, "{times}");
    }
}
