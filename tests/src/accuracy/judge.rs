//! Holds each verdict against the truth.

use rst_tracer::{
    demo::{
        compare::Vantage,
        lab::Place,
        scenarios::Scenario,
        truth::{Connection, Effect, Reset, Sender, Side, Source},
    },
    event::{Cause, Endpoint, Origin, RstEvent},
};
use rst_tracer_common::flow::RESET_BUDGET;

use super::{
    Viewpoint, is_held_out,
    play::{Played, Told},
};

/// One reset as one point of view judged it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Name of the scenario.
    pub id: &'static str,
    /// `v4` or `v6`.
    pub family: String,
    /// Which reset of the scenario, from 1, over all its connections.
    pub number: usize,
    /// Whether the scenario was kept aside.
    pub held_out: bool,
    /// Who judged.
    pub viewpoint: Viewpoint,
    /// What is true.
    pub truth: Reset,
    /// What was concluded; `None`: the reset was not reported.
    pub event: Option<RstEvent>,
    /// What this judgement counts: all of one scenario, family and point of view count one.
    pub weight: f64,
}

impl Judged {
    /// Whether the class is right.
    pub fn class_is_right(&self) -> bool {
        let Some(event) = &self.event else { return false };
        let of_also = Cause::ALL.iter().filter(|cause| self.truth.also.contains(&cause.id()));
        event.class.id() == self.truth.class || of_also.clone().any(|c| c.class() == event.class)
    }

    /// Whether the cause is right: the truth's, or one that is just as true.
    pub fn cause_is_right(&self) -> bool {
        let Some(event) = &self.event else { return false };
        event.cause.id() == self.truth.cause || self.truth.also.contains(&event.cause.id())
    }

    /// The confidence in the cause.
    pub fn confidence(&self) -> f64 {
        self.event.as_ref().map_or(0.0, |event| event.confidence.value())
    }

    /// A wrong verdict in which much confidence was put.
    pub fn is_confidently_wrong(&self) -> bool {
        !self.cause_is_right() && self.confidence() >= 0.8
    }

    /// A reset that an endpoint really sent, called a proven forgery.
    pub fn is_false_proof(&self) -> bool {
        let genuine = self.truth.source() == Source::Endpoint;
        genuine && self.event.as_ref().is_some_and(|e| e.origin == Origin::MiddleboxProven)
    }

    /// A forgery that the one in whose name it travels refutes on the wire, and that nobody noticed.
    pub fn is_overlooked_forgery(&self) -> bool {
        let refuted = self.truth.source() == Source::Middlebox && self.truth.proof_available;
        let noticed = |event: &RstEvent| {
            matches!(event.origin, Origin::MiddleboxProven | Origin::MiddleboxSuspected)
        };
        refuted && !self.event.as_ref().is_some_and(noticed)
    }

    /// Name for people.
    pub fn name(&self) -> String {
        format!("{} {} #{} from the {}", self.id, self.family, self.number, self.viewpoint.words())
    }
}

/// Judges everything that was played.
pub fn judge(played: &Played) -> Vec<Judged> {
    judge_from(&Viewpoint::ALL, played, &played.captures)
}

/// Judges what was said about the captures without the recorder.
pub fn judge_unrecorded(played: &Played) -> Vec<Judged> {
    judge_from(&[Viewpoint::Capture], played, &played.unrecorded)
}

fn judge_from(viewpoints: &[Viewpoint], played: &Played, captures: &Told) -> Vec<Judged> {
    let mut all = Vec::new();
    for (scenario, truth) in &played.scenes {
        let Ok(truth) = truth else { continue };
        for &viewpoint in viewpoints {
            let mut judged = Vec::new();
            for connection in &truth.connections {
                let events = |observer: &Observer| observer.events(played, captures);
                judged.extend(judge_connection(events, scenario, connection, viewpoint));
            }
            let weight = 1.0 / judged.len().max(1) as f64;
            for (number, one) in (1..).zip(&mut judged) {
                (one.number, one.weight) = (number, weight);
            }
            all.extend(judged);
        }
    }
    all
}

fn judge_connection<'a>(
    events: impl Fn(&Observer) -> Option<&'a [RstEvent]>,
    scenario: &Scenario,
    connection: &Connection,
    viewpoint: Viewpoint,
) -> Vec<Judged> {
    let resets = connection.resets.iter().enumerate();
    resets
        .filter_map(|(index, reset)| {
            let observer = observer(reset, viewpoint)?;
            let events = events(&observer)?;
            // The same side's resets arrive in the order in which they were sent.
            let side = reset.sender.claimed();
            let is_alike = |other: &&Reset| other.sender.claimed() == side && observer.sees(other);
            let earlier = connection.resets[..index].iter().filter(is_alike).count();
            let (from, to) = match side {
                Side::Client => (connection.client, connection.server),
                Side::Server => (connection.server, connection.client),
            };
            let (from, to) = (Endpoint::from(from), Endpoint::from(to));
            let mut of_side = events.iter().filter(|e| (e.src, e.dst) == (from, to));
            let event = of_side.nth(earlier).cloned();
            // Live, resets of one connection beyond the budget are counted as suppressed, not told.
            let told_live = matches!(observer, Observer::Host(_));
            if told_live && event.is_none() && index >= usize::from(RESET_BUDGET) {
                return None;
            }
            Some(Judged {
                id: scenario.id,
                family: scenario.family.to_string(),
                number: 0,
                held_out: is_held_out(scenario.id),
                viewpoint,
                truth: *reset,
                event,
                weight: 1.0,
            })
        })
        .collect()
}

enum Observer {
    Host(Vantage),
    Capture(Place),
}

impl Observer {
    fn events<'a>(&self, played: &'a Played, captures: &'a Told) -> Option<&'a [RstEvent]> {
        match self {
            Self::Host(vantage) => played.live.get(vantage).map(|seen| seen.events.as_slice()),
            Self::Capture(place) => captures.get(place).map(Vec::as_slice),
        }
    }

    fn sees(&self, reset: &Reset) -> bool {
        match self {
            Self::Host(vantage) => vantage.sees(reset),
            Self::Capture(place) => reset.path().iter().any(|(at, _)| at == place),
        }
    }
}

/// Who sees this reset from this point of view; `None` when nobody does.
fn observer(reset: &Reset, viewpoint: Viewpoint) -> Option<Observer> {
    let receiver = match reset.sender.claimed() {
        Side::Client => Vantage::Server,
        Side::Server => Vantage::Client,
    };
    Some(match (viewpoint, reset.sender) {
        (Viewpoint::Sender, Sender::Client) => Observer::Host(Vantage::Client),
        (Viewpoint::Sender, Sender::Server) => Observer::Host(Vantage::Server),
        (Viewpoint::Sender, Sender::RouterOnBehalfOf(_)) => Observer::Host(Vantage::Router),
        // No tracer stands on the stranger's host.
        (Viewpoint::Sender, Sender::StrangerOnBehalfOf(_)) => return None,
        (Viewpoint::Receiver, _) if reset.effect == Effect::Lost => return None,
        (Viewpoint::Receiver, _) => Observer::Host(receiver),
        (
            Viewpoint::Capture,
            Sender::RouterOnBehalfOf(Side::Client) | Sender::StrangerOnBehalfOf(Side::Client),
        ) => Observer::Capture(Place::RouterServerSide),
        (Viewpoint::Capture, Sender::Server) if reset.effect == Effect::Lost => {
            Observer::Capture(Place::RouterServerSide)
        }
        (Viewpoint::Capture, _) => Observer::Capture(Place::RouterClientSide),
    })
}
