//! Puts the programs on interfaces, and takes them off again when dropped.
//!
//! [`Hooks`] holds the loaded programs; [`Hooks::attach`] follows the plan for one interface from
//! its best ingress hook to the next, and says in [`Attached`] what it got and why.

use std::collections::BTreeMap;

use aya::{
    Ebpf,
    programs::{Program, ProgramError, ProgramFd},
};
use serde::Serialize;

mod attached;
mod bpf_link;
mod claim;
mod clsact;
mod occupant;
mod plan;
mod refusal;
mod traffic;

pub use attached::{Attached, How};
pub use clsact::{Leftover, clean, leftovers};
pub use occupant::{describe as describe_occupant, program_name};
pub use plan::{Plan, Step, plan};

use crate::{
    exit::{Code, Failure},
    links::{Layer, Link, XdpOccupant},
    source::live::object,
};
use attached::Half;
use bpf_link::Point;

use refusal::Refusal;
use traffic::Side;

/// Where XDP is used on ingress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum XdpMode {
    /// Native on hardware and virtio NICs, traffic control elsewhere.
    #[default]
    Auto,
    /// Native wherever the driver lets us.
    Native,
    /// Generic, which switches off GRO on the interface.
    Generic,
    /// Never: traffic control on ingress too.
    Off,
}

/// Which kind of traffic control hook is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrafficControl {
    /// tcx where the kernel has it (6.6), else clsact.
    #[default]
    Auto,
    /// clsact even where there is tcx.
    Clsact,
}

/// The programs, each loaded when the first interface needs it and attached to any number of them.
///
/// The verifier takes about a tenth of a second for each, and most hosts need two of the six.
#[derive(Debug)]
pub struct Hooks {
    ebpf: Ebpf,
    loaded: BTreeMap<&'static str, Loaded>,
}

/// The names of the three programs for one link layer.
#[derive(Debug)]
struct Programs {
    xdp: &'static str,
    ingress: &'static str,
    egress: &'static str,
}

const ETHERNET: Programs =
    Programs { xdp: "xdp_ingress", ingress: "tc_ingress", egress: "tc_egress" };
const IP: Programs =
    Programs { xdp: "xdp_ingress_l3", ingress: "tc_ingress_l3", egress: "tc_egress_l3" };

/// A program in the kernel, or why it is not there.
#[derive(Debug)]
struct Loaded {
    name: &'static str,
    fd: Result<ProgramFd, Failure>,
}

impl Hooks {
    /// Takes the object over and loads what no host can do without: egress of Ethernet.
    ///
    /// A program that this kernel refuses is kept with its reason: the interfaces that do not
    /// need it work nevertheless. Maps that were taken out of the object must stay open: programs
    /// that are loaded later refer to them.
    ///
    /// # Errors
    /// A [`Failure`] with exit code 77 or 69 when not even egress of Ethernet can be traced.
    pub fn new(ebpf: Ebpf) -> Result<Self, Failure> {
        let mut hooks = Self { ebpf, loaded: BTreeMap::new() };
        match &hooks.program(ETHERNET.egress).fd {
            Ok(_) => Ok(hooks),
            Err(failure) => Err(Failure::new(failure.code, failure.message.clone())),
        }
    }

    /// Loads all six: every program by name, with the reason of those that the kernel refused.
    pub fn load_all(&mut self) -> impl Iterator<Item = (&'static str, Option<&Failure>)> {
        let names = [&ETHERNET, &IP].into_iter().flat_map(|p| [p.xdp, p.ingress, p.egress]);
        for name in names.clone() {
            self.program(name);
        }
        names.map(|name| (name, self.loaded[name].fd.as_ref().err()))
    }

    /// The names of those that somebody needed so far.
    pub fn loaded(&self) -> impl Iterator<Item = &'static str> {
        self.loaded.keys().copied()
    }

    /// The object.
    pub fn ebpf(&self) -> &Ebpf {
        &self.ebpf
    }

    fn program(&mut self, name: &'static str) -> &Loaded {
        self.loaded.entry(name).or_insert_with(|| load(&mut self.ebpf, name))
    }

    /// Attaches to one interface with the best hooks that it and the kernel offer.
    ///
    /// # Errors
    /// A [`Failure`] when neither direction could be hooked: exit code 75 if the place is taken,
    /// 77 if it is not permitted, 69 if the kernel or the link layer cannot, 1 otherwise. One
    /// direction alone is no error but a note.
    pub fn attach(&mut self, link: &Link, mode: XdpMode) -> Result<Attached, Failure> {
        self.attach_through(link, mode, TrafficControl::Auto)
    }

    /// As [`Hooks::attach`], with a say in the kind of traffic control hook.
    ///
    /// # Errors
    /// As [`Hooks::attach`].
    pub fn attach_through(
        &mut self,
        link: &Link,
        mode: XdpMode,
        via: TrafficControl,
    ) -> Result<Attached, Failure> {
        let programs = match link.layer {
            Layer::Ethernet => ETHERNET,
            Layer::Ip => IP,
            Layer::Unsupported(arphrd) => {
                let message =
                    format!("{}: link layer ARPHRD {arphrd} carries no IP we can read", link.name);
                return Err(Failure::new(Code::UNAVAILABLE, message));
            }
        };
        let mut notes = Vec::new();
        let egress = self.program(programs.egress);
        let egress = traffic::attach(egress, link, Side::Egress, via, &mut notes);
        let plan = plan(link, mode);
        let ingress = if plan.steps.is_empty() {
            Ok(Half::none(plan.reason.clone()))
        } else {
            let half = self.attach_ingress(&programs, link, plan, via, &mut notes);
            half.map(|half| behind_others(half, link))
        };
        Attached::join(link, ingress, egress, notes)
    }

    /// Tries one ingress hook after the other; what was refused becomes the reason of the next.
    fn attach_ingress(
        &mut self,
        programs: &Programs,
        link: &Link,
        plan: Plan,
        via: TrafficControl,
        notes: &mut Vec<String>,
    ) -> Result<Half, Refusal> {
        let mut reasons: Vec<String> = plan.reason.into_iter().collect();
        let mut last = None;
        for step in plan.steps {
            let attempt = match step {
                Step::Traffic => {
                    traffic::attach(self.program(programs.ingress), link, Side::Ingress, via, notes)
                }
                Step::Native => attach_xdp(self.program(programs.xdp), link, How::NativeXdp, notes),
                Step::Generic => {
                    attach_xdp(self.program(programs.xdp), link, How::GenericXdp, notes)
                }
            };
            match attempt {
                Ok(half) => return Ok(half.because(reasons)),
                Err(refusal) => {
                    reasons.push(refusal.to_string());
                    let stop = refusal.rules_out_the_next(step);
                    last = Some(refusal);
                    if stop {
                        break;
                    }
                }
            }
        }
        let refusal = last.unwrap_or_else(|| Refusal::new("ingress", "nothing was tried"));
        Err(refusal.with_words(reasons.join("; ")))
    }
}

fn attach_xdp(
    program: &Loaded,
    link: &Link,
    how: How,
    notes: &mut Vec<String>,
) -> Result<Half, Refusal> {
    let fd = program.fd.as_ref().map_err(Refusal::not_loaded)?;
    let point = if how == How::NativeXdp { Point::NativeXdp } else { Point::GenericXdp };
    match bpf_link::create(fd, link.index, point) {
        Ok(guard) => {
            notes.extend(cautions(link, how));
            Ok(Half::link(how, guard))
        }
        Err(error) => Err(match occupant(link, &error) {
            Some(occupant) => {
                let who = occupant::describe(&occupant);
                Refusal::errno(how, &error).with_words(format!("the XDP hook is taken by {who}"))
            }
            None => Refusal::errno(how, &error),
        }),
    }
}

/// What a foreign XDP program leaves is all that traffic control sees: who that is, is said, whether its place was wanted
/// or not.
fn behind_others(half: Half, link: &Link) -> Half {
    let is_behind = matches!(half.how(), How::Tcx | How::Clsact);
    let Some(other) = is_behind.then(|| occupant::occupant(link.index)).flatten() else {
        return half;
    };
    half.behind(&occupant::describe(&other))
}

/// Who sits in the XDP hook, if that is why it was refused. Asked anew: it may have come since.
fn occupant(link: &Link, error: &std::io::Error) -> Option<XdpOccupant> {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
        .then(|| occupant::occupant(link.index))
        .flatten()
}

/// What XDP on this interface hides or costs.
fn cautions(link: &Link, how: How) -> impl Iterator<Item = String> {
    let name = &link.name;
    let vlan = (link.offloads.rx_vlan == Some(true)).then(|| {
        format!(
            "rx-vlan-offload removes VLAN tags before XDP sees them; \
             `ethtool -K {name} rxvlan off` shows them"
        )
    });
    let generic = (how == How::GenericXdp)
        .then(|| "generic XDP switches off GRO and LRO while it is attached".to_owned());
    let veth = (how == How::NativeXdp && link.kind.as_deref() == Some("veth"))
        .then(|| "native XDP on a veth switches off TSO at its peer while attached".to_owned());
    [vlan, generic, veth].into_iter().flatten()
}

fn load(ebpf: &mut Ebpf, name: &'static str) -> Loaded {
    let missing = || {
        let message = format!("the kernel object has no program {name}; rebuild it");
        Failure::new(Code::FAILURE, message)
    };
    let fd = ebpf.program_mut(name).ok_or_else(missing).and_then(|program| {
        let loaded = match program {
            Program::Xdp(xdp) => xdp.load(),
            Program::SchedClassifier(tc) => tc.load(),
            _ => return Err(missing()),
        };
        let present = match loaded {
            Err(ProgramError::AlreadyLoaded) => Ok(()),
            other => other,
        };
        present
            .and_then(|()| program.fd()?.try_clone().map_err(Into::into))
            .map_err(|error| object::explain_program(name, &error))
    });
    Loaded { name, fd }
}
