//! IPv4 and IPv6 headers: options, fragments, lengths, and what is not TCP.

use rst_tracer_common::wire::{NotOurs::*, Segment};
use rst_tracer_tests::frames::{Layer, Tcp, V4, V6, protocol, rst, tcp};

use crate::behaviour::{not_ours, reported, reported_v6};

fn in_v4(header: V4) -> Vec<u8> {
    rst().layer().in_v4(header).frame()
}

/// The RST's bytes under another protocol's number.
fn called(protocol: u8) -> Layer {
    Layer { protocol, ..rst().layer() }
}

/// A RST whose payload makes it longer than any ordinary packet.
fn super_segment() -> Layer {
    tcp(Tcp { payload: vec![b'x'; 2000], ..rst() })
}

behaviours! {
    ttl_tos_and_identification_are_kept: in_v4(V4 { ttl: 3, tos: 0xb9, id: 0xfffe, ..V4::default() })
        => reported(|s| (s.ttl, s.tos, s.ip_id) = (3, 0xb9, 0xfffe));
    a_packet_may_be_fragmented_on_its_way: in_v4(V4 { fragment: 0, ..V4::default() })
        => reported(|s| s.traits = 0);
    one_word_of_ipv4_options: in_v4(V4 { options: vec![1; 4], ..V4::default() })
        => reported(|s| s.payload_at += 4);
    ten_words_of_ipv4_options: in_v4(V4 { options: vec![1; 40], ..V4::default() })
        => reported(|s| s.payload_at += 40);
    the_first_ipv4_fragment_is_read: in_v4(V4 { fragment: V4::MORE_FRAGMENTS, ..V4::default() })
        => reported(|s| s.traits = Segment::FIRST_FRAGMENT);
    a_later_ipv4_fragment_has_no_header: in_v4(V4 { fragment: 1, ..V4::default() })
        => not_ours(LaterFragment);
    a_fragment_between_others_has_none_either:
        in_v4(V4 { fragment: V4::MORE_FRAGMENTS | 185, ..V4::default() }) => not_ours(LaterFragment);
    ipv6_traffic_class_hop_limit_and_flow_label:
        rst().layer().in_v6(V6 { ttl: 5, tos: 0xfc, label: 0xf_1234, ..V6::default() }).frame()
        => reported_v6(|s| (s.ttl, s.tos, s.flow_label) = (5, 0xfc, 0xf_1234));
    udp_is_not_tcp: called(protocol::UDP).v4().frame() => not_ours(NotTcp);
    icmp_is_not_tcp: called(protocol::ICMP).v4().frame() => not_ours(NotTcp);
    icmpv6_is_not_tcp: called(protocol::ICMPV6).v6().frame() => not_ours(NotTcp);
    esp_is_counted: called(protocol::ESP).v4().frame() => not_ours(Ipsec);
    esp_over_ipv6_is_counted: called(protocol::ESP).v6().frame() => not_ours(Ipsec);
    ah_over_ipv4_is_counted: called(protocol::AUTHENTICATION).v4().frame() => not_ours(Ipsec);
    ethernet_in_ip_is_counted: called(97).v4().frame() => not_ours(EtherIp);
    l2tp_straight_over_ip_is_counted: called(115).v6().frame() => not_ours(L2tp);
    mpls_in_ip_is_counted: called(137).v4().frame() => not_ours(Mpls);
    an_ip_protocol_is_not_an_ether_type: called(8).v4().frame() => not_ours(NotTcp);
    tcp_quoted_in_icmp_is_not_tcp: rst().layer().v4().quoted_in_icmp().v4().frame()
        => not_ours(NotTcp);
    an_offloaded_ipv4_super_segment_has_no_length:
        super_segment().in_v4(V4 { total_len: Some(0), ..V4::default() }).frame()
        => reported(|s| s.tcp.payload_len = 2000);
    an_offloaded_ipv6_super_segment_has_no_length:
        super_segment().in_v6(V6 { payload_len: Some(0), ..V6::default() }).frame()
        => reported_v6(|s| s.tcp.payload_len = 2000);
    payload_is_kept_up_to_its_bound: tcp(Tcp { payload: (0..100).collect(), ..rst() }).v4().frame()
        => reported(|s| s.tcp.payload_len = 100);
    a_short_payload_is_kept_whole: tcp(Tcp { payload: b"go away".to_vec(), ..rst() }).v4().frame()
        => reported(|s| s.tcp.payload_len = 7);
}
