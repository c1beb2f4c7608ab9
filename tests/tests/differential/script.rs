//! Scripts: what happens in front of the programs, step by step, and its rendering into frames.

use std::fmt;

use proptest::{collection::vec, prelude::*};
use rst_tracer_tests::kernel::{Program, hex};

use crate::{
    damage::{self, Damage},
    traffic::{self, Move, Talkers},
    wrapping::{self, Wrapping},
};

/// One step of a script.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Somebody sends something.
    Packet {
        /// Where it is seen.
        program: Program,
        /// What is sent.
        what: Move,
        /// What it is wrapped in.
        wrapping: Wrapping,
        /// What happened to it on the way.
        damage: Damage,
        /// Whether it is seen once more as it leaves.
        forwarded: bool,
    },
    /// Nothing happens, for so many milliseconds.
    Silence(u64),
}

/// What a step comes to.
pub(crate) enum Action {
    /// A frame before a program.
    Frame(Program, Vec<u8>),
    /// Everything in the table grows older by so many milliseconds.
    Silence(u64),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(program, frame) => write!(f, "{} {}", program.name(), hex(frame)),
            Self::Silence(ms) => write!(f, "silence of {ms} ms"),
        }
    }
}

/// Scripts of up to `most` steps.
pub(crate) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(prop_oneof![60 => packet().boxed(), 1 => silence().boxed()], most / 4..most)
}

fn packet() -> impl Strategy<Value = Step> {
    let program = proptest::sample::select(&Program::ALL[..]);
    let forwarded = prop::bool::weighted(0.1);
    (program, traffic::moves(), wrapping::wrappings(), damage::damages(), forwarded).prop_map(
        |(program, what, wrapping, damage, forwarded)| Step::Packet {
            program,
            what,
            wrapping,
            damage,
            forwarded,
        },
    )
}

/// Silences beyond each of the tracker's limits: 1, 5, 30 and 600 s. No sum of them comes near one,
/// so that the microseconds between kernel and userspace decide nothing.
fn silence() -> impl Strategy<Value = Step> {
    proptest::sample::select(&[1_370, 6_410, 41_300, 703_900][..]).prop_map(Step::Silence)
}

/// The frames of a script.
pub(crate) fn render(steps: &[Step]) -> Vec<Action> {
    let mut talkers = Talkers::default();
    let mut actions = Vec::new();
    for step in steps {
        match step {
            Step::Silence(ms) => actions.push(Action::Silence(*ms)),
            Step::Packet { program, what, wrapping, damage, forwarded } => {
                let layer = wrapping.wrap(talkers.say(what));
                let on_ethernet = Program::ETHERNET.contains(program);
                let frame = if on_ethernet { wrapping.link.frame(layer) } else { layer.raw() };
                let frame = damage.done_to(if on_ethernet { 14 } else { 0 }, frame);
                let leaves = if on_ethernet { Program::TcEgress } else { Program::TcEgressL3 };
                actions.push(Action::Frame(*program, frame.clone()));
                if *forwarded {
                    actions.push(Action::Frame(leaves, frame));
                }
            }
        }
    }
    // What cannot be given to a program in a test is no step.
    actions.retain(|action| match action {
        Action::Frame(program, frame) => program.can_be_tested_on(frame),
        Action::Silence(_) => true,
    });
    actions
}
