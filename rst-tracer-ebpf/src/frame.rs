//! Packet memory as a byte source: direct access, as XDP and TC offer it.

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    helpers::generated::{bpf_skb_pull_data, bpf_xdp_get_buff_len},
    programs::{TcContext, XdpContext},
};
use rst_tracer_common::{
    verifier::opaque,
    wire::{Bytes, REACH, TAG},
};

use crate::maps;

/// Headers beyond this many bytes of a socket buffer are left where they are.
const PULLED: u32 = 256;

/// The `N` bytes at `at` between two packet pointers.
#[inline(always)]
fn peek<const N: usize>(data: usize, data_end: usize, at: u32) -> Option<[u8; N]> {
    // The verifier wants the very register bounded that is added to the packet pointer: "math
    // between pkt pointer and register with unbounded min value is not allowed".
    let at = opaque(u64::from(at));
    if at > u64::from(REACH) {
        return None;
    }
    let from = data + at as usize;
    let mut end = from + N;
    if N == 1 {
        // LLVM turns `from + 1 > data_end` into `from >= data_end`, from which the verifier learns
        // nothing: "R6 offset is outside of the packet".
        end = opaque(end as u64) as usize;
    }
    if end > data_end {
        return None;
    }
    // SAFETY: the range was compared with the end of the packet.
    Some(unsafe { *(from as *const [u8; N]) })
}

/// The `N` bytes at `AT`: the verifier sees a constant.
#[inline(always)]
fn fixed<const AT: u32, const N: usize>(data: usize, data_end: usize) -> Option<[u8; N]> {
    let from = data + AT as usize;
    let mut end = from + N;
    if N == 1 {
        end = opaque(end as u64) as usize; // As above.
    }
    if end > data_end {
        return None;
    }
    // SAFETY: the range was compared with the end of the packet.
    Some(unsafe { *(from as *const [u8; N]) })
}

/// A frame as XDP sees it: the first buffer of what may be several.
pub struct XdpFrame {
    context: *mut xdp_md,
    data: usize,
    data_end: usize,
    /// Bytes that were left out in front.
    skipped: u32,
}

impl XdpFrame {
    #[inline(always)]
    pub fn new(context: &XdpContext) -> Self {
        let (data, data_end) = (context.data(), context.data_end());
        Self { context: context.ctx, data, data_end, skipped: 0 }
    }

    #[inline(always)]
    fn first_buffer_len(&self) -> u32 {
        (self.data_end - self.data) as u32
    }
}

impl Bytes for XdpFrame {
    /// The context is opaque to the compiler here, so that the pointers are really read again.
    #[inline(always)]
    fn afresh(&self) -> Self {
        Self::new(&XdpContext::new(opaque(self.context as u64) as _))
    }

    #[inline(always)]
    fn behind_tag(&self) -> Self {
        Self { data: self.data + TAG as usize, skipped: self.skipped + TAG, ..*self }
    }

    #[inline(always)]
    fn wire_len(&self) -> u32 {
        if maps::has_buff_len() {
            // SAFETY: the context is that of the running program.
            return unsafe { bpf_xdp_get_buff_len(self.context) } as u32 - self.skipped;
        }
        self.first_buffer_len()
    }

    #[inline(always)]
    fn captured_len(&self) -> u32 {
        self.first_buffer_len()
    }

    /// The helper is asked only when the first buffer is not enough.
    #[inline(always)]
    fn reaches(&self, end: u32) -> bool {
        end <= self.first_buffer_len() || end <= self.wire_len()
    }

    #[inline(always)]
    fn peek<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        peek(self.data, self.data_end, at)
    }

    #[inline(always)]
    fn fixed<const AT: u32, const N: usize>(&self) -> Option<[u8; N]> {
        fixed::<AT, N>(self.data, self.data_end)
    }
}

/// A frame as TC sees it: the linear part of a socket buffer.
pub struct SkbFrame {
    context: *mut __sk_buff,
    len: u32,
    data: usize,
    data_end: usize,
}

impl SkbFrame {
    #[inline(always)]
    pub fn new(context: &TcContext) -> Self {
        Self {
            context: context.skb.skb,
            len: context.len(),
            data: context.data(),
            data_end: context.data_end(),
        }
    }
}

/// Pulls headers that lie outside the linear part of a socket buffer into it.
#[inline(always)]
pub fn pull_headers(context: &TcContext) {
    let len = context.len();
    let wanted = if len < PULLED { len } else { PULLED };
    if ((context.data_end() - context.data()) as u32) < wanted {
        // SAFETY: the context is that of the running program. A failure leaves the buffer as it
        // was, and the parser counts the frame as truncated.
        unsafe { bpf_skb_pull_data(context.skb.skb, wanted) };
    }
}

impl Bytes for SkbFrame {
    #[inline(always)]
    fn afresh(&self) -> Self {
        Self::new(&TcContext::new(opaque(self.context as u64) as _))
    }

    #[inline(always)]
    fn behind_tag(&self) -> Self {
        Self { data: self.data + TAG as usize, len: self.len.wrapping_sub(TAG), ..*self }
    }

    #[inline(always)]
    fn wire_len(&self) -> u32 {
        self.len
    }

    #[inline(always)]
    fn captured_len(&self) -> u32 {
        (self.data_end - self.data) as u32
    }

    #[inline(always)]
    fn peek<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        peek(self.data, self.data_end, at)
    }

    #[inline(always)]
    fn fixed<const AT: u32, const N: usize>(&self) -> Option<[u8; N]> {
        fixed::<AT, N>(self.data, self.data_end)
    }
}
