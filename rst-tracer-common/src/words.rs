//! Copying and zeroing structs in place, without calling anything.
//!
//! Every assignment of a struct may become a call to `memcpy`, `memmove` or `memset` in a kernel
//! program: LLVM's BPF backend inlines none of the last two. Such a call costs a return, and makes
//! aya refuse the object: "number of funcs in func_info doesn't match number of subprogs". Volatile
//! stores of single words stay what they are.
#![allow(unsafe_code)]

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Applies `$body` to the widest word type that divides `$t`'s size and alignment.
macro_rules! by_word {
    ($t:ty, $word:ident => $body:block) => {
        if align_of::<$t>() >= 8 {
            type $word = u64;
            $body
        } else if align_of::<$t>() >= 4 {
            type $word = u32;
            $body
        } else if align_of::<$t>() >= 2 {
            type $word = u16;
            $body
        } else {
            type $word = u8;
            $body
        }
    };
}

/// `*to = *from`.
#[inline(always)]
pub(crate) fn copy<T: FromBytes + IntoBytes + Immutable>(to: &mut T, from: &T) {
    by_word!(T, Word => {
        let (to, from) = ((&raw mut *to).cast::<Word>(), (&raw const *from).cast::<Word>());
        let mut i = 0;
        while i < size_of::<T>() / size_of::<Word>() {
            // SAFETY: `i` is within both, the alignment is at least that of `Word`, `T` has no
            // padding (`IntoBytes`) and takes any bytes (`FromBytes`).
            unsafe { to.add(i).write_volatile(from.add(i).read()) };
            i += 1;
        }
    });
}

/// Makes it all zeros.
#[inline(always)]
pub(crate) fn clear<T: FromBytes + IntoBytes>(it: &mut T) {
    zero(it, size_of::<T>());
}

/// Makes its first `N` bytes zeros.
#[inline(always)]
pub(crate) fn clear_first<T: FromBytes + IntoBytes, const N: usize>(it: &mut T) {
    const { assert!(N <= size_of::<T>()) };
    zero(it, N);
}

/// Reads a word of it, for nothing but to have it fetched.
#[inline(always)]
pub(crate) fn touch<T: FromBytes + Immutable>(it: &T) {
    const { assert!(size_of::<T>() >= 8 && align_of::<T>() >= 8) };
    // SAFETY: eight bytes of it begin here, aligned, and any bytes are a word.
    let _ = unsafe { (&raw const *it).cast::<u64>().read_volatile() };
}

#[inline(always)]
fn zero<T: FromBytes + IntoBytes>(it: &mut T, len: usize) {
    let mut bytes = (&raw mut *it).cast::<u8>();
    let mut left = len.min(size_of::<T>());
    while left > 0 {
        // SAFETY: `left` bytes of it begin here, and zeros are valid for `FromBytes`.
        bytes = unsafe {
            if left >= 8 {
                zero_eight(bytes);
                left -= 8;
                bytes.add(8)
            } else {
                bytes.write_volatile(0);
                left -= 1;
                bytes.add(1)
            }
        };
    }
}

/// Zeroes eight bytes, aligned or not: the kernel's JITs for machines that allow that are the ones
/// the object is built for (`allows-misaligned-mem-access`).
///
/// # Safety
/// Eight bytes can be written there.
#[inline(always)]
unsafe fn zero_eight(at: *mut u8) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: a store of eight bytes.
    unsafe {
        core::arch::asm!("*(u64 *)({0} + 0) = {1}", in(reg) at, in(reg) 0_u64, options(nostack));
    }
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: as the caller says.
    unsafe {
        at.cast::<u64>().write_unaligned(0);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn copies_and_clears_whole_structs_of_any_alignment() {
        let from = [7_u16, 8, 9];
        let mut to = [0_u16; 3];
        super::copy(&mut to, &from);
        assert_eq!(to, from);
        let mut mac = [1_u8, 2, 3, 4, 5, 6];
        super::clear(&mut mac);
        assert_eq!(mac, [0; 6]);
        let mut wide = [u64::MAX; 5];
        super::clear(&mut wide);
        assert_eq!(wide, [0; 5]);
        let mut partly = [7_u16; 8];
        super::clear_first::<_, 10>(&mut partly);
        assert_eq!(partly, [0, 0, 0, 0, 0, 7, 7, 7]);
    }
}
