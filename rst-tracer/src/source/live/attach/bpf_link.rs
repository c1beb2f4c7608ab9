//! Attachments that are file descriptors: XDP links (Linux 5.9) and tcx links (6.6).
//!
//! The kernel removes them when the descriptor closes, however the process ends. aya's XDP attach
//! is not used because it answers `EINVAL` by attaching over netlink, which outlives a killed
//! agent and cannot be told from a link afterwards.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

// <https://github.com/torvalds/linux/blob/v6.18/include/uapi/linux/bpf.h>
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_XDP: u32 = 37;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_TCX_EGRESS: u32 = 47;
const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
const BPF_F_BEFORE: u32 = 1 << 3;

/// A place on an interface where a program can be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    NativeXdp,
    GenericXdp,
    /// Before every other tcx program: one that ends the chain would hide packets from us. Ours
    /// always passes on to the next.
    TcxIngress,
    TcxEgress,
}

/// `union bpf_attr` as far as `BPF_LINK_CREATE` reads it for these points.
#[repr(C)]
struct LinkCreate {
    program_fd: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
    /// tcx: the program to stand before; none means all.
    relative: u32,
    padding: u32,
    /// tcx: the expected revision of the chain; any.
    revision: u64,
}

/// Links a program to an interface. Dropping the descriptor detaches it.
pub(super) fn create(program: &impl AsFd, interface: u32, point: Point) -> io::Result<OwnedFd> {
    let (attach_type, flags) = match point {
        Point::NativeXdp => (BPF_XDP, XDP_FLAGS_DRV_MODE),
        Point::GenericXdp => (BPF_XDP, XDP_FLAGS_SKB_MODE),
        Point::TcxIngress => (BPF_TCX_INGRESS, BPF_F_BEFORE),
        Point::TcxEgress => (BPF_TCX_EGRESS, BPF_F_BEFORE),
    };
    let attributes = LinkCreate {
        program_fd: program.as_fd().as_raw_fd().cast_unsigned(),
        interface,
        attach_type,
        flags,
        relative: 0,
        padding: 0,
        revision: 0,
    };
    // SAFETY: the kernel reads `size_of::<LinkCreate>()` initialised bytes and keeps no pointer.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_LINK_CREATE,
            &raw const attributes,
            size_of::<LinkCreate>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call returned a new descriptor (close-on-exec) that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
