//! The connection-tampering signatures of Sundara Raman et al., "Global, Passive Detection of
//! Connection Tampering" (SIGCOMM 2023, table 1): how far the client had come, and which resets
//! ended it.
//!
//! In: a case. Out: the name of the signature that the flow matches. It describes; it accuses
//! nobody. The paper watches resets from the client; here those in the server's name are matched
//! too, against the same progress of the client, and `sent_by` names the direction. Three of the 19
//! end in silence (`→ ∅`: after SYN, SYN;ACK, PSH+ACK): no reset, so none of them can be told here.

use rst_tracer_common::{
    flow::{Slot, flag, slot_trait},
    wire::{Flags, Seq, Tcp},
};

use super::{Case, Past};

/// How far the client had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Syn,
    Handshake,
    FirstData,
    MoreData,
}

/// One reset: whether it has the ACK flag, and its acknowledgment field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    has_ack: bool,
    ack: Seq,
}

impl Kind {
    fn of(flags: Flags, ack: Seq) -> Self {
        Self { has_ack: flags.has(Flags::ACK), ack }
    }

    fn of_tcp(tcp: &Tcp) -> Self {
        Self::of(tcp.flags, tcp.ack)
    }
}

/// Resets so far apart do not belong together: the paper waits three seconds for what follows.
const TOGETHER_NS: u64 = 3_000_000_000;

/// The signature of a reset and its like. `None`: the beginning was not seen, a FIN came first, or
/// it is none of the list.
pub fn of(case: &Case<'_>) -> Option<&'static str> {
    let past = case.past?;
    past.i_opened()?;
    if past.has(flag::FIN | flag::FIN << 1) {
        return None;
    }
    // An earlier one after which its sender went on ended nothing.
    let went_on = past.my_slots().rfind(|slot| !slot.flags.has(Flags::RST));
    let since = went_on.map_or(0, |slot| slot.time_ns);
    let before: Vec<&Slot> = past
        .my_slots()
        .filter(|slot| slot.flags.has(Flags::RST) && slot.time_ns >= since)
        .filter(|slot| case.since(slot) < TOGETHER_NS)
        .collect();
    let progress = progress(&past, before.first().copied())?;
    let this = Kind::of_tcp(&case.segment().tcp);
    let mut kinds: Vec<Kind> = before.iter().map(|slot| Kind::of(slot.flags, slot.ack)).collect();
    kinds.push(this);
    kinds.extend(case.later_resets(TOGETHER_NS).map(|rst| Kind::of_tcp(&rst.head.segment.tcp)));
    name(progress, &kinds, this)
}

/// How far the client had come before the first of the resets.
fn progress(past: &Past<'_>, first: Option<&Slot>) -> Option<Progress> {
    let i_am_client = past.i_opened()?;
    let client = if i_am_client { past.mine() } else { past.theirs() };
    let until = first.map_or(u64::MAX, |slot| slot.time_ns);
    let is_client = |slot: &&Slot| past.is_mine(slot) == i_am_client;
    let brings_data = |slot: &&Slot| slot.len > 0 && slot.traits & slot_trait::RETRANSMIT == 0;
    let later = past.slots().filter(is_client).filter(brings_data);
    let later = later.filter(|slot| slot.time_ns > until).count();
    Some(match usize::from(client.data_segments).saturating_sub(later) {
        0 if past.has(flag::ESTABLISHED) => Progress::Handshake,
        0 => Progress::Syn,
        1 => Progress::FirstData,
        _ => Progress::MoreData,
    })
}

fn name(progress: Progress, kinds: &[Kind], this: Kind) -> Option<&'static str> {
    let with_ack = kinds.iter().filter(|kind| kind.has_ack).count();
    let bare = kinds.len() - with_ack;
    Some(match (progress, bare, with_ack) {
        (Progress::Syn, _, 0) => "SYN → RST",
        (Progress::Syn, 0, _) => "SYN → RST+ACK",
        (Progress::Syn, _, _) => "SYN → RST;RST+ACK",
        (Progress::Handshake, 1, 0) => "SYN;ACK → RST",
        (Progress::Handshake, _, 0) => "SYN;ACK → RST;RST",
        (Progress::Handshake, 0, 1) => "SYN;ACK → RST+ACK",
        (Progress::Handshake, 0, _) => "SYN;ACK → RST+ACK;RST+ACK",
        (Progress::Handshake, _, _) => return None,
        (Progress::FirstData, 1, 0) => "PSH+ACK → RST",
        (Progress::FirstData, 0, 1) => "PSH+ACK → RST+ACK",
        (Progress::FirstData, 0, _) => "PSH+ACK → RST+ACK;RST+ACK",
        (Progress::FirstData, _, 0) => several(kinds),
        (Progress::FirstData, _, _) => "PSH+ACK → RST;RST+ACK",
        (Progress::MoreData, _, _) if this.has_ack => "PSH+ACK;Data → RST+ACK",
        (Progress::MoreData, _, _) => "PSH+ACK;Data → RST",
    })
}

/// Several bare resets, by their acknowledgment fields.
fn several(kinds: &[Kind]) -> &'static str {
    let zeros = kinds.iter().filter(|kind| kind.ack == Seq(0)).count();
    if kinds.iter().all(|kind| kind.ack == kinds[0].ack) {
        "PSH+ACK → RST=RST"
    } else if zeros > 0 {
        "PSH+ACK → RST;RST0"
    } else {
        "PSH+ACK → RST≠RST"
    }
}
