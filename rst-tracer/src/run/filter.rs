//! Which resets become events.

use crate::{cli::FilterArgs, event::RstEvent};

/// The filters of the command line.
#[derive(Clone, Debug, Default)]
pub struct Filter(FilterArgs);

impl From<FilterArgs> for Filter {
    fn from(args: FilterArgs) -> Self {
        Self(args)
    }
}

impl Filter {
    /// Whether an event satisfies every kind of filter that was given.
    pub fn lets_pass(&self, event: &RstEvent) -> bool {
        let Self(args) = self;
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
    }
}
