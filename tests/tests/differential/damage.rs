//! What may happen to a frame on its way: nothing, padding, a cut, other bytes.

use proptest::{collection::vec, prelude::*, sample::Index};

/// What happened to a frame.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    None,
    Padding(usize),
    Cut(Index),
    /// Bytes replaced, anywhere.
    Bytes(Vec<(Index, u8)>),
    /// A byte replaced so many bytes behind the link header.
    Field(usize, u8),
    /// The IPv4 (at 2) or IPv6 (at 4) length replaced.
    Length(usize, u16),
    /// The source made one of IPv4 where the header is one of IPv6.
    Mapped,
}

pub(crate) fn damages() -> impl Strategy<Value = Damage> {
    // Where versions, lengths, fragments, protocols and data offsets stand over IPv4 and IPv6, and
    // values at their edges.
    let place = proptest::sample::select(&[0, 0, 2, 3, 4, 5, 6, 7, 9, 32, 33, 41, 52][..]);
    let value = prop_oneof![
        1 => any::<u8>(),
        3 => proptest::sample::select(&[0, 1, 19, 39, 0x40, 0x44, 0x4f, 0x60, 0x80, 0xff][..]),
    ];
    let length = proptest::sample::select(&[0, 0, 8, 19, 20, 32, 39, 41, 60, 1500, 0xffff][..]);
    prop_oneof![
        20 => Just(Damage::None),
        2 => (1_usize..50).prop_map(Damage::Padding),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => vec((any::<Index>(), any::<u8>()), 1..4).prop_map(Damage::Bytes),
        1 => Just(Damage::Mapped),
        2 => (place, value).prop_map(|(at, byte)| Damage::Field(at, byte)),
        2 => (proptest::sample::select(&[2, 4][..]), length)
            .prop_map(|(at, length)| Damage::Length(at, length)),
    ]
}

impl Damage {
    /// The frame after it. Its IP header stands at `ip_at`, if nothing stands before that.
    pub(crate) fn done_to(&self, ip_at: usize, mut frame: Vec<u8>) -> Vec<u8> {
        match self {
            Self::None => {}
            Self::Padding(n) => frame.resize(frame.len() + n, 0),
            Self::Cut(at) => frame.truncate(at.index(frame.len())),
            Self::Bytes(bytes) => {
                for (at, byte) in bytes {
                    let at = at.index(frame.len());
                    frame[at] = *byte;
                }
            }
            Self::Length(at, length) => {
                if let Some(place) = frame.get_mut(ip_at + at..ip_at + at + 2) {
                    place.copy_from_slice(&length.to_be_bytes());
                }
            }
            Self::Mapped => {
                let is_v6 = frame.get(ip_at).is_some_and(|first| first >> 4 == 6);
                if let Some(source) = frame.get_mut(ip_at + 8..ip_at + 20).filter(|_| is_v6) {
                    source.copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
                }
            }
            Self::Field(at, byte) => {
                if let Some(place) = frame.get_mut(ip_at + at) {
                    *place = *byte;
                }
            }
        }
        frame
    }
}
