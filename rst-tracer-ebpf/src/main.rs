//! The kernel programs: thin entries over `rst-tracer-common`.
#![no_std]
#![no_main]

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action::XDP_PASS},
    macros::{classifier, map, xdp},
    maps::{Array, RingBuf},
    programs::{TcContext, XdpContext},
};

/// Reset records on their way to the agent.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

/// One entry so that the skeleton has a resizable map.
#[map]
static FLOWS: Array<[u64; 32]> = Array::with_max_entries(1 << 13, 0);

macro_rules! xdp_entry {
    ($name:ident) => {
        /// Skeleton.
        #[xdp(frags)]
        pub fn $name(_ctx: XdpContext) -> u32 {
            let _ = FLOWS.get_ptr_mut(0);
            let _ = EVENTS.query(0);
            XDP_PASS
        }
    };
}
macro_rules! tc_entry {
    ($name:ident) => {
        /// Skeleton.
        #[classifier]
        pub fn $name(_ctx: TcContext) -> i32 {
            TC_ACT_UNSPEC
        }
    };
}
xdp_entry!(xdp_ingress);
xdp_entry!(xdp_ingress_l3);
tc_entry!(tc_ingress);
tc_entry!(tc_ingress_l3);
tc_entry!(tc_egress);
tc_entry!(tc_egress_l3);

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
