//! What one frame costs inside the kernel, by `BPF_PROG_TEST_RUN`.

mod crowds;
mod hot;

use anyhow::Result;

use crate::{
    loaded::Objects,
    report::{Section, Table},
    rounds::{Effort, Measured},
    subject::Subject,
};
use crowds::crowds;
use hot::Hot;

const TEXT: &str = "\
CPU time of one frame inside the kernel (`BPF_PROG_TEST_RUN`), medians over interleaved rounds; ratios are paired
by round. A feeding program writes another client into every frame and hands it on by a tail call; what that
takes is in every column, and in *empty* nothing else. Beside rst-tracer's own programs, which keep the flight
recorder, and the same with `--recorder off`, which records nothing amid a connection:

- **empty**: nothing but the return;
- **parse only**: finds the TCP header over Ethernet and IPv4 or IPv6, and looks at the flags;
- **textbook**: an `LRU_HASH` with a key of 40 bytes, `bpf_ktime_get_ns` on every packet, one shared ring.

What is always new is of a client that none of them has met, and none meets again. Why such a SYN takes us as long as it
does: [the flow table](decisions/0003-flow-table.md).";

const COLUMNS: [&str; 11] = [
    "ns a frame",
    "empty",
    "parse only",
    "textbook",
    "rst-tracer",
    "recorder off",
    "net of empty",
    "× parse only",
    "× textbook",
    "off × parse only",
    "off × textbook",
];

/// Measures everything about single frames.
pub(crate) fn section(objects: &Objects<'_>, effort: Effort, quick: bool) -> Result<Section> {
    let (hot, one, programs) = Hot::measure(objects, effort)?;
    let (mut goals, mut floors) = (hot.goals(), hot.floors());
    let many = crowds(objects, effort, quick, &mut goals, &mut floors)?;
    let tables = vec![one, many, programs];
    Ok(Section { text: TEXT.to_owned(), tables, goals, floors, ..Section::default() })
}

fn add(table: &mut Table, what: String, measured: &Measured) {
    let raw = Subject::ALL.map(|subject| Some(measured.raw(subject)));
    let rest = [
        Some(measured.net(Subject::Ours)),
        Some(measured.times(Subject::Ours, Subject::Parse)),
        Some(measured.times(Subject::Ours, Subject::Textbook)),
        Some(measured.times(Subject::Unrecorded, Subject::Parse)),
        Some(measured.times(Subject::Unrecorded, Subject::Textbook)),
    ];
    table.add(what, &[&raw[..], &rest[..]].concat());
}
