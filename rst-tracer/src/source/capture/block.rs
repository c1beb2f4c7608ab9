//! The frame around every pcapng block: its length, at the start and again at the end.
//!
//! In: where a block begins and the length it claims. Out: the block in memory, or passed over.

use std::io::Read;

use super::CaptureError;
use super::input::Input;
use super::order::Order;

/// Type, length, and the length again at the end.
const SMALLEST: u32 = 12;
/// Longer blocks are taken for damage.
const LONGEST: u32 = 256 << 20;

/// A block that is wholly in memory and not yet consumed.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// Where it begins in the file.
    pub(super) offset: u64,
    /// Its length with the padding that some writers do not count.
    pub(super) padded: usize,
}

impl Block {
    /// Where the body begins, counted from the start of the block.
    pub(super) const BODY: usize = 8;

    /// Reads the block at this offset whole.
    #[inline]
    pub(super) fn buffer<R: Read>(
        input: &mut Input<R>,
        order: Order,
        offset: u64,
        length: u32,
    ) -> Result<Self, CaptureError> {
        let padded = padded_length(input, offset, length)?;
        input.require(padded, offset)?;
        let trailer = input.u32(order, padded - 4, offset)?;
        check_trailer(input, offset, length, trailer)?;
        Ok(Self { offset, padded })
    }

    /// What stands between the two lengths.
    #[inline]
    pub(super) fn body<'a, R: Read>(&self, input: &'a Input<R>) -> &'a [u8] {
        &input.unread()[Self::BODY..self.padded - 4]
    }
}

/// Moves past the block at this offset without keeping it.
pub(super) fn skip<R: Read>(
    input: &mut Input<R>,
    order: Order,
    offset: u64,
    length: u32,
) -> Result<(), CaptureError> {
    let padded = padded_length(input, offset, length)?;
    input.skip(padded - 4, offset)?;
    let trailer = input.u32(order, 0, offset)?;
    check_trailer(input, offset, length, trailer)?;
    input.consume(4);
    Ok(())
}

#[inline]
fn padded_length<R: Read>(
    input: &Input<R>,
    offset: u64,
    length: u32,
) -> Result<usize, CaptureError> {
    if (SMALLEST..=LONGEST).contains(&length) {
        return Ok((length as usize).next_multiple_of(4));
    }
    let what =
        format!("a block claims {length} bytes, and only {SMALLEST} to {LONGEST} are sensible");
    Err(input.malformed(offset, what))
}

#[inline]
fn check_trailer<R: Read>(
    input: &Input<R>,
    offset: u64,
    length: u32,
    trailer: u32,
) -> Result<(), CaptureError> {
    if trailer == length {
        return Ok(());
    }
    let what = format!("a block claims {length} bytes at its start and {trailer} at its end");
    Err(input.malformed(offset, what))
}
