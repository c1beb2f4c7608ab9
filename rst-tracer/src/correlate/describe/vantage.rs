//! Where the reset was seen, and what the observing host is to it.

use rst_tracer_common::{event::Hook as Place, flow::Port, wire::Tunnel};

use crate::{
    correlate::Joined,
    event::{Direction, Hook, LocalRole, Mac, Sighting},
    source::Reset,
};

pub(super) fn hook(place: Place) -> Hook {
    match place {
        Place::XDP => Hook::Xdp,
        Place::TC_INGRESS => Hook::TcIngress,
        Place::TC_EGRESS => Hook::TcEgress,
        _ => Hook::Pcap,
    }
}

pub(super) fn direction(place: Place) -> Option<Direction> {
    match place {
        Place::XDP | Place::TC_INGRESS => Some(Direction::Ingress),
        Place::TC_EGRESS => Some(Direction::Egress),
        _ => None,
    }
}

/// Which station on the link the frame came from. What leaves this host bears its own address, which tells nothing.
pub(super) fn src_mac(reset: &Reset) -> Option<Mac> {
    let has_come = reset.rst.head.hook != Place::TC_EGRESS;
    sender(reset).filter(|_| has_come)
}

/// What the frame calls its sender. The loopback, and links that have no addresses, call it nothing.
fn sender(reset: &Reset) -> Option<Mac> {
    const NONE: [u8; 6] = [0; 6];
    let mac = reset.rst.head.segment.mac;
    (reset.origin.is_ethernet && mac != NONE).then_some(Mac(mac))
}

/// Which station the frame was for; of what was sent through a tunnel the outer frame says that, and not of the reset.
pub(super) fn dst_mac(reset: &Reset) -> Option<Mac> {
    sender(reset)?;
    let is_plain = reset.rst.head.segment.tunnel == Tunnel::NONE && reset.rst.frame_len >= 6;
    reset.rst.frame.first_chunk().filter(|_| is_plain).copied().map(Mac)
}

fn all(joined: &Joined) -> impl Iterator<Item = &Reset> {
    std::iter::once(&joined.reset).chain(&joined.sightings)
}

/// What the host is to the reset: it forwards what comes in by one interface and leaves by
/// another, made what only leaves, and received what only comes. On one interface alone (the
/// loopback) what leaves and comes back was made here.
pub(in crate::correlate) fn role(joined: &Joined) -> LocalRole {
    let seen = |wanted| {
        all(joined)
            .map(|reset| &reset.rst.head)
            .filter(move |head| direction(head.hook) == Some(wanted))
    };
    let forwarded = all(joined).any(|reset| reset.rst.head.came_by != 0);
    let crosses = seen(Direction::Ingress)
        .any(|came| seen(Direction::Egress).any(|left| left.ifindex != came.ifindex));
    if forwarded || crosses {
        LocalRole::Forwarder
    } else if seen(Direction::Egress).next().is_some() {
        LocalRole::Sender
    } else if seen(Direction::Ingress).next().is_some() {
        // What came and belongs elsewhere was on its way through, even if a rule here ate it.
        if is_transit(joined) { LocalRole::Forwarder } else { LocalRole::Receiver }
    } else {
        LocalRole::Observer
    }
}

/// The same, where it is known whether the destination is this host: a reset that only comes may be translated here and
/// leave with other addresses. What TCP took here is received whatever the address.
pub(super) fn role_among(joined: &Joined, dst_is_local: Option<bool>) -> LocalRole {
    match role(joined) {
        LocalRole::Receiver
            if dst_is_local == Some(false) && joined.testimony.received.is_none() =>
        {
            LocalRole::Forwarder
        }
        role => role,
    }
}

/// Whether both directions of the connection arrive at this host, by different interfaces: then it
/// ends elsewhere.
fn is_transit(joined: &Joined) -> bool {
    let Some(state) = &joined.reset.flow else { return false };
    let [one, other] = state.hot.ports;
    one != other && Port(one).is_ingress() && Port(other).is_ingress()
}

/// Every place where it was seen, when there are several.
pub(super) fn sightings(joined: &Joined) -> Vec<Sighting> {
    if joined.sightings.is_empty() {
        return vec![];
    }
    let sighting = |reset: &Reset| Sighting {
        interface: reset.origin.interface.as_deref().map(str::to_owned),
        hook: hook(reset.rst.head.hook),
        direction: direction(reset.rst.head.hook),
    };
    all(joined).map(sighting).collect()
}
