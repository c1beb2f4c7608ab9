//! The facts of the event, on connections told segment by segment.

mod chance;
mod effects;
mod memory;
mod states;
mod testimony;

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use rst_tracer_common::{event::Hook, wire::Tunnel};

use super::{Scene, describe};
use crate::correlate::story::{ACK, Client, Packet, RST, Server, Story};
use crate::event::{Direction, Event, Initiator, LocalRole, SentBy, SessionEndReason, Speaker};

#[test]
fn the_handshake_tells_who_is_who() {
    let mut story = Story::between(false, 443, 51234);
    story.handshake().exchange().abort(Server);
    let event = story.first();
    assert_eq!(event.initiator, Initiator::Syn);
    assert_eq!(event.sent_by, SentBy::Server, "whatever the ports look like");
    assert_eq!(event.client.unwrap().port, 443);
    assert_eq!(event.session_end_reason, SessionEndReason::TcpRstFromServer);

    let mut half = Story::between(false, 50000, 60000);
    half.syn_ack().wait(1).ack(Client).wait(1).abort(Client);
    let event = half.first();
    assert_eq!((event.initiator, event.sent_by), (Initiator::SynAck, SentBy::Client));
}

#[test]
fn without_a_handshake_the_ports_may_tell() {
    let mut story = Story::v4();
    story.exchange().abort(Server);
    let event = story.first();
    assert_eq!((event.initiator, event.sent_by), (Initiator::Ports, SentBy::Server));
    assert!(event.confidence.percent() <= 60, "the beginning was not seen");
}

#[test]
fn equal_ports_leave_the_sides_unnamed() {
    let mut story = Story::between(false, 50000, 60000);
    story.exchange().abort(Server);
    let event = story.first();
    assert_eq!((event.initiator, event.sent_by), (Initiator::Unknown, SentBy::Unknown));
    assert_eq!((event.client, event.server), (None, None));
    let flow = event.flow.unwrap();
    assert_eq!(flow.src.unwrap().bytes, 19);
    assert_eq!(event.recent[0].from, Speaker::Dst);
}

#[test]
fn a_host_that_sees_it_come_and_go_forwards_it() {
    let mut story = Story::v4();
    (story.hook, story.ifindex) = (Hook::XDP, 2);
    story.handshake().exchange();
    let rst = story.packet(Client, RST | ACK);
    story.seen_at(Hook::XDP, 2, &rst).seen_at(Hook::TC_EGRESS, 3, &rst);
    let told = story.told();
    assert_eq!(told.len(), 1, "two sightings of one reset");
    let event = &told[0];
    assert_eq!(
        (event.local_role, event.direction),
        (LocalRole::Forwarder, Some(Direction::Ingress))
    );
    assert_eq!(event.sightings.len(), 2);
    assert_eq!(event.sightings[1].interface.as_deref(), Some("eth3"));
}

#[test]
fn what_comes_in_names_its_station_and_what_leaves_does_not() {
    let told = |hook, mac, is_ethernet| {
        let mut story = Story::v4();
        (story.hook, story.ifindex) = (hook, 2);
        story.handshake();
        let rst = Packet { mac, ..story.packet(Server, RST) };
        story.send(rst);
        let mut joined = story.joined();
        joined.reset.origin.is_ethernet = is_ethernet;
        if mac == 0 {
            joined.reset.rst.head.segment.mac = [0; 6];
        }
        let event = describe(&joined, &Scene::default());
        (event.segment.src_mac.map(|mac| mac.to_string()), event.ifindex)
    };
    let station = || Some("02:00:00:00:00:09".to_owned());
    assert_eq!(told(Hook::XDP, 9, true), (station(), Some(2)));
    assert_eq!(told(Hook::TC_INGRESS, 9, true), (station(), Some(2)));
    assert_eq!(told(Hook::TC_EGRESS, 9, true), (None, Some(2)), "its own");
    assert_eq!(told(Hook::PCAP, 9, true), (station(), None));
    assert_eq!(told(Hook::PCAP, 9, false), (None, None), "of a link of another kind");
    assert_eq!(told(Hook::TC_INGRESS, 0, true), (None, Some(2)), "of the loopback");
}

#[test]
fn the_frame_names_the_station_that_it_is_for() {
    let told = |hook, tunnel, is_ethernet, frame_len| {
        let mut story = Story::v4();
        (story.hook, story.ifindex) = (hook, 2);
        story.handshake();
        let rst = Packet { mac: 9, ..story.packet(Server, RST) };
        story.send(rst);
        let mut joined = story.joined();
        joined.reset.origin.is_ethernet = is_ethernet;
        let rst = &mut joined.reset.rst;
        (rst.head.segment.tunnel, rst.frame_len) = (tunnel, frame_len);
        rst.frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 5]);
        describe(&joined, &Scene::default()).segment.dst_mac.map(|mac| mac.to_string())
    };
    let station = Some("02:00:00:00:00:05".to_owned());
    for hook in [Hook::XDP, Hook::TC_INGRESS, Hook::TC_EGRESS, Hook::PCAP] {
        assert_eq!(told(hook, Tunnel::NONE, true, 54), station);
    }
    assert_eq!(told(Hook::XDP, Tunnel::VXLAN, true, 104), None, "the outer frame's");
    assert_eq!(told(Hook::PCAP, Tunnel::NONE, false, 54), None, "of a link of another kind");
    assert_eq!(told(Hook::XDP, Tunnel::NONE, true, 0), None, "it was not kept");
}

#[test]
fn one_sighting_tells_sender_from_receiver() {
    let role = |hook, came_by| {
        let mut story = Story::v4();
        (story.hook, story.ifindex, story.came_by) = (hook, 2, came_by);
        story.handshake().abort(Client);
        story.first().local_role
    };
    assert_eq!(role(Hook::TC_EGRESS, 0), LocalRole::Sender);
    assert_eq!(role(Hook::TC_EGRESS, 7), LocalRole::Forwarder);
    assert_eq!(role(Hook::TC_INGRESS, 0), LocalRole::Receiver);
    assert_eq!(role(Hook::PCAP, 0), LocalRole::Observer);
}

#[test]
fn what_comes_for_another_host_is_translated_and_not_received() {
    let role = |own: [u8; 4]| {
        let mut story = Story::v4();
        (story.hook, story.ifindex) = (Hook::TC_INGRESS, 2);
        story.handshake().abort(Client);
        let addresses = Some(Arc::new(HashSet::from([IpAddr::from(own)])));
        describe(&story.joined(), &Scene { addresses, ..Scene::default() }).local_role
    };
    let mut story = Story::v4();
    let IpAddr::V4(server) = story.handshake().abort(Client).first().dst.ip else { panic!("IPv4") };
    assert_eq!(role(server.octets()), LocalRole::Receiver);
    assert_eq!(role([172, 31, 0, 1]), LocalRole::Forwarder);
}

#[test]
fn the_flow_is_told_as_it_stood() {
    let mut story = Story::v4();
    story.handshake().exchange().wait(250).abort(Client);
    let event = story.first();
    let flow = event.flow.unwrap();
    let (client, server) = (flow.client.unwrap(), flow.server.unwrap());
    assert_eq!((client.packets, client.bytes, client.ttl), (4, 18, Some(64)));
    assert_eq!((server.packets, server.bytes, server.ttl), (3, 19, Some(57)));
    assert_eq!(flow.rtt_us, Some(20_020));
    assert_eq!((flow.idle_ms, flow.duration_ms), (255, 291));
    assert_eq!((event.time.0 - flow.start.0) / 1_000_000, 291);
    assert_eq!(event.recent.len(), 7);
    assert_eq!(event.recent[0].flags.to_string(), "S");
    assert_eq!(event.recent[0].from, Speaker::Client);
    assert!(event.recent.is_sorted_by_key(|r| std::cmp::Reverse(r.ago_us)));
}

#[test]
fn the_same_story_told_twice_gives_the_same_event() {
    let tell = |wait| {
        let mut story = Story::v6();
        story.handshake().exchange().wait(wait).abort(Client);
        story.first()
    };
    assert_eq!(tell(5), tell(5));
    let id = tell(5).id;
    assert_eq!(id.len(), 32);
    assert_ne!(id, tell(6).id);
}

#[test]
fn the_event_keeps_the_contract() {
    let mut story = Story::v6();
    story.handshake().exchange();
    let rst = Packet { payload: b"go away".to_vec(), ..story.packet(Server, RST | ACK) };
    story.send(rst);
    let event = story.first();
    assert_eq!(event.payload_text.as_deref(), Some("go away"));
    assert_eq!((event.segment.ip_id, event.segment.df), (None, None));
    assert_eq!(event.segment.flow_label, Some(0x51ab2));
    assert_eq!((event.file.as_deref(), event.frame), (Some("story.pcap"), Some(8)));
    let json = serde_json::to_string(&Event::from(event.clone())).unwrap();
    assert!(json.len() < 4096, "{} bytes", json.len());
    let read: Event = serde_json::from_str(&json).unwrap();
    assert_eq!(read, Event::from(event));
}

#[test]
fn a_payload_that_is_no_text_is_not_shown() {
    let mut story = Story::v4();
    story.handshake();
    let rst = Packet { payload: vec![1, 2, 3, 4], ..story.packet(Server, RST | ACK) };
    assert_eq!(story.send(rst).first().payload_text, None);
}

#[test]
fn what_was_spoken_is_named_in_the_words_of_firewalls() {
    let app = |tell: fn(&mut Story)| {
        let mut story = Story::v4();
        story.handshake();
        tell(&mut story);
        story.abort(Client).first().app
    };
    assert_eq!(app(|_| {}), "incomplete");
    assert_eq!(app(|s| _ = s.say(Client, b"xyzzy")), "insufficient-data");
    assert_eq!(app(|s| _ = s.say(Client, b"xyzzy").say(Server, b"plugh")), "unknown-tcp");
    assert_eq!(app(|s| _ = s.say(Server, b"SSH-2.0-OpenSSH_9.2\r\n")), "ssh");
}
