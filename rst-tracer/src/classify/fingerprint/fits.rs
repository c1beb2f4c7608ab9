//! What fits the rows: a question about a reset and the connection before it for each habit.
//!
//! In: a [`Reading`]. Out: whether the reset was written so.

use rst_tracer_common::{
    flow::Slot,
    wire::{Flags, Segment, Seq, option},
};

use super::super::{Case, Past, Payload, forgery::copies::Shot, past::end_of};

/// What the rows look at.
pub(super) struct Reading<'a> {
    case: &'a Case<'a>,
    past: &'a Past<'a>,
    segment: &'a Segment,
    /// Resets of the same kind within 50 ms, itself included.
    shots: Vec<Shot>,
}

impl<'a> Reading<'a> {
    /// A reset with the connection before it, and those of its kind around it.
    pub(super) fn of(case: &'a Case<'a>, past: &'a Past<'a>, shots: Vec<Shot>) -> Self {
        Self { case, past, segment: case.segment(), shots }
    }

    fn has_ack(&self) -> bool {
        self.segment.tcp.flags.has(Flags::ACK)
    }

    fn df(&self) -> bool {
        self.segment.traits & Segment::DONT_FRAGMENT != 0
    }

    /// No options, no payload.
    fn is_plain(&self) -> bool {
        self.segment.tcp.header_len == 20 && self.segment.tcp.payload_len == 0
    }

    /// A time to live of 64 that routers have counted down.
    fn ttl_from_64(&self) -> bool {
        (33..=64).contains(&self.segment.ttl)
    }

    /// Written without the care of a socket: IPv4 that may be fragmented, or IPv6 without the
    /// connection's flow label, on a connection whose sender does otherwise.
    fn is_raw(&self) -> bool {
        if self.case.is_v6() {
            let labels = self.past.mine().packets == 0 || self.past.my_facts().flow_label != 0;
            return self.segment.flow_label == 0 && labels;
        }
        let usual_df =
            self.past.mine().packets == 0 || self.past.mine().traits & Segment::DONT_FRAGMENT != 0;
        !self.df() && usual_df
    }

    fn their_last(&self) -> Option<&Slot> {
        self.past.their_slots().rfind(|slot| !slot.flags.has(Flags::RST))
    }

    fn my_last(&self) -> Option<&Slot> {
        self.past.my_slots().rfind(|slot| !slot.flags.has(Flags::RST))
    }

    /// Whether it belongs to the sender's own counter of identifications.
    fn continues(&self) -> bool {
        let last = self.past.mine().ip_id;
        last != 0 && (1..=64).contains(&self.segment.ip_id.wrapping_sub(last))
    }

    /// Distances between the sequence numbers of the volley.
    fn steps(&self) -> impl Iterator<Item = i32> + '_ {
        self.shots.windows(2).map(|pair| pair[1].seq.since(pair[0].seq))
    }
}

pub(super) fn henan(r: &Reading<'_>) -> bool {
    matches!(r.case.payload(), Payload::Injector(whose) if whose.contains("Henan"))
}

pub(super) fn gfw_counting(r: &Reading<'_>) -> bool {
    let up = |pair: &[Shot]| {
        pair[0].window.wrapping_add(1) == pair[1].window
            && pair[0].ttl.wrapping_add(1) == pair[1].ttl
    };
    r.has_ack() && r.shots.len() >= 2 && r.shots.windows(2).all(up)
}

pub(super) fn gfw_type_2(r: &Reading<'_>) -> bool {
    let steps: Vec<i32> = r.steps().collect();
    r.has_ack() && matches!(steps[..], [1460, 2920] | [1460] | [2920])
}

pub(super) fn sandvine(r: &Reading<'_>) -> bool {
    r.steps().any(|step| step == 12503)
}

pub(super) fn tcpkill(r: &Reading<'_>) -> bool {
    let windows: Vec<i32> = r.past.their_slots().map(|slot| i32::from(slot.window)).collect();
    let steps: Vec<i32> = r.steps().collect();
    // `seq += i * win`: by the window, then by twice the window.
    let is_window = |(i, step): (i32, &i32)| {
        *step > 0 && (windows.contains(step) || step % i == 0 && windows.contains(&(step / i)))
    };
    let by_window = !steps.is_empty() && (1..).zip(&steps).all(is_window);
    let bare = !r.has_ack() && r.segment.tcp.ack == Seq(0) && r.segment.tcp.window == 0;
    bare && r.is_plain() && !r.df() && by_window
}

pub(super) fn suricata(r: &Reading<'_>) -> bool {
    let tcp = &r.segment.tcp;
    let written_so = r.has_ack()
        && tcp.window != 0
        && r.is_plain()
        && r.ttl_from_64()
        && r.segment.tos == 0
        && r.is_raw();
    // To the trigger's sender: the numbers that answer the trigger, and the trigger's window.
    let back = r.their_last().is_some_and(|trigger| {
        let never_mine = r.my_last().is_none_or(|mine| mine.window != trigger.window);
        tcp.window == trigger.window
            && never_mine
            && (trigger.flags.has(Flags::ACK) && tcp.seq == trigger.ack || tcp.seq == Seq(0))
            && end_of(trigger).since(tcp.ack).abs() <= 1
    });
    // Onwards: the trigger's own numbers, which the trigger itself has made stale.
    let onwards = r.my_last().is_some_and(|trigger| {
        trigger.len > 0
            && (tcp.seq, tcp.ack, tcp.window) == (trigger.seq, trigger.ack, trigger.window)
    });
    written_so && (back || onwards)
}

/// Further attempts step ahead by the size of the trigger, which may have gone either way.
pub(super) fn snort_strafing(r: &Reading<'_>) -> bool {
    let steps: Vec<i32> = r.steps().collect();
    let triggers = [r.past.their_last_data(), r.past.my_last_data()];
    let by_size = |trigger: &Slot| steps.iter().all(|step| *step == trigger.len as i32);
    snort(r) && !steps.is_empty() && triggers.into_iter().flatten().any(by_size)
}

pub(super) fn snort_learnt_ttl(r: &Reading<'_>) -> bool {
    snort(r) && r.past.my_ttl() == Some(r.segment.ttl)
}

pub(super) fn snort_mirrored_ttl(r: &Reading<'_>) -> bool {
    snort(r) && is_mirrored(r) && r.past.my_ttl() != Some(r.segment.ttl)
}

/// Whether its time to live is what that of a segment, no reset itself, leaves of 255.
fn is_mirrored(r: &Reading<'_>) -> bool {
    let mut triggers = r.past.slots().filter(|slot| !slot.flags.has(Flags::RST));
    triggers.any(|slot| (255 - slot.ttl).abs_diff(r.segment.ttl) <= 1)
}

pub(super) fn snort(r: &Reading<'_>) -> bool {
    let tcp = &r.segment.tcp;
    let written_so = r.has_ack() && tcp.window == 0 && r.is_plain() && r.is_raw();
    // IPv6 has no identification, and a box that ends connections itself begins at 255.
    let random_id = match r.case.is_v6() {
        true => r.segment.ttl <= 128 || is_mirrored(r),
        false => r.segment.ip_id > 1 && !r.continues(),
    };
    let answers = r.their_last().is_some_and(|trigger| {
        trigger.flags.has(Flags::ACK)
            && tcp.seq.since(trigger.ack) >= 0
            && tcp.ack == end_of(trigger)
    });
    let stamped = r.past.i_use_timestamps() == Some(true);
    written_so && random_id && answers && (stamped || r.shots.len() > 1)
}

/// ECN bits on a connection that has agreed on ECN (RFC 3168, RFC 9768) are in order; the three
/// bits above them never are.
pub(super) fn rae(r: &Reading<'_>) -> bool {
    const ECN: u8 = 0xc0;
    const NOT_AE: u8 = 0x0e;
    let tcp = &r.segment.tcp;
    let asked = r.past.slots().any(|slot| slot.flags.0 & ECN != 0);
    let unseen = r.past.i_opened().is_none() || r.past.state().has_holes();
    tcp.reserved & NOT_AE != 0 || tcp.flags.0 & ECN != 0 && !asked && !unseen
}

pub(super) fn constant_id(r: &Reading<'_>) -> bool {
    const KNOWN: [u16; 3] = [64, 256, 16448];
    let strange = r.past.my_ip_id_counts() || r.past.mine().packets == 0;
    !r.case.is_v6() && KNOWN.contains(&r.segment.ip_id) && strange && !r.continues()
}

pub(super) fn minus_26(r: &Reading<'_>) -> bool {
    let trigger = r.past.slots().rfind(|slot| slot.len > 0 && slot.ip_id != 0);
    let id = r.segment.ip_id;
    let fits = trigger.is_some_and(|trigger| trigger.ip_id.wrapping_sub(id) == 26);
    !r.case.is_v6() && id != 0 && fits && !r.continues()
}

pub(super) fn scapy(r: &Reading<'_>) -> bool {
    let by_hand = r.segment.ip_id == 1 && !r.continues() && r.is_raw() && !r.case.is_v6();
    by_hand && r.ttl_from_64() && r.is_plain() && r.segment.tcp.window == 8192
}

pub(super) fn hping(r: &Reading<'_>) -> bool {
    let own = r.past.my_slots().any(|slot| slot.window == r.segment.tcp.window);
    let by_hand = r.is_raw() && !r.continues() && !own && !r.past.state().has_holes();
    by_hand && r.ttl_from_64() && r.is_plain() && matches!(r.segment.tcp.window, 64 | 512)
}

pub(super) fn gfw_type_1(r: &Reading<'_>) -> bool {
    let tcp = &r.segment.tcp;
    let stamped = tcp.options & option::TIMESTAMPS != 0;
    !r.has_ack() && tcp.window != 0 && r.is_plain() && !stamped && r.is_raw()
}
