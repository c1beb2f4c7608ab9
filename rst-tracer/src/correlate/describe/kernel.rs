//! What the kernel of this host said, as the event tells it.
//!
//! In: the testimony. Out: the key `kernel`.

use super::Scene;
use crate::{
    correlate::Testimony,
    event::{Kernel, Text},
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
