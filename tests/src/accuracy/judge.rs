//! Holds each verdict against the truth.

use rst_tracer::{
    demo::{
        compare::Vantage,
        lab::Place,
        scenarios::Scenario,
        truth::{Connection, Effect, Maker, Reset, Sender, Side},
    },
    event::{Endpoint, Origin, RstEvent},
};

use super::{Viewpoint, is_held_out, play::Played};

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
        self.event.as_ref().is_some_and(|event| event.class.id() == self.truth.class)
    }

    /// Whether the cause is right.
    pub fn cause_is_right(&self) -> bool {
        self.event.as_ref().is_some_and(|event| event.cause.id() == self.truth.cause)
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
        let genuine = self.truth.maker == Maker::Stack;
        genuine && self.event.as_ref().is_some_and(|e| e.origin == Origin::MiddleboxProven)
    }

    /// Name for people.
    pub fn name(&self) -> String {
        format!("{} {} #{} from the {}", self.id, self.family, self.number, self.viewpoint.words())
    }
}

/// Judges everything that was played.
pub fn judge(played: &Played) -> Vec<Judged> {
    let mut all = Vec::new();
    for (scenario, truth) in &played.scenes {
        let Ok(truth) = truth else { continue };
        for viewpoint in Viewpoint::ALL {
            let mut judged = Vec::new();
            for connection in &truth.connections {
                judged.extend(judge_connection(played, scenario, connection, viewpoint));
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

fn judge_connection(
    played: &Played,
    scenario: &Scenario,
    connection: &Connection,
    viewpoint: Viewpoint,
) -> Vec<Judged> {
    let resets = connection.resets.iter().enumerate();
    resets
        .filter_map(|(index, reset)| {
            let (events, sees): (&[RstEvent], Box<dyn Fn(&Reset) -> bool>) =
                match observer(reset, viewpoint)? {
                    Observer::Host(vantage) => {
                        let events = played.live.get(&vantage)?.events.as_slice();
                        (events, Box::new(move |reset: &Reset| vantage.sees(reset)))
                    }
                    Observer::Capture(place) => {
                        let events = played.captures.get(&place)?.as_slice();
                        let sees = move |r: &Reset| r.path().iter().any(|(at, _)| *at == place);
                        (events, Box::new(sees))
                    }
                };
            // The same side's resets arrive in the order in which they were sent.
            let side = reset.sender.claimed();
            let is_alike = |other: &&Reset| other.sender.claimed() == side && sees(other);
            let earlier = connection.resets[..index].iter().filter(is_alike).count();
            let (from, to) = match side {
                Side::Client => (connection.client, connection.server),
                Side::Server => (connection.server, connection.client),
            };
            let (from, to) = (Endpoint::from(from), Endpoint::from(to));
            let mut of_side = events.iter().filter(|e| (e.src, e.dst) == (from, to));
            Some(Judged {
                id: scenario.id,
                family: scenario.family.to_string(),
                number: 0,
                held_out: is_held_out(scenario.id),
                viewpoint,
                truth: *reset,
                event: of_side.nth(earlier).cloned(),
                weight: 1.0,
            })
        })
        .collect()
}

enum Observer {
    Host(Vantage),
    Capture(Place),
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
