//! What `select` chooses and skips, one behaviour a test.

use super::*;
use crate::{exit::code_of, links::Offloads};

fn link(index: u32, name: &str, kind: Option<&str>) -> Link {
    Link {
        index,
        name: name.into(),
        kind: kind.map(Into::into),
        layer: Layer::Ethernet,
        loopback: name == "lo",
        up: true,
        mtu: 1500,
        master: None,
        parent: None,
        xdp: None,
        driver: None,
        offloads: Offloads::default(),
    }
}

fn host() -> Vec<Link> {
    let lo = link(1, "lo", None);
    let eth0 = Link { master: Some(4), ..link(2, "eth0", None) };
    let eth1 = Link { up: false, ..link(3, "eth1", None) };
    let bond0 = link(4, "bond0", Some("bond"));
    let vlan = Link { parent: Some(4), ..link(5, "bond0.7", Some("vlan")) };
    let br0 = link(6, "br0", Some("bridge"));
    let veth = Link { master: Some(6), ..link(7, "veth1", Some("veth")) };
    let can = Link { layer: Layer::Unsupported(280), ..link(8, "can0", Some("vcan")) };
    vec![lo, eth0, eth1, bond0, vlan, br0, veth, can]
}

fn names(chosen: &[Chosen]) -> Vec<&str> {
    chosen.iter().map(|c| c.link.name.as_str()).collect()
}

fn owned(of: &[&str]) -> Vec<String> {
    of.iter().map(|p| (*p).to_owned()).collect()
}

fn patterns(of: &[&str]) -> Choice {
    Choice { patterns: owned(of), ..Choice::default() }
}

#[test]
fn without_patterns_everything_up_is_chosen_once() {
    let selection = select(&Choice::default(), &host()).expect("a selection");
    assert_eq!(names(&selection.chosen), ["lo", "bond0", "br0"]);
    assert_eq!(names(&selection.skipped), ["eth0", "bond0.7", "veth1", "can0"]);
}

#[test]
fn a_skipped_interface_says_who_shows_its_packets() {
    let selection = select(&Choice::default(), &host()).expect("a selection");
    let why = |name: &str| {
        let skipped = selection.skipped.iter().find(|s| s.link.name == name);
        skipped.map(|s| s.reason.clone()).unwrap_or_default()
    };
    assert!(why("eth0").contains("port of bond0"), "{}", why("eth0"));
    assert!(why("bond0.7").contains("parent bond0"), "{}", why("bond0.7"));
    assert!(why("veth1").contains("-i veth1"), "{}", why("veth1"));
    assert!(why("veth1").contains("packet filter rejects"), "{}", why("veth1"));
    assert!(why("can0").contains("280"), "{}", why("can0"));
}

#[test]
fn a_name_is_taken_even_when_down_or_a_port() {
    let selection = select(&patterns(&["eth1", "veth1"]), &host()).expect("a selection");
    assert_eq!(names(&selection.chosen), ["eth1", "veth1"]);
    assert!(selection.skipped.is_empty());
}

#[test]
fn a_port_is_kept_when_its_master_is_down_or_not_asked_for() {
    let mut down = host();
    down[3].up = false;
    let selection = select(&Choice::default(), &down).expect("a selection");
    assert!(names(&selection.chosen).contains(&"eth0"));
    assert!(names(&selection.chosen).contains(&"bond0.7"));
    let selection = select(&patterns(&["eth*"]), &host()).expect("a selection");
    assert_eq!(names(&selection.chosen), ["eth0", "eth1"]);
}

#[test]
fn the_members_of_a_vrf_are_kept() {
    let mut links = host();
    links[3].kind = Some("vrf".into());
    let selection = select(&Choice::default(), &links).expect("a selection");
    assert!(names(&selection.chosen).contains(&"eth0"));
}

#[test]
fn an_unknown_name_fails_with_the_nearest_and_the_existing() {
    let error = select(&patterns(&["eht0"]), &host()).expect_err("no such interface");
    assert_eq!(code_of(&error), Code::FAILURE);
    let message = error.to_string();
    assert!(message.contains("did you mean eth0?"), "{message}");
    assert!(message.contains("there are: lo, eth0, eth1"), "{message}");
}

#[test]
fn an_unknown_name_beside_a_known_one_is_said_and_the_known_one_is_chosen() {
    let choice = patterns(&["eth1", "eht0", "nosuch"]);
    let selection = select(&choice, &host()).expect("a selection");
    assert_eq!(names(&selection.chosen), ["eth1"]);
    let [one, other] = &selection.unknown[..] else { panic!("{:?}", selection.unknown) };
    assert!(one.starts_with("no interface eht0; did you mean eth0?"), "{one}");
    assert!(other.starts_with("no interface nosuch ("), "{other}");
    let strict = Choice { strict: true, ..choice };
    let error = select(&strict, &host()).expect_err("it is strict");
    assert!(error.to_string().starts_with("no interface eht0"), "{error}");
}

#[test]
fn what_is_excluded_is_left_out_and_hides_nothing_else() {
    let without = |of: &[&str]| Choice { excluded: owned(of), ..Choice::default() };
    let selection = select(&without(&["l?", "bond*"]), &host()).expect("a selection");
    assert_eq!(names(&selection.chosen), ["eth0", "br0"], "a port whose master is left out");
    let named = Choice { patterns: owned(&["eth1", "lo"]), ..without(&["eth*"]) };
    assert_eq!(names(&select(&named, &host()).expect("a selection").chosen), ["lo"]);
    let error = select(&without(&["*"]), &host()).expect_err("nothing is left");
    assert!(error.to_string().starts_with("no interface is left beside --exclude *"), "{error}");
}

#[test]
fn a_name_like_no_other_gets_no_suggestion() {
    let error = select(&patterns(&["wlan-nowhere"]), &host()).expect_err("no such interface");
    assert!(!error.to_string().contains("did you mean"), "{error}");
}

#[test]
fn a_glob_without_a_match_fails() {
    let error = select(&patterns(&["wg*"]), &host()).expect_err("nothing matches");
    assert!(error.to_string().starts_with("no interface matches wg*"), "{error}");
}

#[test]
fn thousands_of_interfaces_are_not_all_listed() {
    let many: Vec<Link> = (1..=5000).map(|i| link(i, &format!("veth{i}"), None)).collect();
    let message = select(&patterns(&["x"]), &many).expect_err("no such interface").to_string();
    assert!(message.ends_with("and 4988 more)"), "{message}");
}

#[test]
fn the_edit_distance_counts_single_letters() {
    assert_eq!(distance("eth0", "eth0"), 0);
    assert_eq!(distance("eth0", "eth"), 1);
    assert_eq!(distance("eht0", "eth0"), 2);
    assert_eq!(distance("", "lo"), 2);
}
