//! Signs that somebody else wrote the reset, weighed against signs that its claimed sender did.
//!
//! In: a case. Out: [`Tells`]. Weights are logarithms of likelihood ratios, forged to genuine. Times
//! to live, identifications and windows differ for innocent reasons too: only what no TCP can do
//! is a proof, and only with guards against what an observer may miss.

mod aftermath;
pub(super) mod copies;
mod genuine;
mod headers;
mod link;
mod numbers;
mod timing;

pub use timing::handshake as handshake_trip_ns;

use super::{Case, Habit, fingerprint, opinion::reason};
use crate::event::{Evidence, LocalRole, Text};

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Tells {
    /// Signs, for and against.
    pub signs: Vec<Evidence>,
    /// Another hand than the TCP of its claimed sender wrote it: that is proven.
    pub proven: bool,
    /// The claimed sender's own later segments refute it.
    pub refuted: bool,
    /// Whose habits it has.
    pub habit: Option<&'static Habit>,
    /// The kernel of this host says that its TCP sent it.
    pub genuine: bool,
    has_proof: bool,
}

/// A sum from which on another hand is suspected.
const SUSPECTED: f64 = 1.5;
/// A sum that a proof must reach together with all that speaks against it.
const ENOUGH: f64 = 3.0;

impl Tells {
    /// Looks for all signs.
    pub fn of(case: &Case<'_>) -> Self {
        let mut tells = Self::default();
        if genuine::the_kernel_sent_it(case, &mut tells) {
            return tells;
        }
        copies::known_payload(case, &mut tells);
        let Some(past) = case.past else { return tells.weighed() };
        aftermath::look(case, &past, &mut tells);
        numbers::look(case, &past, &mut tells);
        timing::look(case, &past, &mut tells);
        copies::look(case, &past, &mut tells);
        headers::look(case, &past, &mut tells);
        link::look(case, &past, &mut tells);
        genuine::look(case, &past, &mut tells);
        if let Some(habit) = fingerprint::find(case, &past) {
            tells.habit = Some(habit);
            tells.add("habit", habit.weight, format!("it has the habits of {}", habit.name));
        }
        tells.weighed()
    }

    /// Decides whether the proofs hold.
    fn weighed(mut self) -> Self {
        // What looks like the sender's hand is the copyist's art once the sender itself refutes it.
        if self.refuted {
            self.signs.retain(|sign| sign.weight.value() > 0.0);
        }
        self.proven = self.has_proof && self.sum() >= ENOUGH;
        self
    }

    /// The sum of the weights.
    pub fn sum(&self) -> f64 {
        self.signs.iter().map(|sign| sign.weight.value()).sum()
    }

    /// Whether another hand is at least suspected.
    pub fn suspected(&self) -> bool {
        self.proven || self.sum() >= SUSPECTED
    }

    /// Whether a sign was found.
    pub fn has(&self, id: &str) -> bool {
        self.signs.iter().any(|sign| sign.id == id)
    }

    fn add(&mut self, id: &'static str, weight: f64, text: impl Into<Text>) {
        self.signs.push(reason(id, weight, text));
    }

    /// A sign that no TCP of the claimed sender can give.
    fn prove(&mut self, id: &'static str, weight: f64, text: impl Into<Text>) {
        self.add(id, weight, text);
        self.has_proof = true;
    }
}

impl Case<'_> {
    /// Whether this host made the frame, and no box on the path could have: its TCP, its packet
    /// filter or a raw socket.
    pub fn made_here(&self) -> bool {
        self.known.role == LocalRole::Sender
    }
}
