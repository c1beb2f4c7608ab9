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
        /// Where it is seen: usually the client's segments arrive and the server's leave.
        place: Place,
        /// What is sent.
        what: Move,
        /// What it is wrapped in.
        wrapping: Wrapping,
        /// What happened to it on the way.
        damage: Damage,
        /// Whether it is seen once more as it leaves.
        forwarded: bool,
        /// How many times it is sent.
        times: usize,
    },
    /// Nothing happens, for so many milliseconds.
    Silence(u64),
}

/// Which program sees a segment.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    has_link: bool,
    before_stack: bool,
    goes_astray: bool,
}

impl Place {
    fn program(&self, by_client: bool) -> Program {
        let arrives = by_client != self.goes_astray;
        match (self.has_link, arrives, self.before_stack) {
            (true, true, true) => Program::XdpIngress,
            (true, true, false) => Program::TcIngress,
            (true, false, _) => Program::TcEgress,
            (false, true, true) => Program::XdpIngressL3,
            (false, true, false) => Program::TcIngressL3,
            (false, false, _) => Program::TcEgressL3,
        }
    }
}

/// What a step comes to.
#[derive(Clone)]
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
    let place = (prop::bool::weighted(0.7), any::<bool>(), prop::bool::weighted(0.05)).prop_map(
        |(has_link, before_stack, goes_astray)| Place { has_link, before_stack, goes_astray },
    );
    let forwarded = prop::bool::weighted(0.1);
    let times = prop_oneof![80 => Just(1), 1 => 17_usize..40];
    (place, traffic::moves(), wrapping::wrappings(), damage::damages(), forwarded, times).prop_map(
        |(place, what, wrapping, damage, forwarded, times)| Step::Packet {
            place,
            what,
            wrapping,
            damage,
            forwarded,
            times,
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
            Step::Packet { place, what, wrapping, damage, forwarded, times } => {
                let program = place.program(what.by_client);
                let layer = wrapping.wrap(talkers.say(what));
                let on_ethernet = place.has_link;
                let frame = if on_ethernet { wrapping.link.frame(layer) } else { layer.raw() };
                let frame = damage.done_to(if on_ethernet { 14 } else { 0 }, frame);
                let leaves = if on_ethernet { Program::TcEgress } else { Program::TcEgressL3 };
                for _ in 0..*times {
                    actions.push(Action::Frame(program, frame.clone()));
                    if *forwarded {
                        actions.push(Action::Frame(leaves, frame.clone()));
                    }
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
