//! Which resets become events.

use clap::ValueEnum;

use crate::{
    cli::FilterArgs,
    event::{self, RstEvent},
    sink::words,
};

/// Which way a reset has to go to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// What comes in to this host
    In,
    /// What leaves it
    Out,
    /// Both
    #[default]
    Inout,
}

/// The filters of the command line.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    args: FilterArgs,
    direction: Direction,
}

impl From<FilterArgs> for Filter {
    fn from(args: FilterArgs) -> Self {
        Self { args, direction: Direction::Inout }
    }
}

impl Filter {
    /// The same, of one direction only.
    pub fn going(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }

    /// Whether an event satisfies every kind of filter that was given.
    pub fn lets_pass(&self, event: &RstEvent) -> bool {
        let Self { args, direction } = self;
        let ends = [event.src, event.dst];
        let any = |given: usize, holds: bool| given == 0 || holds;
        any(args.ports.len(), ends.iter().any(|end| args.ports.contains(&end.port)))
            && any(
                args.nets.len(),
                ends.iter().any(|end| args.nets.iter().any(|net| net.contains(&end.ip))),
            )
            && any(args.causes.len(), args.causes.contains(&event.cause))
            && any(args.classes.len(), args.classes.contains(&event.class))
            && any(args.sent_by.len(), args.sent_by.contains(&event.sent_by))
            && args.min_confidence.is_none_or(|least| event.confidence.value() >= least)
            && goes(event, *direction)
    }
}

/// Whether a reset was seen to go that way, at whichever interface. What stays within the host leaves and comes in.
fn goes(event: &RstEvent, direction: Direction) -> bool {
    let wanted = match direction {
        Direction::In => event::Direction::Ingress,
        Direction::Out => event::Direction::Egress,
        Direction::Inout => return true,
    };
    let mut seen = event.sightings.iter().map(|sighting| sighting.direction);
    event.direction == Some(wanted)
        || seen.any(|direction| direction == Some(wanted))
        || words::is_within_host(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Hook, Sighting, samples};

    #[test]
    fn each_way_and_both_where_it_goes_both_ways() {
        use event::Direction::{Egress, Ingress};
        let Event::Rst(mut event) = samples::unread_data() else { panic!("a reset") };
        let told = |event: &RstEvent| {
            [Direction::In, Direction::Out, Direction::Inout]
                .map(|way| Filter::default().going(way).lets_pass(event))
        };
        (event.direction, event.interface) = (Some(Ingress), Some("eth0".into()));
        assert_eq!(told(&event), [true, false, true]);
        event.direction = Some(Egress);
        assert_eq!(told(&event), [false, true, true]);
        let sighting = |direction| Sighting {
            interface: None,
            hook: Hook::TcEgress,
            direction: Some(direction),
        };
        event.sightings = vec![sighting(Ingress), sighting(Egress)];
        assert_eq!(told(&event), [true; 3], "it is forwarded");
        event.sightings.clear();
        event.interface = Some("lo".into());
        assert_eq!(told(&event), [true; 3], "it leaves and comes in");
    }
}
