//! What the kernel's verifier and the compiler are not to know, so that few paths remain.
//!
//! The verifier walks every path of a program that differs from those walked before in something it
//! relies on, and gives up after a million instructions. Each function here takes one such
//! difference away; on the host they do nothing. `docs/decisions/0002-verifier.md` tells how to find
//! out which one is needed.
#![allow(unsafe_code)]

/// Keeps the compiler from seeing where a number came from: it would make jumps of arithmetic, and
/// would compare one copy of a value and use another.
#[inline(always)]
pub fn opaque(number: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let mut number = number;
        // SAFETY: moves a register to itself.
        unsafe { core::arch::asm!("{0} = {0}", inout(reg) number, options(nomem, nostack)) };
        number
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        number
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
pub fn meet() {
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
