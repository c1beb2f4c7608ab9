//! Frames that are broken: counted by what is wrong with them, never reported, never touched.

use rst_tracer_common::wire::{Malformed::*, NotOurs::*};
use rst_tracer_tests::frames::{Layer, Tcp, V4, V6, cut, padded, patched, protocol, rst, tcp};

use crate::behaviour::{malformed, not_ours};

fn v4() -> Vec<u8> {
    rst().layer().v4().frame()
}

fn v6() -> Vec<u8> {
    rst().layer().v6().frame()
}

fn in_v4(header: V4) -> Vec<u8> {
    rst().layer().in_v4(header).frame()
}

fn in_v6(payload_len: u16) -> Vec<u8> {
    let header = V6 { payload_len: Some(payload_len), ..V6::default() };
    padded(rst().layer().in_v6(header).frame(), 40)
}

/// ::ffff:10.0.0.9
const MAPPED: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 9];

fn mapped(header: V6) -> Vec<u8> {
    rst().layer().in_v6(header).frame()
}

/// A TCP header that claims to be of `words`.
fn words(words: u8) -> Vec<u8> {
    tcp(Tcp { words: Some(words), ..rst() }).v4().frame()
}

/// The first `len` bytes of a TCP header, over IPv4 that says so.
fn tcp_of(len: usize) -> Vec<u8> {
    Layer { bytes: vec![0; len], protocol: protocol::TCP, ether_type: 0 }.v4().frame()
}

behaviours! {
    ipv4_called_ipv6: patched(v4(), 12, &[0x86, 0xdd]) => malformed(IpVersion);
    ipv6_called_ipv4: patched(v6(), 12, &[0x08, 0x00]) => malformed(IpVersion);
    a_version_there_is_not: patched(v4(), 14, &[0x55]) => malformed(IpVersion);
    an_ipv4_header_of_four_words: in_v4(V4 { words: Some(4), ..V4::default() })
        => malformed(Ipv4HeaderLength);
    an_ipv4_header_of_no_words: in_v4(V4 { words: Some(0), ..V4::default() })
        => malformed(Ipv4HeaderLength);
    an_ipv4_header_longer_than_its_packet:
        in_v4(V4 { words: Some(15), total_len: Some(40), ..V4::default() })
        => malformed(Ipv4TotalLength);
    a_total_length_shorter_than_the_header: in_v4(V4 { total_len: Some(19), ..V4::default() })
        => malformed(Ipv4TotalLength);
    a_total_length_of_zero_on_a_short_packet: in_v4(V4 { total_len: Some(0), ..V4::default() })
        => malformed(Ipv4TotalLength);
    a_total_length_one_past_the_frame: in_v4(V4 { total_len: Some(41), ..V4::default() })
        => malformed(LengthPastFrame);
    a_total_length_of_the_largest_packet: in_v4(V4 { total_len: Some(0xffff), ..V4::default() })
        => malformed(LengthPastFrame);
    an_ipv4_packet_without_room_for_tcp: in_v4(V4 { total_len: Some(39), ..V4::default() })
        => malformed(TcpTooShort);
    an_ipv4_packet_without_anything_inside: in_v4(V4 { total_len: Some(20), ..V4::default() })
        => malformed(TcpTooShort);
    ipv4_options_up_to_the_end: in_v4(V4 { words: Some(10), ..V4::default() })
        => malformed(TcpTooShort);
    an_ipv6_payload_of_zero_on_a_short_packet: in_v6(0) => malformed(Ipv6PayloadLength);
    an_ipv6_payload_past_the_frame: in_v6(61) => malformed(LengthPastFrame);
    an_ipv6_payload_of_the_largest_packet: in_v6(0xffff) => malformed(LengthPastFrame);
    an_ipv6_payload_without_room_for_tcp: in_v6(19) => malformed(TcpTooShort);
    a_tcp_header_of_four_words: words(4) => malformed(TcpDataOffset);
    a_tcp_header_of_no_words: words(0) => malformed(TcpDataOffset);
    a_tcp_header_past_the_segment: words(6) => malformed(TcpDataOffset);
    a_tcp_header_past_the_segment_into_padding: padded(words(15), 60) => malformed(TcpDataOffset);
    half_an_ipv4_header: cut(v4(), 24) => malformed(Truncated);
    all_but_a_byte_of_an_ipv4_header: cut(v4(), 33) => malformed(Truncated);
    an_ipv4_header_and_nothing_of_its_packet: cut(v4(), 34) => malformed(LengthPastFrame);
    half_a_tcp_header_on_the_wire: cut(v4(), 44) => malformed(LengthPastFrame);
    half_a_tcp_header_in_the_packet: tcp_of(10) => malformed(TcpTooShort);
    all_but_a_byte_of_a_tcp_header: tcp_of(19) => malformed(TcpTooShort);
    a_tcp_header_of_zeros: tcp_of(20) => malformed(TcpDataOffset);
    three_bytes_of_an_ipv6_header: cut(v6(), 17) => malformed(Truncated);
    an_ipv6_header_up_to_its_addresses: cut(v6(), 22) => malformed(Truncated);
    an_ipv6_header_with_one_address: cut(v6(), 38) => malformed(Truncated);
    all_but_a_byte_of_an_ipv6_header: cut(v6(), 53) => malformed(Truncated);
    an_ipv6_header_and_nothing_of_its_packet: cut(v6(), 54) => malformed(LengthPastFrame);
    the_first_fragment_with_eight_bytes_of_tcp:
        in_v4(V4 { fragment: 0x2000, total_len: Some(28), ..V4::default() }) => malformed(TcpTooShort);
    ipv6_from_an_address_of_ipv4: mapped(V6 { from: MAPPED, ..V6::default() })
        => malformed(MappedAddress);
    ipv6_to_an_address_of_ipv4: mapped(V6 { to: MAPPED, ..V6::default() })
        => malformed(MappedAddress);
    a_frame_of_zeros: vec![0; 64] => not_ours(NotIp);
    a_frame_of_ones: vec![0xff; 64] => not_ours(NotIp);
}
