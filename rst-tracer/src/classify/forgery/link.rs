//! Where on the link it came from: its hardware address, and its direction.

use rst_tracer_common::{event::Hook, flow::Port};

use super::{Case, Tells};
use crate::{classify::Past, event::LocalRole};

/// The loopback interface has this index in every network namespace.
const LOOPBACK: u32 = 1;

pub(super) fn look(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    from_outside(case, past, tells);
    hardware_address(case, past, tells);
}

/// The claimed sender is this very host, whose segments leave by this interface; the reset came in
/// by it, and never left.
fn from_outside(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    let head = &case.joined.reset.rst.head;
    let sender_at = Port(past.state().hot.ports[past.my_side() as usize]);
    let came_in = matches!(head.hook, Hook::XDP | Hook::TC_INGRESS);
    let leaves_here = past.mine().packets > 0 && sender_at == Port::egress(head.ifindex);
    let left = case.joined.sightings.iter().any(|seen| seen.rst.head.hook == Hook::TC_EGRESS);
    let is_received = case.known.role == LocalRole::Receiver && head.ifindex != LOOPBACK;
    if came_in && leaves_here && !left && is_received {
        let text = format!(
            "it came in from outside in the name of {}, whose segments leave this host by the same \
             interface",
            case.sender()
        );
        tells.prove("from_outside", 3.0, text);
    }
}

/// Another hardware address than that of the sender's first segment here. Two routers with one
/// virtual address (VRRP) or two ways explain that, and another time to live as well: by itself,
/// and with signs of the way, it proves nothing.
fn hardware_address(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    const NONE: [u8; 6] = [0; 6];
    /// Signs that do not depend on the way.
    const OF_THE_HAND: [&str; 7] = [
        "df_missing",
        "ip_id_zero",
        "ip_id_elsewhere",
        "timestamp_missing",
        "timestamp_wild",
        "stale_seq",
        "answers_nothing",
    ];
    let head = &case.joined.reset.rst.head;
    let (mac, usual) = (head.segment.mac, past.my_facts().mac);
    // Of the several that this host's frames come from, one.
    if case.crowd().src_peer.is_some_and(|peer| peer.macs.contains(&mac)) {
        return;
    }
    let first_seen_at = Port(past.state().hot.ports[past.my_side() as usize]);
    let same_place = first_seen_at == Port::ingress(head.ifindex) && head.hook != Hook::TC_EGRESS;
    if mac == usual || mac == NONE || usual == NONE || !same_place || past.mine().packets == 0 {
        return;
    }
    // The sender's frames have several addresses anyway.
    if case.sequel.mine().any(|after| after.head.segment.mac == mac) {
        return;
    }
    let text = format!(
        "it came from the hardware address {}, the sender's first segment from {}",
        shown(mac),
        shown(usual)
    );
    // A capture of all interfaces holds the frames of both sides of a router.
    let weight = if head.hook == Hook::PCAP { 1.0 } else { 2.0 };
    let of_the_hand: f64 = tells
        .signs
        .iter()
        .filter(|sign| OF_THE_HAND.contains(&&*sign.id))
        .map(|sign| sign.weight.value())
        .sum();
    if of_the_hand >= 3.0 && head.hook != Hook::PCAP {
        tells.prove("mac_differs", weight, text);
    } else {
        tells.add("mac_differs", weight, text);
    }
}

fn shown(mac: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = mac;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}
