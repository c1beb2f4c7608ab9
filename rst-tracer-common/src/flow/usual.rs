//! The usual segment: data or an ACK amid a connection, taken in with few instructions.
//!
//! In: a frame. Out: whether it was such a segment and stands in its flow now, exactly as [`observe`] and
//! [`note_payload`] would have left it. Whatever is not plain is left to them, untouched: other headers and
//! options, the first segments of a flow, handshakes, ends, resets, repetitions, probes, closed windows, a
//! second sighting, words that may be the last, a segment whose slot holds the other side's last one.
//!
//! With the recorder off it leaves no slot, and a gap in the recorder ([`Hot::has_gap`]).
//!
//! Header fields are read where they are needed, a second time if need be: a kernel program has few registers,
//! and what it reads early it must put aside and fetch again.
//!
//! [`observe`]: super::observe
//! [`note_payload`]: super::note_payload

use super::{
    Count, Hot, Identity, Keys, Memory, Port, SLOTS, flag, payload::may_tell, slot_trait,
    step::LARGEST_WINDOW, ticks,
};
use crate::wire::{Address, Bytes, Endpoint, EtherType, Flags, IpProtocol, Seq};

/// Where the IP header lies in an Ethernet frame; in one with a VLAN tag, behind that.
const IP: u32 = 14;
/// A TCP header, and one with NOP NOP TIMESTAMPS (RFC 7323 appendix A), in bytes.
const PLAIN: u32 = 20;
const STAMPED: u32 = 32;

/// What is measured of a segment before its flow is looked for.
struct Extent {
    payload_len: u32,
    payload_at: u32,
    is_stamped: bool,
}

/// The lengths of a plain segment; `None` for every other.
#[inline(always)]
fn measure_v4<B: Bytes>(bytes: &B) -> Option<Extent> {
    const FRAGMENT: u16 = 0x3fff;
    let head = bytes.fixed::<IP, 40>()?;
    let fragment = u16::from_be_bytes([head[6], head[7]]);
    if head[0] != 0x45 || head[9] != IpProtocol::TCP.0 || fragment & FRAGMENT != 0 {
        return None;
    }
    let len = u32::from(u16::from_be_bytes([head[2], head[3]])).wrapping_sub(20);
    let lengths = Lengths { len, offset: head[32], flags: head[33], window: [head[34], head[35]] };
    let tcp_len = lengths.judge()?;
    if tcp_len == STAMPED && bytes.fixed::<54, 4>()? != STAMP {
        return None;
    }
    lengths.extent(bytes, IP + 20, tcp_len)
}

#[inline(always)]
fn measure_v6<B: Bytes>(bytes: &B) -> Option<Extent> {
    let head = bytes.fixed::<IP, 60>()?;
    if head[0] >> 4 != 6 || head[6] != IpProtocol::TCP.0 {
        return None;
    }
    let len = u32::from(u16::from_be_bytes([head[4], head[5]]));
    let lengths = Lengths { len, offset: head[52], flags: head[53], window: [head[54], head[55]] };
    let tcp_len = lengths.judge()?;
    if tcp_len == STAMPED && bytes.fixed::<74, 4>()? != STAMP {
        return None;
    }
    lengths.extent(bytes, IP + 40, tcp_len)
}

/// NOP NOP, then the kind and length of timestamps.
const STAMP: [u8; 4] = [1, 1, 8, 10];

/// What decides whether a segment is plain.
struct Lengths {
    /// Of the IP payload; huge when it is shorter than its header.
    len: u32,
    offset: u8,
    flags: u8,
    window: [u8; 2],
}

impl Lengths {
    /// How long a plain TCP header is.
    #[inline(always)]
    fn judge(&self) -> Option<u32> {
        let tcp_len = u32::from(self.offset >> 4) * 4;
        let is_plain = tcp_len == PLAIN || tcp_len == STAMPED;
        let is_open = self.window[0] | self.window[1] != 0;
        let is_ack = self.flags & !Flags::PSH.0 == Flags::ACK.0;
        let fits = self.len <= 0xffff && tcp_len <= self.len;
        (is_plain && is_open && is_ack && fits).then_some(tcp_len)
    }

    #[inline(always)]
    fn extent<B: Bytes>(&self, bytes: &B, at: u32, tcp_len: u32) -> Option<Extent> {
        let extent = Extent {
            payload_len: self.len - tcp_len,
            payload_at: at + tcp_len,
            is_stamped: tcp_len == STAMPED,
        };
        bytes.reaches(at + self.len).then_some(extent)
    }
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline(always)]
fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Source and destination.
#[inline(always)]
fn ends<const V6: bool, B: Bytes>(bytes: &B) -> Option<(Endpoint, Endpoint)> {
    let end = |address, port| Endpoint { address, port: u32::from(port) };
    if V6 {
        let head = bytes.fixed::<22, 36>()?;
        let address = |at| {
            Address([
                word(&head, at),
                word(&head, at + 4),
                word(&head, at + 8),
                word(&head, at + 12),
            ])
        };
        Some((end(address(0), half(&head, 32)), end(address(16), half(&head, 34))))
    } else {
        let head = bytes.fixed::<26, 12>()?;
        let address = |at| Address::v4(word(&head, at));
        Some((end(address(0), half(&head, 8)), end(address(4), half(&head, 10))))
    }
}

/// Takes an Ethernet frame into account if it holds a usual segment of a flow that is in full swing; else
/// nothing was touched. `clock` is asked once, when it is; it answers with [`slot_trait::COARSE`] if its time may
/// be a little behind, else with 0.
#[inline(always)]
pub fn take_usual<M: Memory, B: Bytes>(
    memory: &mut M,
    bytes: &B,
    port: Port,
    keys: impl FnOnce() -> Keys,
    clock: impl FnOnce() -> (u64, u8),
) -> bool {
    let taken = match bytes.u16(12).map(EtherType) {
        Some(EtherType::IPV4) => take::<false, M, B>(memory, bytes, port, keys, clock),
        Some(EtherType::IPV6) => take::<true, M, B>(memory, bytes, port, keys, clock),
        Some(EtherType::VLAN) => {
            let bytes = &bytes.behind_tag();
            match bytes.u16(12).map(EtherType) {
                Some(EtherType::IPV4) => take::<false, M, B>(memory, bytes, port, keys, clock),
                Some(EtherType::IPV6) => take::<true, M, B>(memory, bytes, port, keys, clock),
                _ => None,
            }
        }
        _ => None,
    };
    taken.is_some()
}

#[inline(always)]
fn take<const V6: bool, M: Memory, B: Bytes>(
    memory: &mut M,
    bytes: &B,
    port: Port,
    keys: impl FnOnce() -> Keys,
    clock: impl FnOnce() -> (u64, u8),
) -> Option<()> {
    let extent = if V6 { measure_v6(bytes)? } else { measure_v4(bytes)? };
    let has_data = extent.payload_len > 0;
    let (src, dst) = ends::<V6, B>(bytes)?;
    let id = Identity::of(&src, &dst, &keys());
    let (hot, recorder) = memory.known(&id)?;
    let me = id.side as usize & 1;
    let head = if V6 { bytes.fixed::<58, 8>()? } else { bytes.fixed::<38, 8>()? };
    let (seq, ack) = (Seq(word(&head, 0)), Seq(word(&head, 4)));
    let next = u32::from(hot.recorded) & (SLOTS - 1);
    let takes_latest = recorder.is_some() && u32::from(hot.counts[me ^ 1].latest) == next + 1;
    let is_young = u32::from(hot.recorded) < SLOTS || has_data && hot.counts[me].data_segments == 0;
    let is_usual = hot.ports[me] == port.0 && goes_on(hot, id.side & 1, seq, extent.payload_len);
    if is_young || takes_latest || !is_usual {
        return None;
    }
    // Last, because it is a call where a socket's data lies behind the headers' buffer.
    if has_data && may_tell(bytes.fetch::<1>(extent.payload_at)?[0]) {
        return None;
    }
    let (now, coarse) = clock();
    let Some(recorder) = recorder else {
        let ttl = if V6 { bytes.u8(IP + 7)? } else { bytes.u8(IP + 8)? };
        move_on(hot, me, seq + extent.payload_len, has_data, ack);
        hot.last = ticks(now);
        count(&mut hot.counts[me], extent.payload_len, ttl, Count::UNRECORDED);
        return Some(());
    };
    let head = bytes.fixed::<IP, 10>()?;
    let (ttl, tos, ip_id, df) = if V6 {
        (head[7], head[0] << 4 | head[1] >> 4, 0, 0)
    } else {
        (head[8], head[1], half(&head, 4), head[6] >> 6 & 1)
    };
    let tcp = if V6 { bytes.fixed::<67, 3>()? } else { bytes.fixed::<47, 3>()? };
    let tsval = match (extent.is_stamped, V6) {
        (false, _) => 0,
        (true, false) => u32::from_be_bytes(bytes.fixed::<58, 4>()?),
        (true, true) => u32::from_be_bytes(bytes.fixed::<78, 4>()?),
    };
    move_on(hot, me, seq + extent.payload_len, has_data, ack);
    hot.last = ticks(now);
    count(&mut hot.counts[me], extent.payload_len, ttl, (next + 1) as u8);
    let slot = &mut recorder.slots[next as usize];
    slot.time_ns = now;
    slot.seq = seq;
    slot.ack = ack;
    slot.len = extent.payload_len;
    slot.tsval = tsval;
    slot.window = half(&tcp, 1);
    slot.ip_id = ip_id;
    slot.flags = Flags(tcp[0]);
    slot.ttl = ttl;
    slot.traits = me as u8 | df << 1 | u8::from(extent.is_stamped) << 2 | coarse;
    slot.tos = tos;
    // Past the end the count restarts at a full ring, keeping its place in it.
    hot.recorded = if hot.recorded == 0xffff { SLOTS as u16 } else { hot.recorded + 1 };
    Some(())
}

/// Whether the connection is in full swing, its history has the segment's letter, and the segment is new data
/// or an ACK that is neither new nor a probe.
#[inline(always)]
fn goes_on(hot: &Hot, side: u32, seq: Seq, payload_len: u32) -> bool {
    let me = side as usize & 1;
    let has_data = payload_len > 0;
    let letter = if has_data { flag::DATA } else { flag::ACKED } << side;
    let wanted = flag::BOTH_HEARD | letter;
    let unwanted = flag::FIN | flag::FIN << 1 | flag::RESET | flag::RST_SEEN;
    let known = hot.seq_end[me];
    let ahead = (seq + payload_len).since(known);
    let fits =
        if has_data { ahead > 0 && ahead < LARGEST_WINDOW } else { ahead <= 0 && ahead != -1 };
    let is_open = hot.flags & (wanted | unwanted) == wanted && hot.is_open();
    is_open && hot.ack[me] != Seq(0) && fits
}

#[inline(always)]
fn move_on(hot: &mut Hot, me: usize, end: Seq, has_data: bool, ack: Seq) {
    if has_data {
        hot.seq_end[me] = end;
    }
    let progress = ack.since(hot.ack[me]);
    if progress > 0 && progress < LARGEST_WINDOW {
        hot.ack[me] = ack;
    }
}

/// The counters of a side.
#[inline(always)]
fn count(count: &mut Count, payload_len: u32, ttl: u8, latest: u8) {
    count.bytes = count.bytes.wrapping_add(u64::from(payload_len));
    count.packets = count.packets.wrapping_add(1);
    if payload_len > 0 && count.data_segments != u8::MAX {
        count.data_segments += 1;
    }
    if count.ttl != ttl {
        count.ttl = ttl;
        count.ttl_varies = 1;
    }
    count.latest = latest;
}

const _: () = {
    assert!(slot_trait::DONT_FRAGMENT == 1 << 1);
    assert!(slot_trait::SIDE_1 == 1 && slot_trait::TIMESTAMPS == 1 << 2);
};
