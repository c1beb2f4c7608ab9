//! The kernel programs: thin entries over `rst-tracer-common`, one per hook and link layer.
//!
//! XDP and TC ingress see what arrives, TC egress what leaves. None of them ever drops, changes or
//! redirects a packet. The `_l3` entries are for devices without a link header (tun, WireGuard). The
//! last four hear what the kernel's own tracepoints say.
#![no_std]
#![no_main]

mod frame;
mod kernel;
mod maps;
mod rings;
mod see;
mod tell;

use aya_ebpf::{
    bindings::xdp_action::XDP_PASS,
    macros::{btf_tracepoint, classifier, xdp},
    programs::{BtfTracePointContext, TcContext, XdpContext},
};
use aya_log_ebpf::debug;
use rst_tracer_common::{event::Hook, flow::Port, wire::LinkType};

use crate::{
    frame::{SkbFrame, XdpFrame},
    see::{Seen, see},
};

/// Leaves the decision to the next program or to the stack: `TCX_NEXT`, and `TC_ACT_UNSPEC` for
/// clsact. `TC_ACT_OK` would end the chain.
const NEXT: i32 = -1;

/// What arrives at an Ethernet device, before the stack.
#[xdp(frags)]
#[inline(always)]
pub fn xdp_ingress(context: XdpContext) -> u32 {
    xdp(&context, LinkType::ETHERNET)
}

/// What arrives at a device without a link header.
#[xdp(frags)]
#[inline(always)]
pub fn xdp_ingress_l3(context: XdpContext) -> u32 {
    xdp(&context, LinkType::RAW)
}

/// What arrives at an Ethernet device, where XDP is not used.
#[classifier]
#[inline(always)]
pub fn tc_ingress(context: TcContext) -> i32 {
    tc(&context, Hook::TC_INGRESS, LinkType::ETHERNET)
}

/// What arrives at a device without a link header, where XDP is not used.
#[classifier]
#[inline(always)]
pub fn tc_ingress_l3(context: TcContext) -> i32 {
    tc(&context, Hook::TC_INGRESS, LinkType::RAW)
}

/// What leaves through an Ethernet device.
#[classifier]
#[inline(always)]
pub fn tc_egress(context: TcContext) -> i32 {
    tc(&context, Hook::TC_EGRESS, LinkType::ETHERNET)
}

/// What leaves through a device without a link header.
#[classifier]
#[inline(always)]
pub fn tc_egress_l3(context: TcContext) -> i32 {
    tc(&context, Hook::TC_EGRESS, LinkType::RAW)
}

/// TCP sends a reset.
#[btf_tracepoint(function = "tcp_send_reset")]
#[inline(always)]
pub fn tcp_send_reset(context: BtfTracePointContext) {
    tell::send_reset(&context);
}

/// TCP believes a reset.
#[btf_tracepoint(function = "tcp_receive_reset")]
#[inline(always)]
pub fn tcp_receive_reset(context: BtfTracePointContext) {
    tell::receive_reset(&context);
}

/// A socket changes its state.
#[btf_tracepoint(function = "inet_sock_set_state")]
#[inline(always)]
pub fn inet_sock_set_state(context: BtfTracePointContext) {
    tell::set_state(&context);
}

/// A packet is dropped.
#[btf_tracepoint(function = "kfree_skb")]
#[inline(always)]
pub fn kfree_skb(context: BtfTracePointContext) {
    tell::drop(&context);
}

#[inline(always)]
fn xdp(context: &XdpContext, link: LinkType) -> u32 {
    // SAFETY: the context of a running program is valid.
    let ifindex = unsafe { (*context.ctx).ingress_ifindex };
    let port = Port::ingress(ifindex);
    let seen = Seen { hook: Hook::XDP, link, ifindex, port, came_by: 0, vlan: 0 };
    if let Some(kind) = see(&XdpFrame::new(context), &seen) {
        debug!(context, "interface {}: malformed frame, kind {}", ifindex, kind as u8);
    }
    XDP_PASS
}

#[inline(always)]
fn tc(context: &TcContext, hook: Hook, link: LinkType) -> i32 {
    let skb = context.skb.skb;
    // SAFETY: the context of a running program is valid.
    let (ifindex, came_by, tagged, tci) =
        unsafe { ((*skb).ifindex, (*skb).ingress_ifindex, (*skb).vlan_present, (*skb).vlan_tci) };
    let leaving = hook == Hook::TC_EGRESS;
    let port = if leaving { Port::egress(ifindex) } else { Port::ingress(ifindex) };
    let came_by = if leaving { came_by } else { 0 };
    let vlan = if tagged != 0 { tci & 0xffff | 1 << 16 } else { 0 };
    let seen = Seen { hook, link, ifindex, port, came_by, vlan };
    if let Some(kind) = see(&SkbFrame::new(context), &seen) {
        debug!(context, "interface {}: malformed frame, kind {}", ifindex, kind as u8);
    }
    NEXT
}

/// The verifier refuses a program in which this loop can be reached: there is no panic.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// The ring buffer and packet helpers are open to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
