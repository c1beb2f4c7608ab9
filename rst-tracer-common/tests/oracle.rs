//! etherparse as an oracle: what it writes is read back, and what it can read is read alike.

use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TcpOptionElement, TransportSlice, VlanId};
use proptest::{collection::vec, option, prelude::*};
use rst_tracer_common::wire::{
    self, Endpoint, Frame, LinkType, Malformed, Segment, Seq, Stop, option as bit,
};
use zerocopy::FromZeros;

fn locate(frame: &[u8]) -> Result<Segment, Stop> {
    let mut segment = Segment::new_zeroed();
    // etherparse does not look into UDP, so tunnels would be a difference of taste.
    wire::locate(&Frame::whole(frame), LinkType::ETHERNET, false, &mut segment).map(|()| segment)
}

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(from, to)| (from.into(), to.into())),
        any::<([u8; 16], [u8; 16])>().prop_map(|(from, to)| (from.into(), to.into())),
    ]
}

/// What a test asks etherparse to write.
#[derive(Clone, Debug)]
struct Wish {
    addresses: (IpAddr, IpAddr),
    ports: (u16, u16),
    vlan: Option<u16>,
    ttl: u8,
    seq: u32,
    ack: Option<u32>,
    /// SYN, FIN, RST, PSH.
    flags: [bool; 4],
    window: u16,
    stamps: Option<(u32, u32)>,
    mss: Option<u16>,
    scale: Option<u8>,
    payload: Vec<u8>,
}

fn wishes() -> impl Strategy<Value = Wish> {
    let ends = (addresses(), any::<(u16, u16)>(), option::of(0_u16..4096), any::<u8>());
    let numbers = (any::<u32>(), option::of(any::<u32>()), any::<[bool; 4]>(), any::<u16>());
    let options = (any::<Option<(u32, u32)>>(), any::<Option<u16>>(), any::<Option<u8>>());
    (ends, numbers, options, vec(any::<u8>(), 0..80)).prop_map(
        |(
            (addresses, ports, vlan, ttl),
            (seq, ack, flags, window),
            (stamps, mss, scale),
            payload,
        )| {
            Wish {
                addresses,
                ports,
                vlan,
                ttl,
                seq,
                ack,
                flags,
                window,
                stamps,
                mss,
                scale,
                payload,
            }
        },
    )
}

impl Wish {
    fn written(&self) -> Vec<u8> {
        let ip = match self.addresses {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let header = etherparse::Ipv4Header::new(
                    0,
                    self.ttl,
                    etherparse::IpNumber::TCP,
                    from.octets(),
                    to.octets(),
                );
                etherparse::IpHeaders::Ipv4(header.expect("a header"), Default::default())
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let (source, destination) = (from.octets(), to.octets());
                let header = etherparse::Ipv6Header {
                    hop_limit: self.ttl,
                    source,
                    destination,
                    ..Default::default()
                };
                etherparse::IpHeaders::Ipv6(header, Default::default())
            }
            _ => unreachable!("both ends are of one family"),
        };
        let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
        let packet = match self.vlan {
            Some(id) => link.single_vlan(VlanId::try_new(id).expect("twelve bits")).ip(ip),
            None => link.ip(ip),
        };
        let mut packet = packet.tcp(self.ports.0, self.ports.1, self.seq, self.window);
        if let Some(ack) = self.ack {
            packet = packet.ack(ack);
        }
        let [syn, fin, rst, psh] = self.flags;
        packet = if syn { packet.syn() } else { packet };
        packet = if fin { packet.fin() } else { packet };
        packet = if rst { packet.rst() } else { packet };
        packet = if psh { packet.psh() } else { packet };
        let stamps = self.stamps.map(|(value, echo)| TcpOptionElement::Timestamp(value, echo));
        let mss = self.mss.map(TcpOptionElement::MaximumSegmentSize);
        let scale = self.scale.map(TcpOptionElement::WindowScale);
        let options: Vec<_> = [stamps, mss, scale].into_iter().flatten().collect();
        let packet = packet.options(&options).expect("options that fit");
        let mut frame = Vec::new();
        packet.write(&mut frame, &self.payload).expect("a packet that can be written");
        frame
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_etherparse_writes_is_read_as_it_was_meant(wish in wishes()) {
        let frame = wish.written();
        let segment = locate(&frame).expect("a sound segment");
        let end = |ip, port| Endpoint::from_socket(SocketAddr::new(ip, port));
        prop_assert_eq!(segment.src, end(wish.addresses.0, wish.ports.0));
        prop_assert_eq!(segment.dst, end(wish.addresses.1, wish.ports.1));
        prop_assert_eq!(segment.vlan[0], wish.vlan.map_or(0, |id| 1 << 16 | u32::from(id)));
        prop_assert_eq!((segment.ttl, segment.mac), (wish.ttl, [2; 6]));
        let tcp = &segment.tcp;
        prop_assert_eq!((tcp.seq, tcp.ack), (Seq(wish.seq), Seq(wish.ack.unwrap_or(0))));
        let [syn, fin, rst, psh] = wish.flags.map(u8::from);
        let flags = fin | syn << 1 | rst << 2 | psh << 3 | u8::from(wish.ack.is_some()) << 4;
        prop_assert_eq!((tcp.flags.0, tcp.window), (flags, wish.window));
        prop_assert_eq!(wish.stamps.unwrap_or_default(), (tcp.tsval, tcp.tsecr));
        prop_assert_eq!(wish.mss.unwrap_or(0), tcp.mss);
        prop_assert_eq!(wish.scale.unwrap_or(wire::NO_SCALE), tcp.scale);
        let has = |option: bool, bit| if option { bit } else { 0 };
        let options = has(wish.stamps.is_some(), bit::TIMESTAMPS)
            | has(wish.mss.is_some(), bit::MSS)
            | has(wish.scale.is_some(), bit::WINDOW_SCALE);
        prop_assert_eq!(tcp.options, options);
        let payload = &frame[usize::from(segment.payload_at)..];
        prop_assert_eq!(payload, &wish.payload[..]);
        prop_assert_eq!(tcp.payload_len as usize, wish.payload.len());
    }

    #[test]
    fn what_etherparse_still_reads_of_a_damaged_frame_is_read_alike(
        wish in wishes(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut frame = wish.written();
        for (at, byte) in damage {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        let theirs = SlicedPacket::from_ethernet(&frame);
        let ours = locate(&frame);
        if let Ok(SlicedPacket { net: Some(net), transport: Some(TransportSlice::Tcp(tcp)), .. }) = theirs {
            let super_segment = ours == Err(Stop::Malformed(Malformed::Ipv6PayloadLength));
            if let NetSlice::Ipv6(_) = net && super_segment {
                // etherparse takes a length of zero for "to the end" at any size.
                return Ok(());
            }
            let Ok(segment) = ours else { panic!("{ours:?} of {frame:x?}") };
            prop_assert_eq!(segment.src.port, u32::from(tcp.source_port()));
            prop_assert_eq!(segment.dst.port, u32::from(tcp.destination_port()));
            prop_assert_eq!(segment.tcp.seq, Seq(tcp.sequence_number()));
            prop_assert_eq!(segment.tcp.ack, Seq(tcp.acknowledgment_number()));
            prop_assert_eq!(segment.tcp.payload_len as usize, tcp.payload().len());
            prop_assert_eq!(usize::from(segment.tcp.header_len), tcp.header_slice().len());
        }
    }
}
