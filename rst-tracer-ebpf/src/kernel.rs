//! Reading structs of the kernel, by the offsets that the agent found in its BTF.
//!
//! In: addresses that a tracepoint passed. Out: ends, states, namespaces, tasks. Everything is read
//! with `bpf_probe_read_kernel`: what cannot be read is zero, and the verifier has nothing to know
//! about the kernel's types.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{
        bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid,
        bpf_get_current_task, bpf_get_current_uid_gid, bpf_probe_read_kernel,
    },
    programs::BtfTracePointContext,
};
use rst_tracer_common::{
    notice::{Notice, Task, notice_trait},
    wire::{Address, Endpoint, Flags, Seq},
};
use zerocopy::FromBytes;

use crate::maps::place;

/// States of a socket. The numbers are user ABI (`BPF_TCP_*`, and tcp_set_state checks that they are
/// the kernel's own).
pub mod state {
    pub const SYN_SENT: u32 = 2;
    pub const SYN_RECV: u32 = 3;
    pub const TIME_WAIT: u32 = 6;
    pub const CLOSE: u32 = 7;
    pub const LISTEN: u32 = 10;
    pub const NEW_SYN_RECV: u32 = 12;
}

/// IPPROTO_TCP.
pub const TCP: u16 = 6;
/// AF_INET.
const INET: u16 = 2;
/// PF_EXITING and PF_KTHREAD (include/linux/sched.h).
const EXITING: u32 = 0x4;
const KERNEL_THREAD: u32 = 0x20_0000;

/// Reads a `T` at an offset.
#[inline(always)]
pub fn read<T: FromBytes>(base: u64, offset: u32) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    let from = base.wrapping_add(u64::from(offset)) as *const c_void;
    // SAFETY: the helper writes the whole of `value`: zeros where it cannot read. Any bytes are a
    // `T`.
    unsafe {
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, from);
        value.assume_init()
    }
}

/// An argument of the tracepoint, by its number. Read like the rest, the verifier does not care how
/// many there are, nor what is done with a pointer.
#[inline(always)]
pub fn argument(context: &BtfTracePointContext, number: u32) -> u64 {
    read(context.as_ptr() as u64, number * 8)
}

/// The state of a socket of any kind.
#[inline(always)]
pub fn state_of(socket: u64) -> u32 {
    u32::from(read::<u8>(socket, place!(state)))
}

/// Whether there is more of a socket in that state than its common part.
#[inline(always)]
pub fn is_full(state: u32) -> bool {
    state != state::TIME_WAIT && state != state::NEW_SYN_RECV
}

/// Inode of the network namespace of a socket of any kind.
#[inline(always)]
pub fn netns_of(socket: u64) -> u32 {
    read(read(socket, place!(net)), place!(inum))
}

/// Inode of the network namespace that a segment is in, by its route or its device; 0: it has
/// neither any more.
#[inline(always)]
pub fn netns_of_segment(skb: u64) -> u32 {
    let mut device: u64 = read(skb, place!(device));
    if device == 0 {
        let route = read::<u64>(skb, place!(route)) & !1;
        if route == 0 {
            return 0;
        }
        device = read(route, place!(route_device));
    }
    read(read(device, place!(device_net)), place!(inum))
}

/// The ends of a full socket: its own and the other.
#[inline(always)]
pub fn ends_of(socket: u64) -> [Endpoint; 2] {
    let (own, peer) = if read::<u16>(socket, place!(family)) == INET {
        let v4 = |at| Address::v4(u32::from_be(read(socket, at)));
        (v4(place!(own_v4)), v4(place!(peer_v4)))
    } else {
        (wide(read(socket, place!(own_v6))), wide(read(socket, place!(peer_v6))))
    };
    let port = |at| u32::from(u16::from_be(read(socket, at)));
    [
        Endpoint { address: own, port: port(place!(own_port)) },
        Endpoint { address: peer, port: port(place!(peer_port)) },
    ]
}

#[inline(always)]
fn wide(words: [u32; 4]) -> Address {
    let [a, b, c, d] = words;
    Address([u32::from_be(a), u32::from_be(b), u32::from_be(c), u32::from_be(d)])
}

/// A TCP segment, as far as it matters here.
pub struct Held {
    pub src: Endpoint,
    pub dst: Endpoint,
    pub seq: Seq,
    pub ack: Seq,
    pub flags: Flags,
}

/// The control bits of the segment in a socket buffer, if it is one of TCP.
#[inline(always)]
pub fn flags_of(skb: u64) -> Flags {
    let transport = u32::from(read::<u16>(skb, place!(transport_header)));
    Flags(read(read(skb, place!(head)), transport + 13))
}

/// The segment in a socket buffer; `None` if it is none of TCP. An extension header of IPv6 hides it,
/// unless TCP itself has it in hand.
#[inline(always)]
pub fn segment_of(skb: u64, is_in_tcp: bool) -> Option<Held> {
    let head: u64 = read(skb, place!(head));
    let network = u32::from(read::<u16>(skb, place!(network_header)));
    let transport = u32::from(read::<u16>(skb, place!(transport_header)));
    let version = read::<u8>(head, network) >> 4;
    let (protocol, from, to) = if version == 4 {
        let [from, to] = read::<[u32; 2]>(head, network + 12);
        let v4 = |bits| Address::v4(u32::from_be(bits));
        (read::<u8>(head, network + 9), v4(from), v4(to))
    } else if version == 6 {
        let [from, to] = [wide(read(head, network + 8)), wide(read(head, network + 24))];
        (read::<u8>(head, network + 6), from, to)
    } else {
        return None;
    };
    let is_behind_extensions = is_in_tcp && version == 6;
    if u16::from(protocol) != TCP && !is_behind_extensions {
        return None;
    }
    let [ports, seq, ack, rest] = read::<[u32; 4]>(head, transport);
    let ports = u32::from_be(ports);
    Some(Held {
        src: Endpoint { address: from, port: ports >> 16 },
        dst: Endpoint { address: to, port: ports & 0xffff },
        seq: Seq(u32::from_be(seq)),
        ack: Seq(u32::from_be(ack)),
        flags: Flags((u32::from_be(rest) >> 16) as u8),
    })
}

/// The task on this CPU, and its traits.
#[inline(always)]
pub fn task(task: &mut Task) {
    // SAFETY: the helpers have no preconditions but room for the name.
    unsafe {
        task.cgroup = bpf_get_current_cgroup_id();
        task.pid = (bpf_get_current_pid_tgid() >> 32) as u32;
        task.uid = bpf_get_current_uid_gid() as u32;
        bpf_get_current_comm((&raw mut task.comm).cast(), size_of_val(&task.comm) as u32);
    }
}

/// Whether the task on this CPU is a thread of the kernel's own.
#[inline(always)]
pub fn is_kernel_thread() -> bool {
    // SAFETY: no preconditions.
    let current = unsafe { bpf_get_current_task() };
    read::<u32>(current, place!(task_flags)) & KERNEL_THREAD != 0
}

/// Notes the task on this CPU.
#[inline(always)]
pub fn note_task(notice: &mut Notice) {
    task(&mut notice.task);
    // SAFETY: no preconditions.
    let current = unsafe { bpf_get_current_task() };
    let flags: u32 = read(current, place!(task_flags));
    if flags & KERNEL_THREAD != 0 {
        notice.traits |= notice_trait::KERNEL_THREAD;
    }
    if flags & EXITING != 0 {
        notice.traits |= notice_trait::EXITING;
        notice.exit_code = read(current, place!(exit_code));
    }
}

/// Notes what a socket is.
#[inline(always)]
pub fn note_socket(notice: &mut Notice, socket: u64, state: u32) {
    notice.traits |= notice_trait::SOCKET;
    notice.socket = socket;
    notice.state = state as u8;
    if is_full(state) {
        notice.uid = read(socket, place!(uid));
        let file: u64 = read(socket, place!(socket));
        if file != 0 {
            notice.inode = read(file, place!(inode));
        }
    }
}
