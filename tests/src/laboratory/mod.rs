//! The scenario laboratory: every reset that we can provoke, with the truth about it.
//!
//! In: nothing. Out: the demo's scenarios, those of this crate with sockets, kernel settings and
//! injectors of our own, those with real servers ([`servers`]), those of the first five exams, and those kept
//! aside ([`sixth_exam`]).
//! Scenarios of this crate may be slow, and may want the hosts for themselves.

pub mod check;
pub mod child;
mod closing;
pub mod distance;
mod exits;
mod fifth_exam;
mod first_exam;
mod fourth_exam;
mod gone;
mod injected;
mod opening;
pub mod options;
mod raw;
mod raw_server;
mod second_exam;
pub mod servers;
mod shortage;
pub mod sixth_exam;
mod third_exam;
mod walls;
mod wishes;

use rst_tracer::demo::scenarios::{Listed, Scenario, catalogue, number};

/// How many scenarios can have addresses of their own.
pub const ROOM: u16 = 1280;

/// How many ports each scenario of this crate has: the one it is given, and those after it.
pub const PORTS_EACH: u16 = 16;

/// The first port of our own scenarios, of those with real servers, of the five exams' that are open, and of those
/// kept aside. The last three have gaps between others: above all of them not enough is left. The demo's are below.
const FIRST_PORTS: [u16; 8] = [5_000, 16_000, 20_000, 26_000, 29_000, 12_000, 23_500, 18_000];

/// Our own scenarios, by family of files.
const LISTED: &[&[Listed]] = &[
    opening::LISTED,
    raw::LISTED,
    raw_server::LISTED,
    closing::LISTED,
    gone::LISTED,
    exits::LISTED,
    wishes::LISTED,
    walls::LISTED,
    shortage::LISTED,
];

/// Every scenario there is; names (with the family) and ports are unique.
pub fn laboratory() -> Vec<Scenario> {
    let [.., fifth_exam, _] = FIRST_PORTS;
    let mut all = old_families();
    all.extend(number(fifth_exam::LISTED, fifth_exam, PORTS_EACH));
    all.extend(kept_aside());
    all
}

/// All but the last two families: those that were tried with the hosts apart.
fn old_families() -> Vec<Scenario> {
    let [ours, servers, first_exam, second_exam, third_exam, fourth_exam, ..] = FIRST_PORTS;
    let mut all = catalogue();
    all.extend(number(&[LISTED, injected::LISTED].concat(), ours, PORTS_EACH));
    all.extend(number(servers::LISTED, servers, PORTS_EACH));
    all.extend(number(first_exam::LISTED, first_exam, PORTS_EACH));
    all.extend(number(second_exam::LISTED, second_exam, PORTS_EACH));
    all.extend(number(third_exam::LISTED, third_exam, PORTS_EACH));
    all.extend(number(fourth_exam::LISTED, fourth_exam, PORTS_EACH));
    all
}

/// The scenarios that are kept aside: all of [`sixth_exam`].
pub fn kept_aside() -> Vec<Scenario> {
    let [.., first] = FIRST_PORTS;
    number(sixth_exam::LISTED, first, PORTS_EACH)
}
