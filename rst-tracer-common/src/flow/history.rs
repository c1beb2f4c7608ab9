//! Zeek's `history`: a letter the first time something happens in a direction.
//!
//! Upper case: the originator. Lower case: the responder. Kept as side numbers in the kernel (bit 7
//! set for side 1), because who opened a connection may be learnt later.

use super::{Flow, Hot, flag};
use crate::wire::{Flags, Segment};

/// What a segment contributes; discriminants are bit numbers in [`Flow::history_seen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Letter {
    /// `S`: SYN without ACK.
    Syn = 0,
    /// `H`: SYN with ACK.
    SynAck = 1,
    /// `A`: a pure ACK.
    Ack = 2,
    /// `D`: payload.
    Data = 3,
    /// `F`: FIN.
    Fin = 4,
    /// `R`: RST.
    Rst = 5,
    /// `T`: a retransmission.
    Retransmit = 6,
    /// `W`: a zero window.
    ZeroWindow = 7,
    /// `Q`: flags that exclude each other.
    Multi = 8,
}

impl Letter {
    /// The letters by discriminant.
    pub const LETTERS: &'static [u8; 9] = b"SHADFRTWQ";

    /// The main letter of a segment. A FIN or RST with payload counts as what it is.
    #[inline(always)]
    pub fn of(segment: &Segment) -> Self {
        let flags = segment.tcp.flags;
        let several = (flags.0 & (Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0)).count_ones() > 1;
        if several {
            Self::Multi
        } else if flags.has(Flags::SYN) {
            if flags.has(Flags::ACK) { Self::SynAck } else { Self::Syn }
        } else if flags.has(Flags::RST) {
            Self::Rst
        } else if flags.has(Flags::FIN) {
            Self::Fin
        } else if segment.tcp.payload_len > 0 {
            Self::Data
        } else {
            Self::Ack
        }
    }
}

/// Notes a letter for a side, once.
#[inline(always)]
pub(super) fn note(flow: &mut Flow, side: u32, letter: Letter) {
    let bit = 1 << (letter as u32 * 2 + side);
    if flow.history_seen & bit != 0 {
        return;
    }
    flow.history_seen |= bit;
    let at = u32::from(flow.history_len);
    if at < super::HISTORY as u32 {
        flow.history[at as usize] = letter as u8 | (side as u8) << 7;
        flow.history_len = (at + 1) as u8;
    }
}

/// Notes what a segment contributes. The two letters of bulk traffic are remembered in the hot
/// entry, so that the flow's rarer fields are not touched for them.
#[inline(always)]
pub(super) fn note_segment(hot: &mut Hot, flow: &mut Flow, side: u32, segment: &Segment) {
    let letter = Letter::of(segment);
    let remembered = match letter {
        Letter::Ack => flag::ACKED << side,
        Letter::Data => flag::DATA << side,
        _ => 0,
    };
    if hot.flags & remembered == 0 {
        hot.flags |= remembered;
        note(flow, side, letter);
    }
    if segment.tcp.window == 0 && !segment.tcp.flags.has(Flags::RST) {
        note(flow, side, Letter::ZeroWindow);
    }
}

impl Flow {
    /// The history as text bytes, given which side opened the connection.
    pub fn history_letters(&self, opener: u32) -> impl Iterator<Item = u8> + '_ {
        let len = usize::from(self.history_len).min(self.history.len());
        self.history[..len].iter().filter_map(move |&code| {
            let letter = *Letter::LETTERS.get(usize::from(code & 0x7f))?;
            let side = u32::from(code >> 7);
            Some(if side == opener { letter } else { letter.to_ascii_lowercase() })
        })
    }
}
