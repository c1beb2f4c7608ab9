//! Another client on every frame, by a sequence that the harness wrote, then a tail call to the subject.

use aya_ebpf::{
    macros::map,
    maps::{Array, ProgramArray},
    programs::{TcContext, XdpContext},
};

use crate::Frame;

/// What to write where.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Rotation {
    /// The next place in the sequence.
    at: u32,
    /// One less than the length of the sequence.
    mask: u32,
    /// Where the IP header lies: 14, or 18 behind a VLAN tag.
    ip: u32,
    /// 1 for IPv6.
    is_v6: u32,
    /// 1 when the client is the destination.
    is_back: u32,
    /// By how much the sequence number moves from frame to frame.
    step: u32,
    /// By how much it moves each time the sequence has ended.
    lap: u32,
    /// The sequence number of the last frame.
    seq: u32,
    /// 0: the frame stays as it is.
    is_on: u32,
}

/// One rotation.
#[map]
static ROTATION: Array<Rotation> = Array::with_max_entries(1, 0);

/// Which client comes when.
#[map]
static SEQUENCE: Array<u32> = Array::with_max_entries(1 << 21, 0);

#[map]
static XDP_SUBJECT: ProgramArray = ProgramArray::with_max_entries(1, 0);

#[map]
static TC_SUBJECT: ProgramArray = ProgramArray::with_max_entries(1, 0);

#[inline(always)]
pub fn xdp(context: &XdpContext) {
    rotate(Frame::from(context));
    // SAFETY: the subject is an XDP program.
    let _ = unsafe { XDP_SUBJECT.tail_call(context, 0) };
}

#[inline(always)]
pub fn tc(context: &TcContext) {
    rotate(Frame::from(context));
    // SAFETY: the subject is a classifier.
    let _ = unsafe { TC_SUBJECT.tail_call(context, 0) };
}

#[inline(always)]
fn rotate(frame: Frame) {
    let Some(rotation) = ROTATION.get_ptr_mut(0) else { return };
    // SAFETY: one CPU measures at a time.
    let rotation = unsafe { &mut *rotation };
    if rotation.is_on == 0 {
        return;
    }
    let at = rotation.at & rotation.mask;
    rotation.at = rotation.at.wrapping_add(1);
    let Some(client) = SEQUENCE.get(at) else { return };
    rotation.seq = rotation.seq.wrapping_add(rotation.step);
    let (client, seq, is_back) = (*client, rotation.seq, rotation.is_back != 0);
    if at == rotation.mask {
        rotation.seq = seq.wrapping_add(rotation.lap);
    }
    match (rotation.ip, rotation.is_v6) {
        (14, 0) => write::<26, 30, 34>(frame, client, seq, is_back),
        (14, _) => write::<34, 50, 54>(frame, client, seq, is_back),
        (_, 0) => write::<30, 34, 38>(frame, client, seq, is_back),
        (_, _) => write::<38, 54, 58>(frame, client, seq, is_back),
    }
}

/// Writes the last four bytes of an address, a port and a sequence number.
#[inline(always)]
fn write<const SRC: usize, const DST: usize, const TCP: usize>(
    frame: Frame,
    client: u32,
    seq: u32,
    is_back: bool,
) {
    let Frame { data, end } = frame;
    if data + TCP + 8 > end {
        return;
    }
    // The last word of the address: IPv4's only one.
    let address = 0x0a00_0000 | client & 0x00ff_ffff;
    let port = 1024 + (client.wrapping_mul(7) & 0x7fff) as u16;
    // SAFETY: compared with the end.
    unsafe {
        let (at, port_at) = if is_back { (DST, TCP + 2) } else { (SRC, TCP) };
        ((data + at) as *mut u32).write_unaligned(address.to_be());
        ((data + port_at) as *mut u16).write_unaligned(port.to_be());
        ((data + TCP + 4) as *mut u32).write_unaligned(seq.to_be());
    }
}
