//! What the IP and TCP headers have in common with the claimed sender's other segments.
//!
//! Answers of a TCP without a socket differ for good reasons: they have no timestamps, the
//! identification 0 and the host's default time to live (net/ipv4/tcp_ipv4.c
//! `tcp_v4_send_reset`). So only the time to live of an answer is looked at, and less is made of it.

use rst_tracer_common::{
    flow::{Slot, flag, side_trait},
    wire::{Flags, Segment, Seq, option},
};

use super::{Case, Tells};
use crate::classify::{Form, Past, ttl};

pub(super) fn look(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    if past.mine().packets == 0 {
        return;
    }
    time_to_live(case, past, tells);
    if case.form.is_passive() {
        return;
    }
    if case.is_v6() {
        flow_label(case, past, tells);
    } else {
        identification(case, past, tells);
    }
    type_of_service(case, past, tells);
    timestamps(case, past, tells);
    window(case, past, tells);
}

fn time_to_live(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    let ttl = case.segment().ttl;
    let mut usual: Vec<u8> =
        past.my_slots().filter(|slot| !slot.flags.has(Flags::RST)).map(|slot| slot.ttl).collect();
    // It is 0 where all that was seen in its name were resets.
    usual.extend(Some(past.mine().ttl).filter(|ttl| *ttl != 0));
    let Some(nearest) = usual.into_iter().min_by_key(|usual| usual.abs_diff(ttl)) else { return };
    let part = if case.form.is_passive() { 0.5 } else { 1.0 };
    match nearest.abs_diff(ttl) {
        0 => {
            tells.add("ttl_usual", -0.5, format!("its TTL {ttl} is the sender's usual one"));
        }
        // The way may have changed.
        1..3 => {
            let text = format!("its TTL is {ttl}, the usual one {nearest}");
            tells.add("ttl_near", 0.5 * part, text);
        }
        _ => {
            let weight = if ttl::initial(nearest) == ttl::initial(ttl) { 1.5 } else { 2.0 };
            let text = format!("its TTL is {ttl}, that of the sender's other segments {nearest}");
            tells.add("ttl_differs", weight * part, text);
        }
    }
}

fn identification(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    let (segment, mine) = (case.segment(), past.mine());
    let df = segment.traits & Segment::DONT_FRAGMENT != 0;
    let usual_df = mine.traits & side_trait::DONT_FRAGMENT != 0;
    if usual_df && !df {
        let text = "don't-fragment is not set, as it is in the sender's other segments";
        tells.add("df_missing", 1.5, text);
    }
    // A reset before this one may be another hand's.
    let counted = |slot: &&Slot| slot.ip_id != 0 && !slot.flags.has(Flags::RST);
    let last = past.my_slots().rfind(counted).map_or(mine.ip_id, |slot| slot.ip_id);
    let step = segment.ip_id.wrapping_sub(last);
    if segment.ip_id == 0 && !df {
        // The kernel fills in what a raw socket leaves 0; only frames written whole keep it.
        tells.add("ip_id_zero", 2.0, "its IP ID is 0 although it may be fragmented");
    } else if segment.ip_id == 0 && case.form == Form::Active && numbers_its_segments(past) {
        // A live socket of Linux counts on (net/ipv4/ip_output.c, `ip_select_ident_segs`).
        tells.add("ip_id_gone", 1.0, "its IP ID is 0, and the sender's other segments have one");
    } else if segment.ip_id == 0 && case.form == Form::Active && is_syn_ack_of_linux(past) {
        let text =
            "its IP ID is 0: Linux, which wrote the SYN-ACK, numbers what a live socket sends";
        tells.add("ip_id_gone", 1.0, text);
    } else if last == 0 || segment.ip_id == 0 {
        // Linux' answers without a socket have 0: not comparable.
    } else if (1..=64).contains(&step) {
        let text = format!("its IP ID continues the sender's counter ({last}, then +{step})");
        tells.add("ip_id_continues", -1.5, text);
    } else if past.my_ip_id_counts() {
        let text = format!(
            "its IP ID is {}, far from the sender's counter, which stood at {last}",
            segment.ip_id
        );
        tells.add("ip_id_elsewhere", 1.5, text);
    }
}

/// Whether the claimed sender's segments, SYNs aside, bear an identification, several of them.
fn numbers_its_segments(past: &Past<'_>) -> bool {
    let plain = |slot: &&Slot| slot.flags.0 & (Flags::SYN.0 | Flags::RST.0) == 0;
    let mut all = past.my_slots().filter(plain).peekable();
    all.peek().is_some() && all.all(|slot| slot.ip_id != 0)
}

/// Whether a SYN-ACK is all that is known of the claimed sender, and Linux' own: with identification 0,
/// don't-fragment, and a window that others do not offer.
fn is_syn_ack_of_linux(past: &Past<'_>) -> bool {
    const OFFERED_BY_OTHERS: u16 = 65_535;
    let facts = past.my_facts();
    let mut plain =
        past.my_slots().filter(|slot| slot.flags.0 & (Flags::SYN.0 | Flags::RST.0) == 0);
    past.has(flag::SYN_ACK)
        && past.i_opened() == Some(false)
        && plain.next().is_none()
        && facts.first_ip_id == 0
        && facts.first_ttl <= 64
        && facts.first_window != OFFERED_BY_OTHERS
        && past.mine().traits & side_trait::DONT_FRAGMENT != 0
}

/// A receive window grows with what is received (RFC 9293 section 3.8.6.2.2): of who got nothing it is what it was.
fn window(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    let window = case.segment().tcp.window;
    let plain = |slot: &&Slot| slot.flags.0 & (Flags::SYN.0 | Flags::RST.0) == 0;
    let Some(last) = past.my_slots().rfind(plain) else { return };
    let whole = past.has(flag::SYN | flag::SYN_ACK) && past.theirs().bytes == 0;
    if whole && case.form == Form::Active && window / 2 > last.window {
        let text = format!(
            "its window is {window}, the sender's was {} and nothing has come that would open it",
            last.window
        );
        tells.add("window_differs", 1.5, text);
    }
}

/// Linux labels a connection, and changes the label only when it thinks the path bad
/// (net/core/sock.c, `sk_rethink_txhash`).
fn flow_label(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    let (label, usual) = (case.segment().flow_label, past.my_facts().flow_label);
    let steady = past.mine().retransmits == 0;
    if usual == 0 || label == usual {
        return;
    }
    let weight = if label == 0 || steady { 1.5 } else { 0.5 };
    let text = format!("its flow label is {label:#x}, that of the connection {usual:#x}");
    tells.add("flow_label_differs", weight, text);
}

fn type_of_service(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    const NOT_ECN: u8 = 0xfc;
    if !past.my_last_is_known() {
        return;
    }
    let (tos, usual) = (case.segment().tos & NOT_ECN, past.mine().tos & NOT_ECN);
    if tos != usual {
        let text = format!(
            "its type of service is {tos:#04x}, that of the sender's other segments {usual:#04x}"
        );
        tells.add("tos_differs", 0.5, text);
    }
}

/// RFC 7323 section 3.2: a reset should carry a timestamp where the connection has them.
fn timestamps(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    let tcp = &case.segment().tcp;
    if past.i_use_timestamps() != Some(true) || tcp.seq == Seq(0) {
        return;
    }
    if tcp.options & option::TIMESTAMPS == 0 {
        let text = "it has no timestamp, unlike the sender's other segments";
        tells.add("timestamp_missing", 1.5, text);
        return;
    }
    // Clocks of 1 kHz (Linux) to 1 MHz are in use; a forger's number is anywhere.
    let ahead = Seq(tcp.tsval).since(Seq(past.mine().tsval));
    // Where all that is recorded is the other side's, nobody knows how long.
    let silence_ms =
        past.my_slots().next_back().map_or(u64::MAX, |slot| case.since(slot) / 1_000_000);
    let most = silence_ms.saturating_add(1000).saturating_mul(1000).min(i32::MAX as u64) as i32;
    if ahead < 0 || ahead > most {
        tells.add("timestamp_wild", 2.0, "its timestamp does not continue the sender's clock");
    } else {
        tells.add("timestamp_fits", -1.5, "its timestamp continues the sender's clock");
    }
}
