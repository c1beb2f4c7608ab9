//! Names the programs of others. Looking up a name needs `CAP_SYS_ADMIN`; without it the id
//! stands alone.

use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType, loaded_programs};

use super::traffic::Side;
use crate::links::XdpOccupant;

/// The name of a loaded program by id, if we may know it.
pub fn program_name(id: u32) -> Option<String> {
    // Programs come and go while the list is walked; one that went is not the one asked for.
    loaded_programs().filter_map(Result::ok).find(|info| info.id() == id).and_then(named)
}

/// `XDP program 12 (xdp_dispatcher)`.
pub(super) fn describe(occupant: &XdpOccupant) -> String {
    match program_name(occupant.program_id) {
        Some(name) => format!("{occupant} ({name})"),
        None => occupant.to_string(),
    }
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
            named(info).map_or(format!("program {id}"), |name| format!("program {id} ({name})"))
        })
        .collect()
}

fn named(info: ProgramInfo) -> Option<String> {
    info.name_as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}
