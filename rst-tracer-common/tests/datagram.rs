//! UDP told apart with few instructions, beside the whole parser.

use proptest::{prelude::*, sample::Index};
use rst_tracer_common::wire::{
    Frame, IpProtocol, LinkType, NotOurs, Segment, Stop, is_plain_udp, locate,
};

fn datagram(is_v6: bool, port: u16, len: u8) -> Vec<u8> {
    let udp_len = u16::from(len) + 8;
    let mut frame = vec![2; 12];
    if is_v6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(udp_len.to_be_bytes());
        frame.extend([IpProtocol::UDP.0, 64]);
        frame.extend([7; 32]);
    } else {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((udp_len + 20).to_be_bytes());
        frame.extend([0, 1, 0x40, 0, 64, IpProtocol::UDP.0, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    }
    frame.extend([0xc0, 0]);
    frame.extend(port.to_be_bytes());
    frame.extend(udp_len.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(vec![9; len.into()]);
    frame
}

fn located(frame: &[u8], tunnels: bool) -> Result<(), Stop> {
    locate(&Frame::whole(frame), LinkType::ETHERNET, tunnels, &mut Segment::default())
}

#[test]
fn quic_is_plain_and_vxlan_is_not() {
    for is_v6 in [false, true] {
        let plain = |port| is_plain_udp(&Frame::whole(&datagram(is_v6, port, 20)));
        assert_eq!([443, 53, 4789, 8472, 6081].map(plain), [true, true, false, false, false]);
    }
}

proptest! {
    #[test]
    fn what_is_plain_is_not_tcp_to_the_parser_either(
        is_v6: bool,
        port in prop_oneof![Just(443), Just(4789), any::<u16>()],
        len: u8,
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        end: Index,
        is_cut in prop::bool::weighted(0.3),
        tunnels: bool,
    ) {
        let mut frame = datagram(is_v6, port, len);
        for (at, byte) in changes {
            // In the headers: the payload decides nothing.
            let at = at.index(62.min(frame.len()));
            frame[at] = byte;
        }
        if is_cut {
            frame.truncate(end.index(frame.len()));
        }
        if is_plain_udp(&Frame::whole(&frame)) {
            prop_assert_eq!(located(&frame, tunnels), Err(Stop::NotOurs(NotOurs::NotTcp)));
        }
    }
}
