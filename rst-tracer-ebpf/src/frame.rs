//! Packet memory as a byte source: direct access, as XDP and TC offer it.
//!
//! TCP sends headers in the linear part of a socket buffer and data behind it. To pull data into the linear part copies
//! all of it, because the buffer is shared with the retransmission queue: data is fetched by a helper, and pulled is
//! only where a header lies behind the linear part.

use core::mem::MaybeUninit;

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    helpers::generated::{bpf_skb_load_bytes, bpf_skb_pull_data, bpf_xdp_get_buff_len},
    programs::{TcContext, XdpContext},
};
use rst_tracer_common::{
    verifier::opaque,
    wire::{self, Bytes, REACH, TAG},
};

use crate::maps;

/// Headers beyond this many bytes of a socket buffer are left where they are.
const PULLED: u32 = 256;

/// A frame as a hook gets it.
pub trait Held: Bytes {
    /// Brings headers that cannot be peeked at where they can. Says whether more of the frame can be peeked at now: by
    /// what is taken afresh.
    fn pull_headers(&self) -> bool;
}

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
    /// Bytes that were left out in front.
    skipped: u32,
}

impl SkbFrame {
    #[inline(always)]
    pub fn new(context: &TcContext) -> Self {
        Self {
            context: context.skb.skb,
            len: context.len(),
            data: context.data(),
            data_end: context.data_end(),
            skipped: 0,
        }
    }

    /// Has the first `len` bytes of `to` filled with those at `at`; `false` where there are none. `to` is written to only.
    #[inline(always)]
    fn load<const N: usize>(&self, at: u32, len: u32, to: *mut [u8; N]) -> bool {
        // As in `peek`: the register that is bounded is the one that is passed on. Before Linux 6.8 a verifier does not
        // conclude from a comparison with zero that it is at least one.
        let less = opaque(u64::from(len).wrapping_sub(1));
        if less >= N as u64 {
            return false;
        }
        let len = less + 1;
        let from = at + self.skipped;
        // SAFETY: the context is that of the running program, and `len` bytes fit.
        0 == unsafe { bpf_skb_load_bytes(self.context.cast(), from, to.cast(), len as u32) }
    }
}

impl Held for XdpFrame {
    #[inline(always)]
    fn pull_headers(&self) -> bool {
        false
    }
}

impl Held for SkbFrame {
    /// A failure leaves the buffer as it was, and the parser counts the frame as truncated.
    #[inline(always)]
    fn pull_headers(&self) -> bool {
        let wanted = if self.len < PULLED { self.len } else { PULLED };
        // SAFETY: the context is that of the running program.
        self.captured_len() < wanted && unsafe { bpf_skb_pull_data(self.context, wanted) } == 0
    }
}

impl Bytes for SkbFrame {
    #[inline(always)]
    fn afresh(&self) -> Self {
        Self::new(&TcContext::new(opaque(self.context as u64) as _))
    }

    #[inline(always)]
    fn behind_tag(&self) -> Self {
        Self {
            data: self.data + TAG as usize,
            len: self.len.wrapping_sub(TAG),
            skipped: self.skipped + TAG,
            ..*self
        }
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
    fn fetch<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        if let Some(bytes) = self.peek::<N>(at) {
            return Some(bytes);
        }
        let mut bytes = MaybeUninit::uninit();
        // SAFETY: where the helper answers that it filled them it filled all `N` of them.
        self.load(at, N as u32, bytes.as_mut_ptr()).then(|| unsafe { bytes.assume_init() })
    }

    #[inline(always)]
    fn copy<const N: usize>(&self, at: u32, wanted: u32, to: &mut [u8; N]) -> u32 {
        let len = wire::begin_copy(to, self.len, at, wanted);
        if self.load(at, len, to) { len } else { 0 }
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
