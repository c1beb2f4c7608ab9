//! What may hold TCP and is not looked into is counted by what it is, and nothing else changes by it.

use rst_tracer_tests::{
    capture::Folder,
    capture_file::{Clock, Frame, Order, pcap},
    frames::{Layer, ether, rst},
    tracer::run,
};
use serde_json::{Value, json};

fn v4() -> Layer {
    rst().layer().v4()
}

fn frame(bytes: Vec<u8>) -> Frame {
    let wire_len = bytes.len() as u32;
    Frame { time_ns: 1_700_000_000_000_000_000, interface: 0, wire_len, bytes }
}

/// A reset that can be seen, and those that cannot because of what they are wrapped in.
fn capture() -> Vec<u8> {
    let mirrored = || Layer { ether_type: 0x88be, ..v4() }.in_gre(0).v4().frame();
    let mobile = Layer { bytes: vec![0x34, 0xff, 0, 0], protocol: 0, ether_type: 0 };
    let tags = v4().tagged(ether::VLAN, 3).tagged(ether::VLAN, 2).tagged(ether::QINQ, 1);
    let frames = [
        mirrored(),
        v4().frame(),
        mirrored(),
        mobile.in_udp(2152).v6().frame(),
        tags.frame(),
        v4().v4().v4().frame(),
    ];
    pcap(1, Order::Little, Clock::Nanoseconds, &frames.map(frame))
}

#[test]
fn each_kind_stands_in_the_summary_and_in_the_stats() {
    let folder = Folder::new();
    let file = folder.file("mirror.pcap", &capture());
    let ended = run(&["replay", "--format", "json", "--stats", &file]);
    ended.assert_code(0);
    ended.summary().assert_balanced();
    assert_eq!((ended.summary().count("segments"), ended.summary().count("resets")), (1, 1));
    let told = "; 5 frames not looked into (vlan_tags 1, tunnel_in_tunnel 1, erspan 2, gtp_u 1)";
    assert!(ended.said(told), "{ended:#?}");
    let lines = ended.out.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let stats = lines.into_iter().find(|line| line["type"] == "stats").expect("stats");
    let kinds = json!({ "erspan": 2, "gtp_u": 1, "tunnel_in_tunnel": 1, "vlan_tags": 1 });
    assert_eq!(stats["hooks"][0]["skipped"], kinds, "{stats:#}");
    let ended = run(&["replay", "--format", "json", "--stats", "--no-tunnels", &file]);
    let told = "; 5 frames not looked into (vlan_tags 1, tunnels_off 3, gtp_u 1)";
    assert!(ended.said(told), "{ended:#?}");
}

#[test]
fn without_any_nothing_is_said() {
    let folder = Folder::new();
    let plain = pcap(1, Order::Little, Clock::Nanoseconds, &[frame(v4().frame())]);
    let file = folder.file("plain.pcap", &plain);
    let ended = run(&["replay", "--format", "json", "--stats", &file]);
    assert_eq!(ended.summary().count("resets"), 1);
    assert!(!ended.said("looked into") && !ended.out.concat().contains("skipped"), "{ended:#?}");
}
