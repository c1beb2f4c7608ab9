//! What the kernel says: which waiting reset it is about, whether it comes before or after it.
//!
//! In: statements, and resets that just came. Out: resets with what was said about them. A statement that is about none
//! yet is kept for a moment, or counted as unmatched.

use std::collections::VecDeque;

use rst_tracer_common::{notice::Point, wire::Endpoint};

use super::Correlator;
use crate::{
    correlate::{
        early::Heard,
        hearing::{self, Part, part},
    },
    event::{KnownBy, Process},
    source::Notice,
};

/// Of the processes at both ends the one that the event names: whose task closed the socket, also in a container of this
/// host; else the one at this host's own end; where it has none or both, rather who sent it.
pub(super) fn named(
    [src_here, dst_here]: [bool; 2],
    sender: Option<Process>,
    receiver: Option<Process>,
) -> Option<Process> {
    let closed = sender.as_ref().is_some_and(|process| process.known_by == KnownBy::ActiveClose);
    match (src_here, dst_here) {
        _ if closed => sender,
        (true, false) => sender,
        (false, true) => receiver,
        _ => sender.or(receiver),
    }
}

impl Correlator {
    /// Whether a statement counts, by the network namespace that it comes from.
    pub fn believes(&self, notice: &Notice) -> bool {
        !self.rules.only_netns || self.rules.netns == Some(notice.wire.netns)
    }

    /// Takes in what the kernel says, and the process that it is about.
    pub fn take_notice(&mut self, notice: Box<Notice>, process: Option<Process>) {
        if !self.believes(&notice) {
            return;
        }
        let heard = Heard { notice, process };
        match heard.notice.wire.point {
            Point::LISTENER if !heard.notice.is_in("LISTEN") => {
                self.crowd.listener_closes(&heard.notice);
            }
            Point::SEND_RESET => {
                if let Some(heard) = self.attach(heard) {
                    self.sent_early.keep(heard);
                }
            }
            Point::RECEIVE_RESET => {
                // Without a RST on the wire it is none: the kernel ends a connection so when data
                // comes behind its own close.
                self.unmatched += u64::from(self.attach(heard).is_some());
            }
            Point::DROP => {
                if let Some(heard) = self.attach(heard) {
                    if hearing::is_answered_drop(&heard.notice) {
                        self.drops_early.keep(heard);
                    } else {
                        self.unmatched += 1;
                    }
                }
            }
            _ => {}
        }
    }

    /// Gives a statement to the reset that it is about; back comes one that is about none.
    fn attach(&mut self, heard: Heard) -> Option<Heard> {
        let of_flow = self.of_flow.get(&heard.notice.wire.flow_hash);
        let Some((part, number)) = self.best(&heard.notice, of_flow).or_else(|| {
            let sent = heard.notice.wire.point == Point::SEND_RESET;
            self.best(&heard.notice, self.to.get(&heard.receiver()).filter(|_| sent))
        }) else {
            return Some(heard);
        };
        self.testify(number, part, heard);
        None
    }

    /// Which of these resets a statement is about, and what it says of it.
    fn best(&self, notice: &Notice, numbers: Option<&VecDeque<u64>>) -> Option<(Part, u64)> {
        let ranked = numbers.into_iter().flatten().filter_map(|number| {
            let joined = &self.waiting.get(number)?.joined;
            let part = part(notice, joined, self.rules.netns)?;
            Some((hearing::rank(part, notice, joined)?, part, *number))
        });
        // Of equals the first: resets of one form are told in the order in which they go.
        let best = ranked.reduce(|best, other| if other.0 > best.0 { other } else { best });
        best.map(|(_, part, number)| (part, number))
    }

    fn testify(&mut self, number: u64, part: Part, heard: Heard) {
        let Some(waiting) = self.waiting.get_mut(&number) else { return };
        match part {
            Part::Answered | Part::Aborted => waiting.sender = heard.process,
            Part::Received => {
                if let Some(process) = &heard.process {
                    self.crowd.leg_falls(process.pid, &waiting.joined);
                }
                waiting.receiver = heard.process;
            }
            Part::Dropped | Part::TriggerDropped => {}
        }
        *part.of(&mut waiting.joined.testimony) = Some(heard.notice);
        self.reschedule(number);
    }

    /// Looks for statements that came before this sighting.
    pub(super) fn recall(&mut self, number: u64, receiver: Endpoint) {
        while let Some((part, heard)) = self.heard_before(number, receiver) {
            self.testify(number, part, heard);
        }
        self.reschedule(number);
    }

    fn heard_before(&mut self, number: u64, receiver: Endpoint) -> Option<(Part, Heard)> {
        let (joined, own) = (&self.waiting.get(&number)?.joined, self.rules.netns);
        let said = |notice: &Notice| part(notice, joined, own);
        [&mut self.sent_early, &mut self.drops_early].into_iter().find_map(|early| {
            let heard =
                early.take(receiver, |notice| hearing::rank(said(notice)?, notice, joined))?;
            Some((said(&heard.notice)?, heard))
        })
    }

    /// Statements were lost, it was found at `now` on the clock of the source: silence proves nothing about
    /// the resets around that time.
    pub fn statements_lost(&mut self, now: u64) {
        self.lost_ns = Some(now);
    }
}
