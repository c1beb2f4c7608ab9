//! Per interface: the hooks that `trace` would take, who is there already, what would be hidden.

use aya::{
    programs::{SchedClassifier, TcAttachType},
    util::KernelVersion,
};
use serde::Serialize;

use crate::{
    links::{Layer, Link, Offloads, XdpOccupant, can_run_native_xdp},
    source::live::attach::{self, How, Step, XdpMode},
};

/// One interface.
#[derive(Debug, Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `physical`, `loopback`, `veth`, `bridge`, …
    pub kind: String,
    /// Whether it is up.
    pub up: bool,
    /// The driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The ingress hook that `--xdp-mode auto` would try first.
    pub ingress: How,
    /// Why not native XDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The egress hook.
    pub egress: How,
    /// What the driver says about native XDP; absent before Linux 6.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_xdp: Option<bool>,
    /// The XDP program that is there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occupant: Option<XdpOccupant>,
    /// The occupant's name, where we may know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occupant_name: Option<String>,
    /// `false` where VLAN tags are taken out of what arrives before that hook sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan_visible: Option<bool>,
    /// Offloads that hide things.
    pub offloads: Offloads,
    /// What is hidden or in the way, with the remedy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Describes each interface with the hooks that it would get in this mode.
pub(super) fn describe(links: &[Link], mode: XdpMode) -> Vec<Interface> {
    let traffic = if has_tcx(links) { How::Tcx } else { How::Clsact };
    links.iter().map(|link| describe_one(link, traffic, mode)).collect()
}

fn describe_one(link: &Link, traffic: How, mode: XdpMode) -> Interface {
    let plan = attach::plan(link, mode);
    let (mut ingress, mut reason) = (how(plan.steps.first(), traffic), plan.reason);
    let occupant_name = link.xdp.as_ref().and_then(|x| attach::program_name(x.program_id));
    if let (Some(occupant), How::NativeXdp) = (&link.xdp, ingress) {
        ingress = how(plan.steps.get(1), traffic);
        let who = attach::describe_occupant(occupant);
        reason = Some(format!("the XDP hook is taken by {who}"));
    }
    let mut egress = traffic;
    if let Layer::Unsupported(arphrd) = link.layer {
        (ingress, egress) = (How::Nothing, How::Nothing);
        reason = Some(format!("link layer ARPHRD {arphrd} carries no IP we can read"));
    }
    let mut notes = notes(link, ingress);
    if let (Some(occupant), How::Tcx | How::Clsact) = (&link.xdp, ingress) {
        let who = attach::describe_occupant(occupant);
        notes.push(format!("packets that {who} drops or redirects are not seen"));
    }
    match attach::leftovers(link.index) {
        Ok(left) if left.is_empty() => {}
        Ok(left) => notes.push(format!(
            "{} left behind by a killed tracer; `rst-tracer doctor --clean` removes it",
            left.into_iter().map(|l| l.name).collect::<Vec<_>>().join(", ")
        )),
        Err(error) => notes.push(format!("its filters cannot be listed: {error}")),
    }
    Interface {
        name: link.name.clone(),
        kind: link.kind_name().to_owned(),
        up: link.up,
        driver: link.driver.clone(),
        ingress,
        reason,
        egress,
        native_xdp: can_run_native_xdp(link.index),
        occupant: link.xdp.clone(),
        occupant_name,
        vlan_visible: hides_vlan(link, ingress).then_some(false),
        offloads: link.offloads.clone(),
        notes,
    }
}

fn how(step: Option<&Step>, traffic: How) -> How {
    match step {
        None => How::Nothing,
        Some(Step::Native) => How::NativeXdp,
        Some(Step::Generic) => How::GenericXdp,
        Some(Step::Traffic) => traffic,
    }
}

fn hides_vlan(link: &Link, ingress: How) -> bool {
    let is_xdp = matches!(ingress, How::NativeXdp | How::GenericXdp);
    is_xdp && link.offloads.rx_vlan == Some(true)
}

/// What the offloads hide or prevent, given the ingress hook.
fn notes(link: &Link, ingress: How) -> Vec<String> {
    let (name, on) = (&link.name, Some(true));
    let mut notes = Vec::new();
    if hides_vlan(link, ingress) {
        notes.push(format!(
            "rx-vlan-offload removes VLAN tags before XDP sees them: events carry no `vlan`; \
             `ethtool -K {name} rxvlan off` shows them"
        ));
    }
    if ingress == How::NativeXdp {
        if link.offloads.lro == on {
            notes.push(format!(
                "LRO is on: most drivers then refuse native XDP; `ethtool -K {name} lro off`"
            ));
        }
        if link.offloads.gro_hw == on {
            notes.push(format!(
                "hardware GRO is on: some drivers then refuse native XDP, virtio among them; \
                 `ethtool -K {name} rx-gro-hw off`"
            ));
        }
    } else if link.offloads.lro == on || link.offloads.gro_hw == on {
        notes.push(
            "LRO or hardware GRO merges data segments before they are seen: sizes and counts are \
             those of the merged ones. Resets are never merged"
                .into(),
        );
    }
    notes
}

/// Asks the kernel; where we may not ask, its version has to do.
fn has_tcx(links: &[Link]) -> bool {
    let asked = links
        .first()
        .is_some_and(|link| SchedClassifier::query_tcx(&link.name, TcAttachType::Egress).is_ok());
    asked || KernelVersion::current().is_ok_and(|v| v >= KernelVersion::new(6, 6, 0))
}
