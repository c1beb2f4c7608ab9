//! In which phase of its life a connection stands.

use super::{Hot, flag};

/// The phase before the segment at hand. Names follow the connection-tampering literature
/// (Sundara Raman et al., SIGCOMM 2023), refined by what both directions show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Only a SYN was seen.
    PostSyn,
    /// The SYN-ACK was seen, the handshake not completed.
    PostSynAck,
    /// Handshake complete (or connection older than the tracer), no data seen.
    PostAck,
    /// Exactly one data segment was seen.
    PostPush,
    /// More than one data segment was seen.
    PostData,
    /// A FIN was seen.
    PostFin,
    /// Both FINs were acknowledged, or an earlier reset ended the connection.
    Closed,
}

impl Stage {
    /// The stage that the hot entry shows.
    pub fn of(hot: &Hot) -> Self {
        let has = |bits: u16| hot.flags & bits != 0;
        let older_than_us = !has(flag::SYN | flag::SYN_ACK);
        let data = hot.counts.iter().map(|side| u32::from(side.data_segments)).sum::<u32>();
        if hot.is_closed() {
            Self::Closed
        } else if has(flag::FIN | flag::FIN << 1) {
            Self::PostFin
        } else if data > 1 || data == 1 && older_than_us {
            Self::PostData
        } else if data == 1 {
            Self::PostPush
        } else if has(flag::ESTABLISHED) || older_than_us {
            Self::PostAck
        } else if has(flag::SYN_ACK) {
            Self::PostSynAck
        } else {
            Self::PostSyn
        }
    }
}
