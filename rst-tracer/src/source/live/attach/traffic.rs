//! The traffic control hooks: a tcx link where the kernel has it, else a clsact filter.

use super::{
    Half, How, Loaded, Refusal, TrafficControl,
    bpf_link::{self, Point},
    clsact, occupant,
};
use crate::links::Link;

/// A direction of travel, as traffic control sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Ingress,
    Egress,
}

/// Hooks one side of an interface.
pub(super) fn attach(
    program: &Loaded,
    link: &Link,
    side: Side,
    via: TrafficControl,
    notes: &mut Vec<String>,
) -> Result<Half, Refusal> {
    let fd = program.fd()?;
    if via == TrafficControl::Auto {
        let point = if side == Side::Ingress { Point::TcxIngress } else { Point::TcxEgress };
        match bpf_link::create(fd, link.index, point) {
            Ok(guard) => return Ok(Half::link(How::Tcx, guard)),
            Err(error) => {
                let refusal = Refusal::errno(How::Tcx, &error);
                if !refusal.is_unknown_to_the_kernel() {
                    return Err(refusal);
                }
            }
        }
    }
    let found = clsact::attach(fd, program.name, link.index, side)
        .map_err(|error| Refusal::errno(How::Clsact, &error))?;
    notes.extend(found.notes);
    // tcx programs run first, and one that ends the chain starves every clsact filter.
    let ahead = occupant::tcx_programs(&link.name, side);
    if !ahead.is_empty() {
        notes.push(format!("tcx runs before clsact, so {} may hide packets", ahead.join(", ")));
    }
    Ok(Half::filter(found.filter))
}
