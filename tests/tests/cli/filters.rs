//! Which resets become events, and that those left out are counted.

use rst_tracer_tests::{
    capture::{Folder, pcap, refused},
    tracer::{Ended, run},
};

/// Ten refused connections: from two networks to two ports, and one over IPv6.
fn capture(folder: &Folder) -> String {
    let mut segments = Vec::new();
    for n in 0..9 {
        let net = if n < 4 { "10.0.0.1" } else { "192.168.7.1" };
        let port = if n % 3 == 0 { 80 } else { 443 };
        segments.extend(refused(&format!("{net}:{}", 30_000 + n), &format!("10.9.9.9:{port}")));
    }
    segments.extend(refused("[fd00::1]:30009", "[fd00::2]:443"));
    folder.file("ten.pcap", &pcap(&segments))
}

/// Replays with these filters; asserts that what is left out is counted.
#[track_caller]
fn events(file: &str, filters: &[&str]) -> usize {
    let ended: Ended = run(&[&["replay", file, "--format", "json"], filters].concat());
    ended.assert_code(0);
    let summary = ended.summary();
    assert_eq!(summary.count("resets"), 10, "{ended:#?}");
    assert_eq!(summary.count("events"), ended.out.len() as u64, "{ended:#?}");
    assert_eq!(summary.count("filtered"), 10 - ended.out.len() as u64, "{ended:#?}");
    summary.assert_balanced();
    ended.out.len()
}

#[test]
fn ports_and_networks_of_either_side_select_and_the_rest_is_counted() {
    let folder = Folder::new();
    let file = capture(&folder);
    for (filters, expected) in [
        (&[] as &[&str], 10),
        (&["--port", "80"], 3),
        (&["--port", "443"], 7),
        (&["--port", "30004"], 1),
        (&["--port", "80", "--port", "30004"], 4),
        (&["--port", "1"], 0),
        (&["--net", "10.0.0.0/24"], 4),
        (&["--net", "192.168.7.1"], 5),
        (&["--net", "fd00::/16"], 1),
        (&["--net", "10.0.0.0/24", "--net", "fd00::/16"], 5),
        (&["--net", "10.9.9.9", "--port", "80"], 3),
        (&["--net", "10.0.0.0/24", "--port", "80"], 2),
    ] {
        assert_eq!(events(&file, filters), expected, "{filters:?}");
    }
}

#[test]
fn every_reset_was_sent_by_exactly_one_side() {
    let folder = Folder::new();
    let file = capture(&folder);
    let sides = ["client", "server", "unknown"].map(|side| events(&file, &["--sent-by", side]));
    assert_eq!(sides.iter().sum::<usize>(), 10, "{sides:?}");
    assert_eq!(events(&file, &["--sent-by", "client", "--sent-by", "server"]), sides[0] + sides[1]);
}

#[test]
fn a_count_counts_what_passes_the_filters() {
    let folder = Folder::new();
    let file = capture(&folder);
    let ended = run(&["replay", &file, "--net", "192.168.0.0/16", "--count", "2"]);
    ended.assert_code(0);
    assert_eq!(ended.out.len(), 2);
    assert!(ended.out.iter().all(|line| line.contains("192.168.7.1")), "{ended:#?}");
}
