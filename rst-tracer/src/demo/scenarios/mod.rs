//! The catalogue of resets that the laboratory can provoke, each for IPv4 and IPv6.
//!
//! In: a [`Lab`]. Out: for each scenario its [`GroundTruth`], once the resets have been seen on
//! the wire. A scenario has a port of its own and takes its firewall rules away when done.

mod aborts;
mod forged;
mod handshake;
mod listed;
mod lost;
mod pair;
mod raw;
mod refused;
mod rejected;
mod scene;

use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use anyhow::{Context, Result};

use super::lab::Lab;
use super::truth::{Family, GroundTruth};

pub use listed::{Listed, number};
pub use pair::{Pair, answer_of_the_dead, last, settle};
pub use raw::RAW_CLIENT_PORT;
pub use scene::{ANSWER, REQUEST, Scene};

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
    /// It disturbs whatever runs beside it.
    pub alone: bool,
    /// The programs that it runs.
    pub needs: &'static [&'static str],
    port: u16,
    play: Play,
}

/// What is done, and the truth about it.
pub type Play = fn(&Scene<'_>) -> Result<GroundTruth>;

impl Scenario {
    /// Provokes the resets and waits until every one of them was seen where it must be.
    ///
    /// # Errors
    /// If the laboratory's kernel lacks something ([`crate::exit::Code::UNAVAILABLE`], so that it
    /// can be reported as skipped), or something did not happen as it should.
    pub fn run(&self, lab: &Lab) -> Result<GroundTruth> {
        let play = || -> Result<GroundTruth> {
            lab.require(self.family)?;
            listed::require(self.needs)?;
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
    number(&listed, FIRST_PORT, 1)
}

/// So many slow scenarios run at the same time: more would keep each other, and the others, from being in time.
const SLOW_AT_ONCE: usize = 48;

/// Runs `scenarios`, the slow ones beside the others, of which `at_once` run at the same time, then
/// those that must run alone, and gives each result to `report` as soon as it is there.
pub fn run_all(
    lab: &Lab,
    scenarios: &[Scenario],
    at_once: usize,
    mut report: impl FnMut(&Scenario, Result<GroundTruth>),
) {
    let (alone, social): (Vec<_>, Vec<_>) = scenarios.iter().partition(|scenario| scenario.alone);
    let (slow, quick): (Vec<_>, Vec<_>) = social.into_iter().partition(|scenario| scenario.slow);
    let workers = [slow.len().min(SLOW_AT_ONCE), at_once];
    let queues = [slow, quick].map(|scenarios| Mutex::new(scenarios.into_iter()));
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for (queue, workers) in queues.iter().zip(workers) {
            for _ in 0..workers {
                let sender = sender.clone();
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                scope.spawn(move || {
                    while let Some(scenario) = next() {
                        // The receiver lives until every sender is gone.
                        sender.send((scenario, scenario.run(lab))).ok();
                    }
                });
            }
        }
        drop(sender);
        for (scenario, result) in results {
            report(scenario, result);
        }
    });
    for scenario in alone {
        report(scenario, scenario.run(lab));
    }
}
