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
    let mut bytes = (&raw mut *it).cast::<u8>();
    let mut left = size_of::<T>();
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

/// Makes the verifier forget what it knows about a number, and compare here: paths that differed in
/// this number only are walked on as one.
///
/// The sum with a zero that it cannot know is unknown to it, whatever the number was. (A detour over
/// the stack does not do: from 6.8 on it tracks narrow spills.) It compares states at the targets of
/// jumps; a jump to the next instruction makes one, and the kernel takes such jumps out. LLVM
/// forgets too: it otherwise bounds an offset read from a map by comparing the word around it, and
/// the verifier then says "R8 offset is outside of the packet".
#[inline(always)]
pub(crate) fn forget(number: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let mut sum = number;
        // SAFETY: adds a register to another, and goes on.
        unsafe {
            core::arch::asm!(
                "{0} += {1}",
                "goto +0",
                inout(reg) sum,
                in(reg) unknown_zero(),
                options(nostack)
            );
        }
        sum
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        number
    }
}

/// A place where the verifier compares the path it walks with those walked before.
///
/// It does so at the targets of jumps, but in a loop it keeps a state to compare with only after
/// twenty jumps or a hundred instructions. Jumps to the next instruction are such jumps, and the
/// kernel takes them out before it compiles the program.
#[inline(always)]
pub(crate) fn meet() {
    #[cfg(target_arch = "bpf")]
    // SAFETY: goes on.
    unsafe {
        core::arch::asm!(".rept 20", "goto +0", ".endr", options(nomem, nostack));
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
