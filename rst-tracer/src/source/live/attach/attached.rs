//! What an interface got: its two hooks, the reason, and what to know about it.

use std::{fmt, os::fd::OwnedFd};

use serde::Serialize;

use super::{clsact::Filter, refusal::Refusal};
use crate::{
    exit::{Code, Failure},
    links::Link,
};

/// How one direction of an interface is hooked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// XDP in the driver.
    NativeXdp,
    /// XDP in the stack.
    GenericXdp,
    /// A tcx link, Linux 6.6 and newer.
    Tcx,
    /// A filter of the clsact queueing discipline.
    Clsact,
    /// Not hooked; the reason or a note says why.
    Nothing,
}

impl How {
    /// The name in metrics and in JSON.
    pub const fn id(self) -> &'static str {
        match self {
            Self::NativeXdp => "native_xdp",
            Self::GenericXdp => "generic_xdp",
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
            Self::Nothing => "nothing",
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NativeXdp => "native XDP",
            Self::GenericXdp => "generic XDP",
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
            Self::Nothing => "no hook",
        })
    }
}

/// The hooks of one interface. Dropping it detaches them.
#[derive(Debug)]
pub struct Attached {
    /// Interface index.
    pub index: u32,
    /// Interface name at the time of attaching.
    pub name: String,
    /// How what arrives is seen.
    pub ingress: How,
    /// Why ingress is hooked this way and not by native XDP.
    pub reason: Option<String>,
    /// How what leaves is seen.
    pub egress: How,
    /// Whether VLAN tags are taken out of what arrives before it is seen.
    pub hides_vlan: bool,
    /// What is not seen, or what changed on the interface, in sentences.
    pub notes: Vec<String>,
    _guards: [Guard; 2],
}

/// What keeps a hook in place until dropped.
#[derive(Debug)]
pub(super) enum Guard {
    Nothing,
    Link { _fd: OwnedFd },
    Filter { _filter: Filter },
}

/// One direction, hooked.
#[derive(Debug)]
pub(super) struct Half {
    how: How,
    reason: Option<String>,
    guard: Guard,
}

impl Half {
    pub(super) fn none(reason: Option<String>) -> Self {
        Self { how: How::Nothing, reason, guard: Guard::Nothing }
    }

    pub(super) fn link(how: How, fd: OwnedFd) -> Self {
        Self { how, reason: None, guard: Guard::Link { _fd: fd } }
    }

    pub(super) fn filter(filter: Filter) -> Self {
        Self { how: How::Clsact, reason: None, guard: Guard::Filter { _filter: filter } }
    }

    pub(super) fn because(self, reasons: Vec<String>) -> Self {
        Self { reason: (!reasons.is_empty()).then(|| reasons.join("; ")), ..self }
    }

    pub(super) fn how(&self) -> How {
        self.how
    }

    /// Says who comes first, by name unless that is said already.
    pub(super) fn behind(self, who: &str) -> Self {
        let reason = match self.reason {
            Some(reason) if reason.contains(who) => {
                format!("{reason}; what it drops or redirects is not seen")
            }
            Some(reason) => format!("{reason}; what {who} drops or redirects is not seen"),
            None => format!("what {who} drops or redirects is not seen"),
        };
        Self { reason: Some(reason), ..self }
    }
}

impl Attached {
    /// Whether what arrives is not hooked because everything is seen when it leaves, as on loopback.
    pub fn needs_no_ingress(&self) -> bool {
        self.ingress == How::Nothing && self.reason.is_some()
    }

    /// Joins the two directions; one alone is kept, with a note about the other.
    pub(super) fn join(
        link: &Link,
        ingress: Result<Half, Refusal>,
        egress: Result<Half, Refusal>,
        mut notes: Vec<String>,
    ) -> Result<Self, Failure> {
        let (ingress, egress) = match (ingress, egress) {
            (Ok(ingress), Ok(egress)) => (ingress, egress),
            (Ok(ingress), Err(refusal)) if ingress.how != How::Nothing => {
                notes.push(format!("resets that leave here are not seen: {refusal}"));
                (ingress, Half::none(None))
            }
            (Err(refusal), Ok(egress)) => {
                let words = refusal.words();
                notes.push(format!("resets that arrive here are not seen: {words}"));
                (Half::none(None), egress)
            }
            (Ok(_), Err(egress)) => return Err(failure(link, egress.code(), &egress.to_string())),
            (Err(ingress), Err(egress)) => {
                // A missing capability explains both better than whatever else was said.
                let codes = [egress.code(), ingress.code()];
                let code = if codes.contains(&Code::NO_PERMISSION) {
                    Code::NO_PERMISSION
                } else {
                    egress.code()
                };
                let words = format!("ingress: {}; egress: {egress}", ingress.words());
                return Err(failure(link, code, &words));
            }
        };
        Ok(Self {
            index: link.index,
            name: link.name.clone(),
            ingress: ingress.how,
            reason: ingress.reason,
            egress: egress.how,
            hides_vlan: link.offloads.rx_vlan == Some(true)
                && matches!(ingress.how, How::NativeXdp | How::GenericXdp),
            notes,
            _guards: [ingress.guard, egress.guard],
        })
    }
}

fn failure(link: &Link, code: Code, words: &str) -> Failure {
    Failure::new(code, format!("cannot attach to {}: {words}", link.name))
}

impl fmt::Display for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ingress {}", self.name, self.ingress)?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        write!(f, ", egress {}", self.egress)
    }
}
