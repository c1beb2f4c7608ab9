//! The scenarios that are kept aside: the engine's exam, the fifth of its kind.
//!
//! In: nothing. Out: scenarios of every class of the taxonomy, about as often each as operators meet such resets,
//! mostly with programs that no other family runs (lighttpd, Node.js, Dropbear, beanstalkd, tinyproxy, Perl, nft's sets
//! and meters, the real tcpkill and masscan), by somebody who read neither the engine's rules nor its results. Every
//! second one is open ([`OPEN`]); of the results of the others only sums are looked at.

mod capacity;
pub(super) mod common;
mod endings;
mod intruders;
mod javascript;
mod programs;
mod refused;
mod states;
mod traffic;
mod walls;

use rst_tracer::demo::scenarios::Listed;

/// Those scenarios, by family of files.
pub(super) const LISTED: &[&[Listed]] = &[
    refused::LISTED,
    programs::LISTED,
    javascript::LISTED,
    endings::LISTED,
    walls::LISTED,
    intruders::LISTED,
    traffic::LISTED,
    capacity::LISTED,
    states::LISTED,
];

/// Those of them that are open: every second one, chosen by the order in which they are listed. Their results were
/// looked at, and they count among the others.
pub const OPEN: &[&str] = &[
    "proxy_before_a_closed_door",
    "activated_for_one_visit",
    "resolver_falls_back_to_tcp",
    "login_while_it_boots",
    "dropbear_hears_a_browser",
    "blue_becomes_green",
    "collector_interrupted",
    "port_of_an_empty_container",
    "node_dies_of_an_exception",
    "told_to_close_and_goes_on",
    "fetch_aborted",
    "controller_polled",
    "tls_farewell_over_a_report",
    "nc_asks_and_leaves",
    "banned_after_three_failures",
    "ssh_where_the_web_should_be",
    "rejected_before_routing",
    "hash_of_callers",
    "masscan_itself",
    "page_of_the_authorities",
    "walled_victim_answers",
    "exploit_in_a_header",
    "delivery_controller_cleans_up",
    "mail_check_hangs_up",
    "haproxy_counts_calls",
    "lighttpd_hangs_with_a_full_queue",
    "translator_gives_a_port_away",
    "segment_from_a_slow_path",
    "kiosk_without_power",
];
