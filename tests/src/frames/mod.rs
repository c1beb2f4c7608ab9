//! Frames for tests, good and bad, built from the inside out: a segment, then what wraps it.
//!
//! Built by hand, because a library refuses to write what an attacker sends; etherparse checks the
//! good ones (see the tests below). Checksums are left zero: nothing here looks at them.

mod ip;
mod link;
mod tcp;

pub use ip::{CLIENT, CLIENT_V6, SERVER, SERVER_V6, V4, V6, protocol};
pub use link::{INNER_MAC, MAC, ether};
pub use tcp::{CLIENT_PORT, SERVER_PORT, Tcp, flags, rst, tcp};

/// Bytes from some layer on, and what the layer below has to call them.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The bytes so far.
    pub bytes: Vec<u8>,
    /// What an IP header calls them.
    pub protocol: u8,
    /// What a link header calls them.
    pub ether_type: u16,
}

impl Layer {
    /// Puts `header` before the bytes.
    fn behind(self, header: &[u8], protocol: u8, ether_type: u16) -> Self {
        Self { bytes: [header, &self.bytes].concat(), protocol, ether_type }
    }

    /// The bytes as they are, for devices without a link header.
    pub fn raw(self) -> Vec<u8> {
        self.bytes
    }
}

/// The same frame with other bytes at `at`.
pub fn patched(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// The first `len` bytes of a frame.
pub fn cut(mut frame: Vec<u8>, len: usize) -> Vec<u8> {
    assert!(len < frame.len(), "a cut must take something away");
    frame.truncate(len);
    frame
}

/// A frame with `padding` zeros behind its packet, as short Ethernet frames have.
pub fn padded(mut frame: Vec<u8>, padding: usize) -> Vec<u8> {
    frame.resize(frame.len() + padding, 0);
    frame
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    fn seen(frame: &[u8]) -> (u16, u16, u32, u32, u16, bool, usize) {
        let packet = SlicedPacket::from_ethernet(frame).expect("etherparse reads it");
        let Some(TransportSlice::Tcp(tcp)) = packet.transport else {
            panic!("no TCP in {frame:x?}")
        };
        assert!(packet.net.is_some());
        (
            tcp.source_port(),
            tcp.destination_port(),
            tcp.sequence_number(),
            tcp.acknowledgment_number(),
            tcp.window_size(),
            tcp.rst(),
            tcp.payload().len(),
        )
    }

    #[test]
    fn etherparse_reads_what_is_built_here_as_it_is_meant() {
        let expected = (CLIENT_PORT, SERVER_PORT, 1000, 2000, 512, true, 3);
        let segment = || tcp(Tcp { payload: b"bye".to_vec(), ..rst() });
        let many = |n: usize| {
            let behind = |layer: Layer, _| layer.behind_options(protocol::DESTINATION, 1);
            (0..n).fold(segment(), behind)
        };
        for frame in [
            segment().v4().frame(),
            segment().v6().frame(),
            segment().v4().tagged(ether::VLAN, 10).frame(),
            segment().v6().tagged(ether::VLAN, 20).tagged(ether::QINQ, 10).frame(),
            segment().in_v4(V4 { options: vec![1; 8], ..V4::default() }).frame(),
            many(1).v6().frame(),
            segment().behind_fragment(0, false, 7).v6().frame(),
            segment().behind_authentication(4).v6().frame(),
            tcp(Tcp { payload: b"bye".to_vec(), options: vec![1; 12], ..rst() }).v4().frame(),
            padded(segment().v4().frame(), 6),
        ] {
            assert_eq!(seen(&frame), expected, "{frame:x?}");
        }
    }

    #[test]
    fn etherparse_finds_the_addresses() {
        let frame = rst().layer().v4().frame();
        let packet = SlicedPacket::from_ethernet(&frame).expect("a packet");
        let Some(NetSlice::Ipv4(v4)) = packet.net else { panic!("not IPv4") };
        assert_eq!(v4.header().source(), CLIENT);
        assert_eq!(v4.header().destination(), SERVER);
        assert!(v4.header().dont_fragment());
        let frame = rst().layer().v6().frame();
        let packet = SlicedPacket::from_ethernet(&frame).expect("a packet");
        let Some(NetSlice::Ipv6(v6)) = packet.net else { panic!("not IPv6") };
        assert_eq!(v6.header().source(), CLIENT_V6);
        assert_eq!(v6.header().destination(), SERVER_V6);
    }
}
