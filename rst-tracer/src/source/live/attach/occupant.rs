//! Names the programs of others. Looking up a name or a tag needs `CAP_SYS_ADMIN`; without it the id
//! stands alone.

use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType, loaded_programs};

use super::traffic::Side;
use crate::links::{self, XdpOccupant};

/// The name of a loaded program by id, if we may know it.
pub fn program_name(id: u32) -> Option<String> {
    named(&program(id)?)
}

fn program(id: u32) -> Option<ProgramInfo> {
    // Programs come and go while the list is walked; one that went is not the one asked for.
    loaded_programs().filter_map(Result::ok).find(|info| info.id() == id)
}

/// `XDP program 12 (xdp_dispatcher, tag 90f686eb86991928)`, as `bpftool prog show` names it.
pub fn describe(occupant: &XdpOccupant) -> String {
    let Some(info) = program(occupant.program_id) else { return occupant.to_string() };
    let tag = info.tag();
    match named(&info) {
        Some(name) => format!("{occupant} ({name}, tag {tag:016x})"),
        None => format!("{occupant} (tag {tag:016x})"),
    }
}

/// Who sits in the XDP hook of an interface now.
pub(super) fn occupant(interface: u32) -> Option<XdpOccupant> {
    links::find(interface).ok().flatten()?.xdp
}

/// The tcx programs on one side of an interface, in the order in which they run; empty where
/// there is no tcx or we may not look.
pub(super) fn tcx_programs(interface: &str, side: Side) -> Vec<String> {
    let attach_type = match side {
        Side::Ingress => TcAttachType::Ingress,
        Side::Egress => TcAttachType::Egress,
    };
    let Ok((_revision, programs)) = SchedClassifier::query_tcx(interface, attach_type) else {
        return Vec::new();
    };
    programs
        .into_iter()
        .map(|info| {
            let id = info.id();
            named(&info).map_or(format!("program {id}"), |name| format!("program {id} ({name})"))
        })
        .collect()
}

fn named(info: &ProgramInfo) -> Option<String> {
    info.name_as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}
