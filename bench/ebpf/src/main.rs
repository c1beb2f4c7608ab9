//! What rst-tracer's kernel programs are measured beside, and what lets them meet many flows.
//!
//! `rotate` writes another client into the frame and hands it to the subject by a tail call, which costs
//! every subject the same. Subjects: the empty program, one that only parses, and the textbook's
//! (an LRU hash by the whole tuple, the clock on every packet, one shared ring). As a subject, `xdp_send` makes
//! a sender of it; `tc_take` takes what was sent.
#![no_std]
#![no_main]

mod parse;
mod rotate;
mod textbook;

use aya_ebpf::{
    bindings::xdp_action::{XDP_PASS, XDP_TX},
    macros::{classifier, map, xdp},
    maps::PerCpuArray,
    programs::{TcContext, XdpContext},
};

/// `TC_ACT_STOLEN`: the frame has been taken, not dropped, so no tracepoint of drops tells of it.
const STOLEN: i32 = 4;

/// `TCX_NEXT`, as rst-tracer's programs return.
const NEXT: i32 = -1;

/// Resets that the program which only parses has met.
#[map]
static RESETS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The frame between two pointers.
#[derive(Clone, Copy)]
pub struct Frame {
    pub data: usize,
    pub end: usize,
}

impl From<&XdpContext> for Frame {
    #[inline(always)]
    fn from(context: &XdpContext) -> Self {
        Self { data: context.data(), end: context.data_end() }
    }
}

impl From<&TcContext> for Frame {
    #[inline(always)]
    fn from(context: &TcContext) -> Self {
        Self { data: context.data(), end: context.data_end() }
    }
}

#[xdp(frags)]
#[inline(always)]
pub fn xdp_empty(_: XdpContext) -> u32 {
    XDP_PASS
}

#[classifier]
#[inline(always)]
pub fn tc_empty(_: TcContext) -> i32 {
    NEXT
}

#[xdp(frags)]
#[inline(always)]
pub fn xdp_parse(context: XdpContext) -> u32 {
    count_resets(Frame::from(&context));
    XDP_PASS
}

#[classifier]
#[inline(always)]
pub fn tc_parse(context: TcContext) -> i32 {
    count_resets(Frame::from(&context));
    NEXT
}

#[inline(always)]
fn count_resets(frame: Frame) {
    let Some(segment) = parse::parse(frame) else { return };
    if segment.flags & parse::RST != 0
        && let Some(resets) = RESETS.get_ptr_mut(0)
    {
        // SAFETY: per CPU.
        unsafe { *resets += 1 };
    }
}

#[xdp(frags)]
#[inline(always)]
pub fn xdp_textbook(context: XdpContext) -> u32 {
    textbook::see(Frame::from(&context));
    XDP_PASS
}

#[classifier]
#[inline(always)]
pub fn tc_textbook(context: TcContext) -> i32 {
    textbook::see(Frame::from(&context));
    NEXT
}

#[xdp(frags)]
#[inline(always)]
pub fn xdp_rotate(context: XdpContext) -> u32 {
    rotate::xdp(&context);
    XDP_PASS
}

/// Out of the device that the frame is said to have come from.
#[xdp(frags)]
#[inline(always)]
pub fn xdp_send(_: XdpContext) -> u32 {
    XDP_TX
}

#[classifier]
#[inline(always)]
pub fn tc_take(_: TcContext) -> i32 {
    STOLEN
}

#[classifier]
#[inline(always)]
pub fn tc_rotate(context: TcContext) -> i32 {
    rotate::tc(&context);
    NEXT
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
