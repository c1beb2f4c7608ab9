//! Feeds any bytes to the parser, as every link type it knows.
//!
//! No input may panic, read the same frame in two ways, or yield a segment that is not in it; and
//! a capture cut short may hide something, but never change what is seen.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rst_tracer_common::wire::{
    self, Frame, LinkType, Malformed, NO_MPTCP, NO_SCALE, Segment, Seq, Stop,
};
use zerocopy::{FromBytes, FromZeros};

const LINKS: [LinkType; 14] = [
    LinkType::ETHERNET,
    LinkType::RAW,
    LinkType::NULL,
    LinkType::PPP,
    LinkType::RAW_BSD,
    LinkType::RAW_OPENBSD,
    LinkType::IEEE802_11,
    LinkType::LOOP,
    LinkType::LINUX_SLL,
    LinkType::IEEE802_11_RADIOTAP,
    LinkType::IPV4,
    LinkType::IPV6,
    LinkType::LINUX_SLL2,
    LinkType(9999),
];

fuzz_target!(|input: &[u8]| {
    let Some((&[link, cut], data)) = input.split_first_chunk() else { return };
    let link = LINKS[usize::from(link) % LINKS.len()];
    for tunnels in [false, true] {
        let whole = Frame::whole(data);
        let seen = locate(&whole, link, tunnels);
        if let Ok(segment) = &seen {
            lies_within(segment, data.len());
        }
        let cut = Frame { data: &data[..data.len().min(usize::from(cut))], ..whole };
        let seen_less = locate(&cut, link, tunnels);
        if seen_less != Err(Stop::Malformed(Malformed::Truncated)) {
            assert_eq!(seen_less.map(without_options), seen.map(without_options));
        }
    }
});

/// Reads a frame into a fresh segment and into a used one: what was there before must not matter.
fn locate(frame: &Frame<'_>, link: LinkType, tunnels: bool) -> Result<Segment, Stop> {
    let mut fresh = Segment::new_zeroed();
    let mut used = Segment::read_from_bytes(&[0xa5; size_of::<Segment>()]).expect("its own size");
    let result = wire::locate(frame, link, tunnels, &mut fresh);
    assert_eq!(wire::locate(frame, link, tunnels, &mut used), result);
    result.map(|()| {
        assert_eq!(fresh, used);
        fresh
    })
}

/// Headers and payload follow each other, and end before the frame does.
fn lies_within(segment: &Segment, len: usize) {
    let (ip_at, payload_at) = (usize::from(segment.ip_at), usize::from(segment.payload_at));
    let header_len = usize::from(segment.tcp.header_len);
    assert!((20..=60).contains(&header_len) && header_len % 4 == 0);
    let is_v6 = segment.traits & Segment::IPV6 != 0;
    assert!(ip_at + if is_v6 { 40 } else { 20 } + header_len <= payload_at);
    assert!(payload_at + segment.tcp.payload_len as usize <= len);
    assert!(is_v6 || segment.src.address.is_v4() && segment.dst.address.is_v4());
    assert!(segment.src.port <= 0xffff && segment.dst.port <= 0xffff);
}

/// A short capture may end amid the options, which are read as far as they go.
fn without_options(mut segment: Segment) -> Segment {
    let tcp = &mut segment.tcp;
    (tcp.tsval, tcp.tsecr, tcp.sack_right) = (0, 0, Seq(0));
    (tcp.mss, tcp.options, tcp.mptcp_reason) = (0, 0, 0);
    (tcp.scale, tcp.mptcp_subtype) = (NO_SCALE, NO_MPTCP);
    segment
}
