//! Where a cable's forwarder takes frames and gives them away.
//!
//! In: an interface of the forwarder's namespace. Out: frames as the interface's peer sent them, each behind the header
//! that says what is unfinished about it (checksum, segmentation), and the same way back.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use nix::{setsockopt_impl, sockopt_impl, unistd};
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::packet;

/// Length of `struct virtio_net_hdr` of linux/virtio_net.h.
pub(super) const OFFLOAD_HEADER: usize = 10;
/// Longer than any frame, unsegmented ones included.
pub(super) const FRAME_BYTES: usize = 128 << 10;
/// Room in the socket for bursts while the forwarder does not run.
const SOCKET_BYTES: usize = 8 << 20;
/// PACKET_VNET_HDR of linux/if_packet.h.
const PACKET_VNET_HDR: i32 = 15;

sockopt_impl!(
    /// Each frame comes and goes behind a `struct virtio_net_hdr`.
    OffloadHeader,
    SetOnly,
    libc::SOL_PACKET,
    PACKET_VNET_HDR,
    bool
);
sockopt_impl!(
    /// What the socket sends does not come back to it.
    IgnoreOutgoing,
    SetOnly,
    libc::SOL_PACKET,
    libc::PACKET_IGNORE_OUTGOING,
    bool
);

/// One end of the forwarder.
#[derive(Debug)]
pub(super) struct End(OwnedFd);

impl End {
    /// Opens it; the peer of the interface must not have sent anything yet.
    pub(super) fn open(netns: &Netns, interface: &str) -> Result<Self> {
        let socket = netns.run(|| packet::open(interface, libc::ETH_P_ALL as u16))?;
        setsockopt(&socket, OffloadHeader, &true).context("asking for offload headers")?;
        setsockopt(&socket, IgnoreOutgoing, &true).context("asking not to hear oneself")?;
        let bytes = SOCKET_BYTES;
        setsockopt(&socket, sockopt::RcvBufForce, &bytes).context("enlarging a buffer")?;
        setsockopt(&socket, sockopt::SndBufForce, &bytes).context("enlarging a buffer")?;
        Ok(Self(socket))
    }

    /// The next frame that has come, with its header.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Option<Vec<u8>> {
        let length = recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT).ok()?;
        Some(buffer[..length].to_vec())
    }

    /// Sends a frame with its header; says whether the interface took it.
    pub(super) fn send(&self, frame: &[u8]) -> bool {
        unistd::write(&self.0, frame).is_ok()
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
