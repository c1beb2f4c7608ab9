//! What the first segments tell: who opened the connection, and with what.

use super::super::{Flow, Hot, OpenedBy, flag};
use crate::{
    wire::{Flags, Segment},
    words,
};

#[inline(always)]
pub(super) fn note_syn(hot: &mut Hot, flow: &mut Flow, side: u32, segment: &Segment, now: u64) {
    let answers = segment.tcp.flags.has(Flags::ACK);
    let opener = if answers { side ^ 1 } else { side };
    let known_opener = hot.opener();
    let first = hot.counts[side as usize].packets == 0;
    if first {
        let facts = &mut flow.facts[side as usize];
        facts.isn = segment.tcp.seq;
        facts.mss = segment.tcp.mss;
        facts.options = segment.tcp.options;
        facts.scale = segment.tcp.scale;
    }
    if known_opener.is_none() {
        if hot.flags & flag::BOTH_HEARD != 0 {
            // A SYN amid a connection picked up in mid-stream says nothing about who opened it.
            return;
        }
        hot.flags |= (opener as u16) << 3;
        flow.opened_by = if answers { OpenedBy::SYN_ACK } else { OpenedBy::SYN };
    }
    if !answers {
        if known_opener.is_none_or(|opener| opener == side) {
            hot.flags |= flag::SYN;
            flow.syn_ns = now;
            // A SYN-ACK may echo any of its SYNs, from the first one on
            // (net/ipv4/tcp_input.c `tcp_rcv_synsent_state_process`).
            if flow.syn_tsval == 0 {
                flow.syn_tsval = segment.tcp.tsval;
            }
        }
        return;
    }
    let ours = known_opener.is_none_or(|opener| opener != side);
    let fits = hot.flags & flag::SYN == 0
        || segment.tcp.ack == flow.facts[opener as usize & 1].isn + 1
        || segment.tcp.ack == hot.seq_end[opener as usize & 1];
    if !(ours && fits) {
        return;
    }
    flow.syn_ack_tsecr = segment.tcp.tsecr;
    if hot.flags & flag::SYN_ACK == 0 {
        hot.flags |= flag::SYN_ACK;
        flow.syn_ack_ns = now;
    }
}

/// What a side's first segment tells.
#[inline(always)]
pub(super) fn note_first(hot: &mut Hot, flow: &mut Flow, side: u32, segment: &Segment) {
    let facts = &mut flow.facts[side as usize & 1];
    facts.isn = segment.tcp.seq;
    facts.flow_label = segment.flow_label;
    facts.first_window = segment.tcp.window;
    facts.first_ttl = segment.ttl;
    facts.first_ip_id = segment.ip_id;
    words::copy(&mut facts.mac, &segment.mac);
    hot.counts[side as usize & 1].ttl = segment.ttl;
}
