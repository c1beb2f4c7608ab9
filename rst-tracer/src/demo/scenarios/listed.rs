//! An entry of a catalogue: a scenario before it is given a family and a port.
//!
//! In: what is done, in words and as a function. Out: a [`Scenario`] for each family.

use std::env;

use anyhow::Result;

use super::{Play, Scenario};
use crate::demo::truth::Family;
use crate::exit::{Code, Failure};

/// A scenario that has neither family nor port yet.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    id: &'static str,
    title: &'static str,
    what_was_done: &'static str,
    slow: bool,
    alone: bool,
    needs: &'static [&'static str],
    families: &'static [Family],
    play: Play,
}

impl Listed {
    /// A scenario over IPv4 and IPv6 that takes no time and needs nothing.
    pub const fn new(
        id: &'static str,
        title: &'static str,
        what_was_done: &'static str,
        play: Play,
    ) -> Self {
        let families = &[Family::V4, Family::V6];
        Self { id, title, what_was_done, slow: false, alone: false, needs: &[], families, play }
    }

    /// It spends a second or more waiting, and does so beside others.
    pub const fn slow(self) -> Self {
        Self { slow: true, ..self }
    }

    /// It disturbs whatever runs beside it.
    pub const fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// It runs these programs; without them it is skipped.
    pub const fn needs(self, programs: &'static [&'static str]) -> Self {
        Self { needs: programs, ..self }
    }

    /// It exists over this family only.
    pub const fn only_over(self, families: &'static [Family]) -> Self {
        Self { families, ..self }
    }

    /// The scenario for each of its families; `port` names the first port that each may use.
    pub fn scenarios(self, mut port: impl FnMut() -> u16) -> Vec<Scenario> {
        let Self { id, title, what_was_done, slow, alone, needs, families, play } = self;
        let scenario = |&family| {
            let port = port();
            Scenario { id, title, family, what_was_done, slow, alone, needs, port, play }
        };
        families.iter().map(scenario).collect()
    }
}

/// All scenarios of some lists; each has `step` ports of its own, the first of all being `first`.
///
/// # Panics
/// If the ports run out before the range from which clients take theirs.
pub fn number(lists: &[&[Listed]], first: u16, step: u16) -> Vec<Scenario> {
    let mut next = first;
    let mut port = || {
        let port = next;
        next += step;
        assert!(next < 32_768, "a port of a scenario is one that clients may take");
        port
    };
    lists.concat().into_iter().flat_map(|listed| listed.scenarios(&mut port)).collect()
}

/// Says no if a program that the scenario runs is not installed.
pub(super) fn require(programs: &[&str]) -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    for program in programs {
        // Servers live in sbin, which is not on everybody's path.
        let mut folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        if !folders.any(|folder| folder.join(program).is_file()) {
            let message = format!("the program {program} is not installed");
            return Err(Failure::new(Code::UNAVAILABLE, message).into());
        }
    }
    Ok(())
}
