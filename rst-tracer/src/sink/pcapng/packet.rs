//! A segment's headers, rebuilt from what an event knows of it.
//!
//! Out: IPv4 or IPv6 and TCP, without options and without the payload, whose length the headers
//! tell all the same. The checksum of TCP is right where there is no payload, else zero.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, TcpHeader};

use crate::event::{Endpoint, Flags, Recent, RstEvent};

/// Of the network and of TCP, to be written.
pub(super) struct Packet {
    src: Endpoint,
    dst: Endpoint,
    flags: Flags,
    seq: u32,
    ack: u32,
    window: u16,
    ttl: u8,
    payload_len: u32,
    ip_id: u16,
    df: bool,
    tos: u8,
    flow_label: u32,
}

impl Packet {
    /// The reset itself, of which every field of the headers is known.
    pub(super) fn reset(rst: &RstEvent) -> Self {
        let s = &rst.segment;
        Self {
            src: rst.src,
            dst: rst.dst,
            flags: s.flags,
            seq: s.seq,
            ack: s.ack,
            window: s.window,
            ttl: s.ttl,
            payload_len: s.payload_len,
            ip_id: s.ip_id.unwrap_or_default(),
            df: s.df.unwrap_or_default(),
            tos: s.tos,
            flow_label: s.flow_label.unwrap_or_default(),
        }
    }

    /// A segment of the flight recorder, which keeps less: identification, don't-fragment, type of
    /// service and flow label are zero.
    pub(super) fn recorded(src: Endpoint, dst: Endpoint, recent: &Recent) -> Self {
        let Recent { flags, seq, ack, len, window, ttl, .. } = *recent;
        let (ip_id, df, tos, flow_label) = Default::default();
        let payload_len = len;
        Self { src, dst, flags, seq, ack, window, ttl, payload_len, ip_id, df, tos, flow_label }
    }

    /// Length on the wire, payload included.
    pub(super) fn original_len(&self) -> u32 {
        let headers = match self.is_ipv4() {
            true => Ipv4Header::MIN_LEN + TcpHeader::MIN_LEN,
            false => Ipv6Header::LEN + TcpHeader::MIN_LEN,
        };
        self.payload_len.saturating_add(headers as u32)
    }

    /// All that is captured.
    pub(super) fn headers(&self) -> Vec<u8> {
        match (self.src.ip, self.dst.ip) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.in_ipv4(src.octets(), dst.octets()),
            (src, dst) => self.in_ipv6(octets(src), octets(dst)),
        }
    }

    fn is_ipv4(&self) -> bool {
        self.src.ip.is_ipv4() && self.dst.ip.is_ipv4()
    }

    fn in_ipv4(&self, source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let mut ip = Ipv4Header {
            dscp: (self.tos >> 2).try_into().unwrap_or_default(),
            ecn: (self.tos & 3).try_into().unwrap_or_default(),
            total_len: self.length_field(Ipv4Header::MIN_LEN),
            identification: self.ip_id,
            dont_fragment: self.df,
            time_to_live: self.ttl,
            protocol: IpNumber::TCP,
            source,
            destination,
            ..Ipv4Header::default()
        };
        ip.header_checksum = ip.calc_header_checksum();
        let mut tcp = self.tcp();
        if self.payload_len == 0 {
            tcp.checksum = tcp.calc_checksum_ipv4(&ip, &[]).unwrap_or_default();
        }
        [&ip.to_bytes()[..], &tcp.to_bytes()].concat()
    }

    fn in_ipv6(&self, source: [u8; 16], destination: [u8; 16]) -> Vec<u8> {
        let ip = Ipv6Header {
            traffic_class: self.tos,
            flow_label: Ipv6FlowLabel::try_new(self.flow_label).unwrap_or_default(),
            payload_length: self.length_field(0),
            next_header: IpNumber::TCP,
            hop_limit: self.ttl,
            source,
            destination,
        };
        let mut tcp = self.tcp();
        if self.payload_len == 0 {
            tcp.checksum = tcp.calc_checksum_ipv6(&ip, &[]).unwrap_or_default();
        }
        [&ip.to_bytes()[..], &tcp.to_bytes()].concat()
    }

    /// The length that IP tells, `more` than what TCP has. What does not fit is zero, as it is in
    /// captures of segments that an interface will cut up.
    fn length_field(&self, more: usize) -> u16 {
        let headers = (more + TcpHeader::MIN_LEN) as u32;
        self.payload_len.checked_add(headers).and_then(|n| n.try_into().ok()).unwrap_or_default()
    }

    fn tcp(&self) -> TcpHeader {
        let mut tcp = TcpHeader::new(self.src.port, self.dst.port, self.seq, self.window);
        tcp.acknowledgment_number = self.ack;
        tcp.fin = self.flags.has(Flags::FIN);
        tcp.syn = self.flags.has(Flags::SYN);
        tcp.rst = self.flags.has(Flags::RST);
        tcp.psh = self.flags.has(Flags::PSH);
        tcp.ack = self.flags.has(Flags::ACK);
        tcp.urg = self.flags.has(Flags::URG);
        tcp.ece = self.flags.has(Flags::ECE);
        tcp.cwr = self.flags.has(Flags::CWR);
        tcp
    }
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}
