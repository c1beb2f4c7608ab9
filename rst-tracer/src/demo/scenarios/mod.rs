//! The catalogue of resets that the laboratory can provoke, each for IPv4 and IPv6.
//!
//! In: a [`Lab`]. Out: for each scenario its [`GroundTruth`], once the resets have been seen on
//! the wire. A scenario has a port of its own and takes its firewall rules away when done.

mod aborts;
mod forged;
mod handshake;
mod lost;
mod refused;
mod rejected;
mod scene;

use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result};

use super::lab::Lab;
use super::truth::{Family, GroundTruth};
use scene::Scene;

/// The first port of the catalogue; every scenario and family takes the next one.
const FIRST_PORT: u16 = 4000;

/// One way to provoke resets.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Stable name, unique together with the family.
    pub id: &'static str,
    /// Title for people.
    pub title: &'static str,
    /// IPv4 or IPv6.
    pub family: Family,
    /// What is done, in one sentence for people.
    pub what_was_done: &'static str,
    /// It spends a second or more waiting for a kernel timer.
    pub slow: bool,
    port: u16,
    play: Play,
}

type Play = fn(&Scene<'_>) -> Result<GroundTruth>;

impl Scenario {
    /// Provokes the resets and waits until every one of them was seen where it must be.
    ///
    /// # Errors
    /// If the laboratory's kernel lacks something ([`crate::exit::Code::UNAVAILABLE`], so that it
    /// can be reported as skipped), or something did not happen as it should.
    pub fn run(&self, lab: &Lab) -> Result<GroundTruth> {
        let play = || -> Result<GroundTruth> {
            lab.require(self.family)?;
            let scene = Scene::new(lab, self);
            let truth = (self.play)(&scene)?;
            scene.await_resets(&truth)?;
            Ok(truth)
        };
        play().with_context(|| format!("scenario {} over {}", self.id, self.family))
    }

    /// The server port that belongs to this scenario alone.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Every scenario in both families, simple ones first.
pub fn catalogue() -> Vec<Scenario> {
    let listed = [
        refused::LISTED,
        rejected::LISTED,
        aborts::LISTED,
        lost::LISTED,
        handshake::LISTED,
        forged::LISTED,
    ];
    let both = [Family::V4, Family::V6];
    let each = listed.concat().into_iter().flat_map(|listed| both.map(|family| (listed, family)));
    let numbered = (FIRST_PORT..).zip(each);
    numbered.map(|(port, (listed, family))| listed.scenario(family, port)).collect()
}

/// Runs `scenarios`, the slow ones beside the others, and gives each result to `report` as soon
/// as it is there.
pub fn run_all(
    lab: &Lab,
    scenarios: &[Scenario],
    mut report: impl FnMut(&Scenario, Result<GroundTruth>),
) {
    let (slow, quick): (Vec<_>, Vec<_>) = scenarios.iter().partition(|scenario| scenario.slow);
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for group in slow.into_iter().map(|one| vec![one]).chain([quick]) {
            let sender = sender.clone();
            scope.spawn(move || {
                for scenario in group {
                    // The receiver lives until every sender is gone.
                    sender.send((scenario, scenario.run(lab))).ok();
                }
            });
        }
        drop(sender);
        for (scenario, result) in results {
            report(scenario, result);
        }
    });
}

/// An entry of the catalogue before it is given a family and a port.
#[derive(Clone, Copy, Debug)]
struct Listed {
    id: &'static str,
    title: &'static str,
    what_was_done: &'static str,
    slow: bool,
    play: Play,
}

impl Listed {
    const fn new(
        id: &'static str,
        title: &'static str,
        what_was_done: &'static str,
        play: Play,
    ) -> Self {
        Self { id, title, what_was_done, slow: false, play }
    }

    const fn slow(self) -> Self {
        Self { slow: true, ..self }
    }

    fn scenario(self, family: Family, port: u16) -> Scenario {
        let Self { id, title, what_was_done, slow, play } = self;
        Scenario { id, title, family, what_was_done, slow, port, play }
    }
}
