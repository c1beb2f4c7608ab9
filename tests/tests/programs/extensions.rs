//! IPv6 extension headers: each of them, many of them, and too many.

use rst_tracer_common::wire::{Malformed::*, NotOurs::*, Segment};
use rst_tracer_tests::frames::{Layer, V6, padded, protocol, rst};

use crate::behaviour::{Outcome, malformed, not_ours, reported_v6};

/// A RST behind `n` destination options headers of eight bytes.
fn behind(n: usize) -> Layer {
    (0..n).fold(rst().layer(), |layer, _| layer.behind_options(protocol::DESTINATION, 0))
}

/// Reported, with `bytes` of extension headers.
fn behind_bytes(bytes: u16) -> Outcome {
    reported_v6(|s| s.payload_at += bytes)
}

/// The order that RFC 8200 4.1 recommends.
fn all_in_order() -> Layer {
    rst()
        .layer()
        .behind_options(protocol::MOBILITY, 0)
        .behind_options(protocol::DESTINATION, 1)
        .behind_authentication(4)
        .behind_fragment(0, false, 9)
        .behind_options(protocol::ROUTING, 2)
        .behind_options(protocol::DESTINATION, 0)
        .behind_options(protocol::HOP_BY_HOP, 0)
}

/// An options header that names another behind it, which is not there.
fn announces_another() -> Layer {
    let missing = Layer { bytes: Vec::new(), protocol: protocol::DESTINATION, ether_type: 0 };
    missing.behind_options(protocol::HOP_BY_HOP, 0)
}

behaviours! {
    hop_by_hop_options: rst().layer().behind_options(protocol::HOP_BY_HOP, 0).v6().frame()
        => behind_bytes(8);
    a_routing_header: rst().layer().behind_options(protocol::ROUTING, 2).v6().frame()
        => behind_bytes(24);
    destination_options: rst().layer().behind_options(protocol::DESTINATION, 1).v6().frame()
        => behind_bytes(16);
    a_mobility_header: rst().layer().behind_options(protocol::MOBILITY, 0).v6().frame()
        => behind_bytes(8);
    an_authentication_header: rst().layer().behind_authentication(4).v6().frame()
        => behind_bytes(24);
    an_authentication_header_not_a_multiple_of_eight:
        rst().layer().behind_authentication(1).v6().frame() => behind_bytes(12);
    an_atomic_fragment: rst().layer().behind_fragment(0, false, 0x0007_0009).v6().frame()
        => reported_v6(|s| (s.payload_at, s.ip_id) = (82, 9));
    the_first_ipv6_fragment_is_read: rst().layer().behind_fragment(0, true, 3).v6().frame()
        => reported_v6(|s| {
            (s.payload_at, s.ip_id) = (82, 3);
            s.traits |= Segment::FIRST_FRAGMENT;
        });
    a_later_ipv6_fragment_has_no_header: rst().layer().behind_fragment(1, true, 3).v6().frame()
        => not_ours(LaterFragment);
    the_last_ipv6_fragment_has_none_either: rst().layer().behind_fragment(185, false, 3).v6().frame()
        => not_ours(LaterFragment);
    every_kind_in_the_recommended_order: all_in_order().v6().frame()
        => reported_v6(|s| (s.payload_at, s.ip_id) = (74 + 8 + 16 + 24 + 8 + 24 + 8 + 8, 9));
    a_long_extension_header: rst().layer().behind_options(protocol::DESTINATION, 255).v6().frame()
        => behind_bytes(2048);
    eight_extension_headers_are_followed: behind(8).v6().frame() => behind_bytes(64);
    nine_extension_headers_are_too_deep: behind(9).v6().frame() => not_ours(ExtensionHeaders);
    an_unknown_header_ends_the_walk:
        Layer { protocol: protocol::ESP, ..rst().layer() }
            .behind_options(protocol::HOP_BY_HOP, 0).v6().frame()
        => not_ours(Ipsec);
    no_next_header_is_not_tcp:
        Layer { protocol: 59, ..rst().layer() }.behind_options(protocol::DESTINATION, 0).v6().frame()
        => not_ours(NotTcp);
    an_extension_header_past_the_packet:
        padded(rst().layer().behind_options(protocol::DESTINATION, 3)
            .in_v6(V6 { payload_len: Some(16), ..V6::default() }).frame(), 32)
        => malformed(ExtensionLength);
    an_authentication_header_past_the_packet:
        padded(rst().layer().behind_authentication(200)
            .in_v6(V6 { payload_len: Some(40), ..V6::default() }).frame(), 32)
        => malformed(ExtensionLength);
    an_extension_header_that_is_not_there: announces_another().v6().frame() => malformed(Truncated);
    an_extension_header_that_ends_the_packet:
        Layer { bytes: Vec::new(), protocol: protocol::TCP, ether_type: 0 }
            .behind_options(protocol::DESTINATION, 0).v6().frame()
        => malformed(TcpTooShort);
}
