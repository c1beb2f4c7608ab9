//! Zeek's `conn_state` and `history` of the connection, this reset included.
//!
//! The states of both ends are derived from the history letters: they depend on what happened
//! first in each direction, and that is what the letters keep. As in Zeek, the first to speak is
//! the originator unless a SYN-ACK or the ports say otherwise, and `^` marks that Zeek would have
//! swapped the two (scripts/base/protocols/conn/main.zeek; src/packet_analysis/protocol/tcp).

use rst_tracer_common::{flow::Letter, wire::Segment};

use super::roles::Roles;
use crate::{classify::Past, event::ConnState};

/// The state of one end, as Zeek names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Inactive,
    Partial,
    SynSent,
    SynAckSent,
    Established,
    Closed,
    Reset,
}

impl End {
    /// Zeek's `inactive or partial`.
    fn is_dormant(self) -> bool {
        matches!(self, Self::Inactive | Self::Partial)
    }
}

/// One thing that happened first: by the originator or not, and what.
type Step = (bool, u8);

/// State and history.
pub(super) fn of(reset: &Segment, past: Option<&Past<'_>>, roles: &Roles) -> (ConnState, String) {
    let mut steps: Vec<Step> = Vec::new();
    if let Some(past) = past {
        // Upper case for the sender of the reset.
        let letters = past.state().flow.history_letters(past.my_side());
        steps.extend(letters.map(|l| (l.is_ascii_uppercase(), l.to_ascii_uppercase())));
    }
    let letter = Letter::LETTERS[Letter::of(reset) as usize];
    if !steps.contains(&(true, letter)) {
        steps.push((true, letter));
    }
    let src_spoke_first = steps[0].0;
    let src_is_orig = roles.src_opened.unwrap_or(src_spoke_first);
    steps.iter_mut().for_each(|step| step.0 = step.0 == src_is_orig);

    let mut history = String::with_capacity(steps.len() + 1);
    if src_spoke_first != src_is_orig {
        history.push('^');
    }
    let case = |&(is_orig, letter): &Step| {
        char::from(if is_orig { letter } else { letter.to_ascii_lowercase() })
    };
    history.extend(steps.iter().map(case));
    let no_data = past.is_none_or(|past| past.mine().bytes + past.theirs().bytes == 0);
    // The reset is what it is even when a letter for it stands there already, or when it bears
    // other flags too.
    if steps.last() != Some(&(src_is_orig, b'R')) {
        steps.push((src_is_orig, b'R'));
    }
    (state(&steps, &history, no_data), history)
}

/// Follows both ends through the steps.
fn ends(steps: &[Step]) -> (End, End) {
    let (mut orig, mut resp) = (End::Inactive, End::Inactive);
    for &(is_orig, letter) in steps {
        let (me, peer) = if is_orig { (&mut orig, &mut resp) } else { (&mut resp, &mut orig) };
        match (*me, letter) {
            (End::Inactive, b'S' | b'H') if is_orig => {
                *me = if letter == b'S' { End::SynSent } else { End::SynAckSent };
            }
            (End::Inactive, b'S' | b'H') => {
                if *peer == End::SynSent {
                    *peer = End::Established;
                }
                *me = End::Established;
            }
            (End::Inactive, b'F') => *me = End::Closed,
            (End::Inactive, b'R') => *me = End::Reset,
            // Some stacks acknowledge a SYN before they answer it.
            (End::Inactive, b'A') if !is_orig && *peer == End::SynSent => {}
            (End::Inactive, b'A' | b'D') if *peer == End::Established => *me = End::Established,
            (End::Inactive, b'A' | b'D') => *me = End::Partial,
            (End::Partial, b'S') if *peer == End::Inactive => *me = End::SynSent,
            (End::SynSent | End::SynAckSent | End::Established | End::Partial, b'F') => {
                *me = End::Closed;
            }
            (End::SynSent | End::SynAckSent | End::Established | End::Partial, b'R') => {
                *me = End::Reset;
            }
            (End::Closed, b'R') if *peer != End::Closed => *me = End::Reset,
            _ => {}
        }
    }
    (orig, resp)
}

fn state(steps: &[Step], history: &str, no_data: bool) -> ConnState {
    match ends(steps) {
        (End::SynSent | End::SynAckSent, End::Reset) => ConnState::Rej,
        (End::Reset, End::Reset) if no_data => ConnState::Rej,
        (orig, End::Reset) if orig.is_dormant() => ConnState::Rstrh,
        (_, End::Reset) => ConnState::Rstr,
        (End::Reset, resp) if resp.is_dormant() => {
            if is_syn_then_rst(history) {
                ConnState::Rstos0
            } else {
                ConnState::Oth
            }
        }
        (End::Reset, _) => ConnState::Rsto,
        (End::Closed, End::Closed) => ConnState::Sf,
        (End::Closed, resp) => {
            if resp.is_dormant() {
                ConnState::Sh
            } else {
                ConnState::S2
            }
        }
        (orig, End::Closed) => {
            if orig.is_dormant() {
                ConnState::Shr
            } else {
                ConnState::S3
            }
        }
        (End::SynSent, End::Inactive) => ConnState::S0,
        (End::Established, End::Established) => ConnState::S1,
        _ => ConnState::Oth,
    }
}

/// `^?S`, then no handshake, ACK, FIN, gap or oddity of the originator, then `R`.
fn is_syn_then_rst(history: &str) -> bool {
    let Some(rest) = history.strip_prefix('^').unwrap_or(history).strip_prefix('S') else {
        return false;
    };
    let stop = rest.find(|letter| "HAFGIQR".contains(letter));
    stop.is_some_and(|at| rest[at..].starts_with('R'))
}
