//! What the kernel's own tracepoints say about resets, handed over as statements.
//!
//! In: a tracepoint that fired. Out: one [`Notice`] in the ring of the resets. Each program returns
//! at once where it has nothing to say.

use aya_ebpf::{helpers::bpf_ktime_get_ns, programs::BtfTracePointContext};
use rst_tracer_common::{
    flow::Identity,
    notice::{Notice, Point, Task, notice_trait},
    wire::{Endpoint, Flags, Seq},
};

use crate::{
    kernel::{self, Held, argument, state},
    maps::{self, Closed, OWNERS},
    rings,
};

/// How long after its end a socket's reset may go out.
const CLOSING_NS: u64 = 100_000_000;
/// How long after a caller gave up the answer may still come: twice what a SYN lives (MSL, RFC 9293
/// section 3.4.2).
const ANSWER_NS: u64 = 240_000_000_000;
/// How long after a reset the segment that it answers is dropped on the same CPU.
const ANSWERING_NS: u64 = 1_000_000;

/// Hands a statement over, or counts that there was no room for it.
#[inline(always)]
fn tell(point: Point, netns: u32, fill: impl FnOnce(&mut Notice)) {
    let Some(mut slot) = rings::reserve::<Notice>() else {
        maps::count_statement(point, false);
        return;
    };
    let notice = slot.record();
    notice.begin(point, now(), netns);
    fill(notice);
    let time_ns = notice.time_ns;
    slot.submit(time_ns);
    maps::count_statement(point, true);
}

/// `tcp_send_reset`: TCP sends a reset, for a live socket or in answer to a segment.
#[inline(always)]
pub fn send_reset(context: &BtfTracePointContext) {
    let (socket, skb) = (argument(context, 0), argument(context, 1));
    let netns = if socket != 0 { kernel::netns_of(socket) } else { kernel::netns_of_segment(skb) };
    if !maps::is_wanted(netns) {
        return;
    }
    // A listener knows no other end, and a socket in TIME_WAIT or SYN_RECV is hardly one: the
    // segment knows both. Not an `Option`: what is not in it would be copied, and the verifier says
    // "R1 !read_ok".
    let is_answer = skb != 0;
    let held = if is_answer {
        let Some(held) = kernel::segment_of(skb, true) else { return };
        held
    } else {
        let [own, peer] = kernel::ends_of(socket);
        Held { src: peer, dst: own, seq: Seq(0), ack: Seq(0), flags: Flags(0) }
    };
    tell(Point::SEND_RESET, netns, |notice| {
        flow(notice, held.dst, held.src);
        if is_answer {
            trigger(notice, &held);
            maps::note_answer(notice.flow_hash, notice.time_ns);
        } else {
            // What answers a segment goes out in softirq: the task there is whoever was interrupted.
            kernel::note_task(notice);
        }
        let reason_at = maps::arguments().why_sent;
        if reason_at != 0 {
            notice.reason = argument(context, reason_at) as u32;
            notice.traits |= notice_trait::REASON;
        }
        if socket != 0 {
            living(notice, socket);
        } else {
            let Some(gone) = Closed::caller(notice.flow_hash) else { return };
            if notice.time_ns - gone.time_ns > ANSWER_NS {
                return;
            }
            notice.state_before = gone.state as u8;
            notice.traits |= notice_trait::STATE_BEFORE;
            if gone.is_owned != 0 {
                owned(notice, &gone.owner);
            }
        }
    });
}

/// `tcp_receive_reset`: TCP ends a connection, because of a reset or of data behind its own close.
#[inline(always)]
pub fn receive_reset(context: &BtfTracePointContext) {
    let socket = argument(context, 0);
    let netns = kernel::netns_of(socket);
    if !maps::is_wanted(netns) {
        return;
    }
    let [own, peer] = kernel::ends_of(socket);
    tell(Point::RECEIVE_RESET, netns, |notice| {
        flow(notice, peer, own);
        living(notice, socket);
    });
}

/// `inet_sock_set_state`: who opens a socket, which listeners there are, and what a socket was
/// before it closed.
#[inline(always)]
pub fn set_state(context: &BtfTracePointContext) {
    // Sockets change their state often: nothing else is read before these. Three arguments since 4.16.
    let (before, after) = (context.arg::<u64>(1) as u32, context.arg::<u64>(2) as u32);
    let is_born = after == state::SYN_RECV && before != state::SYN_SENT;
    let opens = after == state::SYN_SENT || after == state::LISTEN;
    let ends = after == state::CLOSE;
    if !(is_born || opens || ends) {
        return;
    }
    let socket = argument(context, 0);
    if kernel::read::<u16>(socket, maps::place!(protocol)) != kernel::TCP {
        return;
    }
    if is_born {
        // Accepted: it begins as a copy of its listener, perhaps where another socket was.
        let _ = OWNERS.remove(&socket);
        return;
    }
    let netns = kernel::netns_of(socket);
    if !maps::is_wanted(netns) {
        return;
    }
    if opens {
        remember(socket);
    } else {
        part(socket, before);
    }
    if after == state::LISTEN || before == state::LISTEN {
        let [own, _] = kernel::ends_of(socket);
        tell(Point::LISTENER, netns, |notice| {
            notice.src = own;
            kernel::note_task(notice);
            living(notice, socket);
            notice.state = after as u8;
            notice.state_before = before as u8;
            notice.traits |= notice_trait::STATE_BEFORE;
        });
    }
}

/// `kfree_skb`: a reset was dropped, or a segment that a reset has just answered.
#[inline(always)]
pub fn drop(context: &BtfTracePointContext) {
    // Dropped packets are many: nothing else is read before this. The loader made sure that it is
    // the third argument.
    let reason = context.arg::<u64>(2) as u32;
    let drops = maps::drops();
    let is_answerable = reason == drops.netfilter || reason == drops.overflow;
    let [a, b, c, d, e, no_socket] = drops.of_resets;
    let is_of_reset = reason == a || reason == b || reason == c || reason == d || reason == e;
    if !(is_answerable || is_of_reset || reason == no_socket) {
        return;
    }
    let skb = argument(context, 0);
    let is_reset = kernel::flags_of(skb).has(Flags::RST);
    let Some(answered) = maps::answered() else { return };
    if !is_reset && !(is_answerable && now() - answered.time_ns < ANSWERING_NS) {
        return;
    }
    // These two are the reasons of other protocols, too.
    let is_in_tcp = reason != drops.netfilter && reason != no_socket;
    let Some(held) = kernel::segment_of(skb, is_in_tcp) else { return };
    let receiver_at = maps::arguments().receiver;
    let receiver = if receiver_at != 0 { argument(context, receiver_at) } else { 0 };
    let netns =
        if receiver != 0 { kernel::netns_of(receiver) } else { kernel::netns_of_segment(skb) };
    if !maps::is_wanted(netns) {
        return;
    }
    if !is_reset {
        let id = Identity::of(&held.src, &held.dst, &maps::keys());
        if id.hash != answered.flow_hash {
            return;
        }
    }
    tell(Point::DROP, netns, |notice| {
        flow(notice, held.src, held.dst);
        trigger(notice, &held);
        notice.reason = reason;
        notice.traits |= notice_trait::REASON;
        if receiver != 0 {
            living(notice, receiver);
        }
    });
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

#[inline(always)]
fn flow(notice: &mut Notice, src: Endpoint, dst: Endpoint) {
    notice.src = src;
    notice.dst = dst;
    notice.identify(&maps::keys());
}

#[inline(always)]
fn trigger(notice: &mut Notice, held: &Held) {
    notice.traits |= notice_trait::TRIGGER;
    notice.trigger_seq = held.seq;
    notice.trigger_ack = held.ack;
    notice.trigger_flags = held.flags;
}

/// Notes the socket, who opened it, and what it was before if it has just closed.
#[inline(always)]
fn living(notice: &mut Notice, socket: u64) {
    let state = kernel::state_of(socket);
    kernel::note_socket(notice, socket, state);
    if let Some(owner) = OWNERS.get_ptr(&socket) {
        // SAFETY: the memory of a map's value stays readable; that it may be given to another
        // socket meanwhile is told by nothing, and takes as many new connections as the map has
        // room.
        owned(notice, unsafe { &*owner });
    } else if state == state::CLOSE || state == state::LISTEN {
        let Some(closed) = Closed::socket(socket) else { return };
        if notice.time_ns - closed.time_ns > CLOSING_NS {
            return;
        }
        notice.state_before = closed.state as u8;
        notice.traits |= notice_trait::STATE_BEFORE;
        if closed.is_owned != 0 {
            owned(notice, &closed.owner);
        }
    }
}

#[inline(always)]
fn owned(notice: &mut Notice, owner: &Task) {
    notice.owner.copy(owner);
    notice.traits |= notice_trait::OWNER;
}

/// Remembers who opens a socket.
#[inline(always)]
fn remember(socket: u64) {
    if kernel::is_kernel_thread() {
        let _ = OWNERS.remove(&socket);
        return;
    }
    let mut owner = Task { cgroup: 0, pid: 0, uid: 0, comm: [0; 16] };
    kernel::task(&mut owner);
    let _ = OWNERS.insert(&socket, &owner, 0);
}

/// Takes leave of a socket that closes; of one that had called in vain also by its flow.
#[inline(always)]
fn part(socket: u64, before: u32) {
    let mut closed = Closed::now(now(), before);
    if let Some(owner) = OWNERS.get_ptr(&socket) {
        // SAFETY: as in `living`.
        closed.owner.copy(unsafe { &*owner });
        closed.is_owned = 1;
    }
    closed.note_socket(socket);
    if before == state::SYN_SENT {
        let [own, peer] = kernel::ends_of(socket);
        closed.note_caller(Identity::of(&own, &peer, &maps::keys()).hash);
    }
    if closed.is_owned != 0 {
        let _ = OWNERS.remove(&socket);
    }
}
