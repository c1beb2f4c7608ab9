//! Copying and zeroing structs in place, without calling anything.
//!
//! Every assignment of a struct may become a call to `memcpy`, `memmove` or `memset` in a kernel
//! program: LLVM's BPF backend inlines none of the last two. Such a call costs a return, and makes
//! aya refuse the object: "number of funcs in func_info doesn't match number of subprogs". Volatile
//! stores of single words stay what they are. This is the only unsafe code of the crate.
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
    by_word!(T, Word => {
        let it = (&raw mut *it).cast::<Word>();
        let mut i = 0;
        while i < size_of::<T>() / size_of::<Word>() {
            // SAFETY: as above; zeros are valid for `FromBytes`.
            unsafe { it.add(i).write_volatile(0) };
            i += 1;
        }
    });
}

/// Leaves a value in memory: what follows reads it from there.
///
/// The compiler would carry its fields over in registers from each path that leads here, and the
/// verifier would walk all that follows once per path: "BPF program is too large. Processed 1000001
/// insn". It knows nothing of what stands in a map, so that through memory all paths look alike.
#[inline(always)]
pub fn in_memory<T>(it: &mut T) -> &mut T {
    #[cfg(target_arch = "bpf")]
    {
        let mut it = &raw mut *it;
        // SAFETY: moves a register to itself. It is not `nomem`, so that the compiler takes
        // everything behind the pointer for written and read.
        unsafe { core::arch::asm!("{0} = {0}", inout(reg) it, options(nostack)) };
        // SAFETY: it is the reference that came in.
        unsafe { &mut *it }
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        it
    }
}

/// A zero that neither the compiler nor the verifier knows to be one.
#[inline(always)]
pub(crate) fn unknown_zero() -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        // Mutable, so that it lies in a map whose contents the verifier does not take for constant.
        static mut ZERO: u64 = 0;
        // SAFETY: nobody writes it; volatile, or the compiler would fold it.
        unsafe { (&raw const ZERO).read_volatile() }
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        0
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
    }
}
