//! The way it is usually written: an LRU hash by the whole tuple, the clock on every packet, one ring.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::{LruHashMap, RingBuf},
};

use crate::{
    Frame,
    parse::{RST, Segment, parse},
};

/// Both ends, the lower one first; IPv4 as mapped addresses.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Key {
    low: [u32; 4],
    high: [u32; 4],
    low_port: u32,
    high_port: u32,
}

/// What is kept of a connection.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Value {
    first_ns: u64,
    last_ns: u64,
    packets: [u32; 2],
    seq: [u32; 2],
    ack: [u32; 2],
    bytes: [u64; 2],
    flags: u32,
    window: u32,
}

/// A reset and its connection.
#[repr(C)]
pub struct Report {
    time_ns: u64,
    key: Key,
    value: Value,
    rest: [u64; 8],
}

/// As many as rst-tracer's table has flows; set at load.
#[map]
static TABLE: LruHashMap<Key, Value> = LruHashMap::with_max_entries(1 << 20, 0);

#[map]
static REPORTS: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

#[inline(always)]
fn word(at: usize) -> u32 {
    // SAFETY: within the headers that the parser compared with the end.
    unsafe { (at as *const u32).read_unaligned() }
}

#[inline(always)]
fn address(segment: &Segment, at_v4: usize, at_v6: usize) -> [u32; 4] {
    let ip = segment.ip;
    if segment.is_v6 {
        let at = ip + at_v6;
        [word(at), word(at + 4), word(at + 8), word(at + 12)]
    } else {
        [0, 0, 0xffff_0000, word(ip + at_v4)]
    }
}

/// Takes a frame into account.
#[inline(always)]
pub fn see(frame: Frame) {
    let Some(segment) = parse(frame) else { return };
    let (src, dst) = (address(&segment, 12, 8), address(&segment, 16, 24));
    let ports = word(segment.tcp);
    let (from, to) = (ports & 0xffff, ports >> 16);
    let is_low = (src[3], from) < (dst[3], to);
    let key = if is_low {
        Key { low: src, high: dst, low_port: from, high_port: to }
    } else {
        Key { low: dst, high: src, low_port: to, high_port: from }
    };
    let side = usize::from(!is_low);
    // SAFETY: no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let (seq, ack) = (u32::from_be(word(segment.tcp + 4)), u32::from_be(word(segment.tcp + 8)));
    let window = u32::from_be(word(segment.tcp + 12)) & 0xffff;
    let flags = u32::from(segment.flags);
    let len = (frame.end - segment.tcp) as u64;
    match TABLE.get_ptr_mut(&key) {
        Some(value) => {
            // SAFETY: map values live as long as the program; races cost a count.
            let value = unsafe { &mut *value };
            value.last_ns = now;
            value.flags |= flags;
            value.window = window;
            let side = side & 1;
            value.packets[side] += 1;
            value.bytes[side] += len;
            value.seq[side] = seq;
            value.ack[side] = ack;
            if segment.flags & RST != 0 {
                report(now, &key, value);
            }
        }
        None => {
            let (mine, other) = ([1, 0], [0, 1]);
            let packets = if side == 0 { mine } else { other };
            let pair = |x: u32| if side == 0 { [x, 0] } else { [0, x] };
            let bytes = if side == 0 { [len, 0] } else { [0, len] };
            let value = Value {
                first_ns: now,
                last_ns: now,
                packets,
                seq: pair(seq),
                ack: pair(ack),
                bytes,
                flags,
                window,
            };
            let _ = TABLE.insert(&key, &value, 0);
            if segment.flags & RST != 0 {
                report(now, &key, &value);
            }
        }
    }
}

#[inline(always)]
fn report(now: u64, key: &Key, value: &Value) {
    let Some(mut slot) = REPORTS.reserve::<Report>(0) else { return };
    // SAFETY: a reserved slot is writable.
    let report = unsafe { &mut *slot.as_mut_ptr() };
    report.time_ns = now;
    report.key = *key;
    report.value = *value;
    slot.submit(0);
}
