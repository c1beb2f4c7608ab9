//! The byte source: what a parser may ask of a frame.
//!
//! In: an offset. Out: `N` bytes there, or `None` past the captured end. The kernel implements it
//! over packet memory (the verifier follows a fixed-size read, not a slice), the agent over `&[u8]`.

use crate::{bits, verifier, words};

/// Headers that start beyond this offset are not looked at; it bounds every packet offset for the
/// verifier, which refuses variable offsets it cannot bound.
pub const REACH: u32 = 4095;

/// A frame that can be read in fixed-size pieces.
///
/// In the kernel a frame may lie in several buffers, of which only the first can be peeked at. TCP sends its headers in
/// the first and its data in others: headers are peeked at, data is fetched.
pub trait Bytes: Sized {
    /// The same frame, with nothing known about it. In the kernel every path of the parser has
    /// checked another length of the packet, and the verifier would walk all that follows once per
    /// path; pointers taken anew are alike.
    fn afresh(&self) -> Self;

    /// The same frame without its first four bytes: where a VLAN tag was, an Ethernet type and what follows lie as in
    /// a frame without one. At least fourteen bytes are there.
    fn behind_tag(&self) -> Self;

    /// Length of the frame on the wire in bytes, which may exceed what can be peeked at.
    fn wire_len(&self) -> u32;

    /// How many bytes of it can be peeked at, [`REACH`] aside.
    fn captured_len(&self) -> u32;

    /// Whether the frame on the wire is at least `end` bytes long.
    #[inline(always)]
    fn reaches(&self, end: u32) -> bool {
        end <= self.wire_len()
    }

    /// The `N` bytes at `at`, or `None` when they were not captured or lie beyond [`REACH`].
    fn peek<const N: usize>(&self, at: u32) -> Option<[u8; N]>;

    /// The same at an offset that is known when the program is compiled: cheaper in the kernel.
    #[inline(always)]
    fn fixed<const AT: u32, const N: usize>(&self) -> Option<[u8; N]> {
        self.peek::<N>(AT)
    }

    /// The `N` bytes at `at`, in whatever buffer of the frame they lie: may be a call, so not for headers.
    #[inline(always)]
    fn fetch<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        self.peek::<N>(at)
    }

    /// Copies up to `wanted` bytes from `at`, in whatever buffer they lie and as far as they were captured, and zeroes
    /// the rest. Returns how many.
    #[inline(always)]
    fn copy<const N: usize>(&self, at: u32, wanted: u32, to: &mut [u8; N]) -> u32 {
        copy_peeked(self, at, wanted, to)
    }

    /// One byte.
    #[inline(always)]
    fn u8(&self, at: u32) -> Option<u8> {
        self.peek::<1>(at).map(|[b]| b)
    }

    /// A big-endian 16-bit number.
    #[inline(always)]
    fn u16(&self, at: u32) -> Option<u16> {
        self.peek::<2>(at).map(u16::from_be_bytes)
    }

    /// A big-endian 32-bit number.
    #[inline(always)]
    fn u32(&self, at: u32) -> Option<u32> {
        self.peek::<4>(at).map(u32::from_be_bytes)
    }
}

/// Copies up to `wanted` bytes from `at`, as far as they can be peeked at, and zeroes the rest.
///
/// In pieces of eight bytes of which the last overlaps the one before, or in one each of four, two
/// and one. The length is known before them and nothing else depends on where they end: otherwise
/// the verifier follows each of their many exits to the end of the program.
#[inline(always)]
fn copy_peeked<B: Bytes, const N: usize>(bytes: &B, at: u32, wanted: u32, to: &mut [u8; N]) -> u32 {
    let at = super::forget(at);
    let len = begin_copy(to, bytes.captured_len(), at, wanted);
    let mut i = 0;
    while i + 8 <= N && i as u32 + 8 <= len && copy_piece::<B, 8, N>(bytes, at, i as u32, to) {
        i += 8;
    }
    if len >= 8 {
        copy_piece::<B, 8, N>(bytes, at, len - 8, to);
    } else {
        if len & 4 != 0 {
            copy_piece::<B, 4, N>(bytes, at, 0, to);
        }
        if len & 2 != 0 {
            copy_piece::<B, 2, N>(bytes, at, len & 4, to);
        }
        if len & 1 != 0 {
            copy_piece::<B, 1, N>(bytes, at, len & 6, to);
        }
    }
    verifier::meet();
    len
}

/// Zeroes what up to `wanted` bytes from `at` are to be copied to. Returns how many of them there are and fit: `present`
/// is the length of the frame.
#[inline(always)]
pub fn begin_copy<const N: usize>(to: &mut [u8; N], present: u32, at: u32, wanted: u32) -> u32 {
    words::clear(to);
    lesser(lesser(present.saturating_sub(at), wanted), N as u32)
}

#[inline(always)]
fn lesser(a: u32, b: u32) -> u32 {
    bits::select(bits::less(a, b), a, b)
}

/// Copies the `K` bytes `i` bytes behind `at`, and says whether they were there.
#[inline(always)]
fn copy_piece<B: Bytes, const K: usize, const N: usize>(
    bytes: &B,
    at: u32,
    i: u32,
    to: &mut [u8; N],
) -> bool {
    let Some(piece) = bytes.peek::<K>(at + i) else { return false };
    let Some(to) = to.get_mut(i as usize..i as usize + K) else { return false };
    let mut byte = 0;
    while byte < K {
        to[byte] = piece[byte];
        byte += 1;
    }
    true
}

/// Bytes of a VLAN tag (IEEE 802.1Q).
pub const TAG: u32 = 4;

/// A captured frame in memory: the captured bytes and the length it had on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The captured bytes.
    pub data: &'a [u8],
    /// The original length in bytes; at least `data.len()`.
    pub wire_len: u32,
}

impl<'a> Frame<'a> {
    /// A frame captured whole.
    pub fn whole(data: &'a [u8]) -> Self {
        Self { data, wire_len: u32::try_from(data.len()).unwrap_or(u32::MAX) }
    }
}

impl Bytes for Frame<'_> {
    fn afresh(&self) -> Self {
        *self
    }

    fn behind_tag(&self) -> Self {
        let data = self.data.get(TAG as usize..).unwrap_or_default();
        Self { data, wire_len: self.wire_len.saturating_sub(TAG) }
    }

    fn wire_len(&self) -> u32 {
        self.wire_len
    }

    fn captured_len(&self) -> u32 {
        u32::try_from(self.data.len()).unwrap_or(u32::MAX)
    }

    fn peek<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        if at > REACH {
            return None;
        }
        let at = at as usize;
        self.data.get(at..at.checked_add(N)?)?.try_into().ok()
    }
}
