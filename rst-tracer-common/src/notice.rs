//! What the kernel itself says about resets: the ABI between the tracepoint programs and the agent.
//!
//! In: a tracepoint that fired. Out: one [`Notice`] in the same ring as the resets, so that their
//! order is kept. Host byte order, no padding. Numbers whose meaning changes between kernels
//! (reasons) stay numbers here; the agent names them by the running kernel's BTF.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{
    event::Kind,
    flow::{Identity, Keys},
    wire::{Endpoint, Flags, Seq},
    words,
};

/// Which tracepoint spoke.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Point(pub u8);

impl Point {
    /// `tcp_send_reset`: this host's TCP sends a reset from `src` to `dst`.
    pub const SEND_RESET: Self = Self(0);
    /// `tcp_receive_reset`: this host's TCP ends a connection because of a reset from `src` to
    /// `dst`; or because data came behind its own close, and then there is no reset on the wire.
    pub const RECEIVE_RESET: Self = Self(1);
    /// `inet_sock_set_state`: a listener at `src` opened (`state` LISTEN) or closed (`state_before`
    /// LISTEN).
    pub const LISTENER: Self = Self(2);
    /// `kfree_skb`: a segment from `src` to `dst` was dropped for `reason`.
    pub const DROP: Self = Self(3);
    /// How many there are.
    pub const COUNT: usize = 4;
    /// The tracepoints by number.
    pub const NAMES: [&'static str; Self::COUNT] =
        ["tcp_send_reset", "tcp_receive_reset", "inet_sock_set_state", "kfree_skb"];
}

/// A process, as the kernel knew it at one moment.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Task {
    /// Id of its control group: the inode of its directory in cgroup v2. 0: not known.
    pub cgroup: u64,
    /// Process id in the initial pid namespace. 0: no process.
    pub pid: u32,
    /// User id in the initial user namespace.
    pub uid: u32,
    /// Name of the thread, ended by a zero unless it is full.
    pub comm: [u8; 16],
}

/// Bits of [`Notice::traits`].
pub mod notice_trait {
    /// There was a socket; else the fields about it are zeros.
    pub const SOCKET: u8 = 1;
    /// There was a segment that is answered (or dropped): the `trigger_` fields are valid.
    pub const TRIGGER: u8 = 2;
    /// `reason` is valid: the tracepoint of this kernel carries one.
    pub const REASON: u8 = 4;
    /// `state_before` is valid: the socket left this state a moment ago for `state`; or there is no
    /// socket any more, and it was in this state when it closed (SYN_SENT: its caller gave up).
    pub const STATE_BEFORE: u8 = 8;
    /// `owner` is valid: the task that connected or listened with this very socket.
    pub const OWNER: u8 = 16;
    /// `task` is a thread of the kernel's own.
    pub const KERNEL_THREAD: u8 = 32;
    /// `task` is about to end (PF_EXITING), and `exit_code` says how.
    pub const EXITING: u8 = 64;
}

/// One statement of the kernel.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Notice {
    /// When: nanoseconds of CLOCK_MONOTONIC.
    pub time_ns: u64,
    /// The hash of the flow's identity, as in [`Head`](crate::event::Head); of listeners 0.
    pub flow_hash: u64,
    /// [`Kind::NOTICE`].
    pub kind: Kind,
    /// Which tracepoint.
    pub point: Point,
    /// Which side of the flow `src` is.
    pub side: u8,
    /// Inode of the network namespace.
    pub netns: u32,
    /// Who sends, or listens.
    pub src: Endpoint,
    /// To whom.
    pub dst: Endpoint,
    /// Address of the socket in the kernel: an identity, nothing else. 0: none.
    pub socket: u64,
    /// Inode of the socket's file, as in `/proc/PID/fd`. 0: it has none (not accepted, orphaned).
    pub inode: u64,
    /// Why, by this kernel's numbers: `enum sk_rst_reason` or `enum skb_drop_reason`.
    pub reason: u32,
    /// User id that owns the socket.
    pub uid: u32,
    /// Sequence number of the segment that is answered or was dropped.
    pub trigger_seq: Seq,
    /// Its acknowledgment field.
    pub trigger_ack: Seq,
    /// Its control bits.
    pub trigger_flags: Flags,
    /// State of the socket, by the kernel's numbers (include/net/tcp_states.h). 0: none.
    pub state: u8,
    /// The state before it.
    pub state_before: u8,
    /// Bits of [`notice_trait`].
    pub traits: u8,
    /// How `task` ends, as wait(2) would tell it: the signal that kills it in the low seven bits, its
    /// exit status in the next byte. Valid with [`notice_trait::EXITING`].
    pub exit_code: u32,
    /// The task on the CPU, where it may have to do with this: a reset that answers no segment, a listener.
    /// Whether it has, the agent must decide: a timer, too, sends such resets.
    pub task: Task,
    /// The task that opened the socket, if [`notice_trait::OWNER`] is set.
    pub owner: Task,
}

impl Notice {
    /// Begins a statement in place, about nothing yet.
    #[inline(always)]
    pub fn begin(&mut self, point: Point, time_ns: u64, netns: u32) {
        words::clear(self);
        self.kind = Kind::NOTICE;
        self.point = point;
        self.time_ns = time_ns;
        self.netns = netns;
    }

    /// Says which flow it is about, once `src` and `dst` are there.
    #[inline(always)]
    pub fn identify(&mut self, keys: &Keys) {
        let id = Identity::of(&self.src, &self.dst, keys);
        self.flow_hash = id.hash;
        self.side = id.side as u8;
    }
}

impl Task {
    /// `*self = *other`, in place.
    #[inline(always)]
    pub fn copy(&mut self, other: &Self) {
        words::copy(self, other);
    }
}

/// What became of the statements, by [`Point`]. Per CPU in the kernel.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Statements {
    /// Handed over.
    pub told: [u64; Point::COUNT],
    /// Found the ring full.
    pub lost: [u64; Point::COUNT],
}

impl Statements {
    /// Adds another CPU's numbers.
    pub fn add(&mut self, other: &Self) {
        for (a, b) in self.told.iter_mut().zip(other.told) {
            *a = a.wrapping_add(b);
        }
        for (a, b) in self.lost.iter_mut().zip(other.lost) {
            *a = a.wrapping_add(b);
        }
    }
}

const _: () = {
    assert!(size_of::<Task>() == 32);
    assert!(size_of::<Notice>() == 168);
};
