//! What the kernel of this host said, as the event tells it.
//!
//! In: the testimony. Out: the key `kernel`, what it says about the effect, and whether the verdict
//! rests on it.

use super::Scene;
use crate::{
    correlate::Testimony,
    event::{Effect, Kernel, Text},
    source::Notice,
};

/// The key `kernel`: what the most telling statement says; of a sent reset before a believed one,
/// before a dropped one, before a dropped trigger.
pub(super) fn of(testimony: &Testimony, scene: &Scene) -> Option<Kernel> {
    let notice = testimony.statements().next()?;
    let elsewhere = |netns: u32| netns != 0 && scene.netns.is_some_and(|own| own != netns);
    Some(Kernel {
        reason: notice.reason.clone(),
        state: state(notice),
        netns: Some(notice.wire.netns).filter(|&netns| elsewhere(netns)),
    })
}

/// The state that the connection was in: a socket that is closed is in CLOSE already when its reset
/// goes out, which says nothing, so it is the one before.
fn state(notice: &Notice) -> Option<Text> {
    let before = notice.state_before.as_ref().filter(|_| notice.is_in("CLOSE"));
    before.or(notice.state.as_ref()).cloned()
}

/// What the receiver did, if its kernel says so (net/ipv4/tcp_input.c `tcp_validate_incoming`).
pub(super) fn effect(testimony: &Testimony) -> Option<Effect> {
    if testimony.received.is_some() {
        return Some(Effect::Accepted);
    }
    let reason = testimony.dropped.as_ref()?.reason.as_deref()?;
    match reason {
        // In the window, but not the number expected: RFC 5961 section 3.2.
        "TCP_RESET" if testimony.dropped.as_ref().is_some_and(|said| !said.is_in("LISTEN")) => {
            Some(Effect::Challenged)
        }
        "TCP_RESET"
        | "TCP_OLD_SEQUENCE"
        | "TCP_INVALID_SEQUENCE"
        | "TCP_INVALID_ACK_SEQUENCE"
        | "NETFILTER_DROP" => Some(Effect::Ignored),
        _ => None,
    }
}
