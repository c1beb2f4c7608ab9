//! Which ingress hooks to try on an interface, in which order, and why not the others.
//!
//! Pure: what the interface is and what was asked for in, the steps out.

use super::XdpMode;
use crate::links::{Layer, Link, can_run_native_xdp};

/// One ingress hook to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// XDP in the driver.
    Native,
    /// tcx or clsact ingress.
    Traffic,
    /// XDP in the stack.
    Generic,
}

/// The hooks to try in order; none means that ingress needs no hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What to try, best first.
    pub steps: Vec<Step>,
    /// Why native XDP is not the first of them.
    pub reason: Option<String>,
}

/// Plans the ingress hooks of one interface; asks its driver whether it can native XDP.
pub fn plan(link: &Link, mode: XdpMode) -> Plan {
    plan_for(link, mode, || can_run_native_xdp(link.index))
}

fn plan_for(link: &Link, mode: XdpMode, native: impl FnOnce() -> Option<bool>) -> Plan {
    let because =
        |steps: &[Step], why: &str| Plan { steps: steps.to_vec(), reason: Some(why.to_owned()) };
    if link.loopback {
        // A packet on lo leaves and arrives once each; both hooks would count it twice.
        return because(&[], "every packet on loopback passes egress");
    }
    match mode {
        XdpMode::Off => because(&[Step::Traffic], "XDP is off"),
        XdpMode::Generic => Plan { steps: vec![Step::Generic, Step::Traffic], reason: None },
        XdpMode::Native => Plan { steps: vec![Step::Native, Step::Traffic], reason: None },
        XdpMode::Auto if link.layer == Layer::Ip => {
            because(&[Step::Traffic, Step::Generic], "no Ethernet header, so no native XDP")
        }
        XdpMode::Auto if link.is_physical() => match native() {
            Some(false) => {
                let driver = link.driver.as_deref().unwrap_or("its driver");
                because(&[Step::Traffic, Step::Generic], &format!("{driver} has no native XDP"))
            }
            _ => Plan { steps: vec![Step::Native, Step::Traffic, Step::Generic], reason: None },
        },
        XdpMode::Auto if link.kind.as_deref() == Some("veth") => because(
            &[Step::Traffic, Step::Generic],
            "native XDP on a veth would switch off TSO at its peer",
        ),
        XdpMode::Auto => {
            let why = format!("{}: XDP is for hardware and virtio NICs", link.kind_name());
            because(&[Step::Traffic, Step::Generic], &why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::Offloads;

    fn link(kind: Option<&str>, layer: Layer) -> Link {
        Link {
            index: 2,
            name: "eth0".into(),
            kind: kind.map(Into::into),
            layer,
            loopback: false,
            up: true,
            mtu: 1500,
            master: None,
            parent: None,
            xdp: None,
            driver: Some("e1000".into()),
            offloads: Offloads::default(),
        }
    }

    fn steps(link: &Link, mode: XdpMode, native: Option<bool>) -> Vec<Step> {
        plan_for(link, mode, || native).steps
    }

    #[test]
    fn hardware_is_tried_natively_first_unless_its_driver_cannot() {
        let nic = link(None, Layer::Ethernet);
        let all = [Step::Native, Step::Traffic, Step::Generic];
        assert_eq!(steps(&nic, XdpMode::Auto, None), all);
        assert_eq!(steps(&nic, XdpMode::Auto, Some(true)), all);
        let plan = plan_for(&nic, XdpMode::Auto, || Some(false));
        assert_eq!(plan.steps, all[1..]);
        assert_eq!(plan.reason.as_deref(), Some("e1000 has no native XDP"));
    }

    #[test]
    fn software_devices_use_traffic_control_unless_asked_otherwise() {
        for kind in ["veth", "bridge", "bond", "tun"] {
            let device = link(Some(kind), Layer::Ethernet);
            assert_eq!(steps(&device, XdpMode::Auto, None)[0], Step::Traffic, "{kind}");
            assert_eq!(steps(&device, XdpMode::Native, None)[0], Step::Native, "{kind}");
            assert_eq!(steps(&device, XdpMode::Generic, None)[0], Step::Generic, "{kind}");
        }
    }

    #[test]
    fn without_an_ethernet_header_auto_does_not_try_native() {
        let tun = link(Some("tun"), Layer::Ip);
        assert_eq!(steps(&tun, XdpMode::Auto, Some(true)), [Step::Traffic, Step::Generic]);
    }

    #[test]
    fn xdp_off_means_traffic_control_only() {
        let nic = link(None, Layer::Ethernet);
        assert_eq!(steps(&nic, XdpMode::Off, Some(true)), [Step::Traffic]);
    }

    #[test]
    fn loopback_never_needs_an_ingress_hook() {
        let lo = Link { loopback: true, ..link(None, Layer::Ethernet) };
        for mode in [XdpMode::Auto, XdpMode::Native, XdpMode::Generic, XdpMode::Off] {
            assert_eq!(steps(&lo, mode, None), []);
        }
    }
}
