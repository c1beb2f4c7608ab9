//! From the first byte to the network header: Ethernet, tags, labels, sessions, and no link at all.

use rst_tracer_common::wire::{Malformed::*, NotOurs::*};
use rst_tracer_tests::frames::{Layer, ether, padded, patched, rst};

use crate::behaviour::{check_l3, deeper, malformed, not_ours, reported, reported_v6};

const PRESENT: u32 = 1 << 16;
const QINQ_OLD: u16 = 0x9100;

fn v4() -> Layer {
    rst().layer().v4()
}

/// An 802.3 frame: a length where Ethernet II has its type, then `llc`.
fn in_llc(llc: &[u8]) -> Vec<u8> {
    let mut layer = v4();
    layer.bytes = [llc, &layer.bytes].concat();
    layer.ether_type = layer.bytes.len() as u16;
    layer.frame()
}

/// Under another EtherType.
fn called(ether_type: u16) -> Vec<u8> {
    Layer { ether_type, ..v4() }.frame()
}

behaviours! {
    a_rst_over_ipv4_is_reported: v4().frame() => reported(|_| {});
    a_rst_over_ipv6_is_reported: rst().layer().v6().frame() => reported_v6(|_| {});
    padding_behind_the_packet_is_not_payload: padded(v4().frame(), 6) => reported(|_| {});
    a_vlan_tag_is_kept_whole: v4().tagged(ether::VLAN, 0x600a).frame() => reported(|s| {
        s.vlan = [0x600a | PRESENT, 0];
        deeper(s, 4);
    });
    a_priority_tag_is_present_though_zero: v4().tagged(ether::VLAN, 0).frame() => reported(|s| {
        s.vlan = [PRESENT, 0];
        deeper(s, 4);
    });
    two_tags_stand_outer_first: v4().tagged(ether::VLAN, 20).tagged(ether::QINQ, 10).frame()
        => reported(|s| {
            s.vlan = [10 | PRESENT, 20 | PRESENT];
            deeper(s, 8);
        });
    two_tags_of_the_old_kind_too: v4().tagged(QINQ_OLD, 20).tagged(QINQ_OLD, 10).frame()
        => reported(|s| {
            s.vlan = [10 | PRESENT, 20 | PRESENT];
            deeper(s, 8);
        });
    three_tags_are_too_deep:
        v4().tagged(ether::VLAN, 3).tagged(ether::VLAN, 2).tagged(ether::QINQ, 1).frame()
        => not_ours(VlanTags);
    a_tag_cut_short_is_truncated: patched(v4().frame(), 12, &[0x81, 0])[..17].to_vec()
        => malformed(Truncated);
    mpls_is_stepped_over: v4().labelled(true).frame() => reported(|s| deeper(s, 4));
    four_mpls_labels_are_stepped_over:
        v4().labelled(true).labelled(false).labelled(false).labelled(false).frame()
        => reported(|s| deeper(s, 16));
    five_mpls_labels_are_too_deep:
        v4().labelled(true).labelled(false).labelled(false).labelled(false).labelled(false).frame()
        => not_ours(Mpls);
    a_pseudowire_is_counted_as_mpls:
        patched(v4().bridged().labelled(true).frame(), 18, &[2]) => not_ours(Mpls);
    mpls_under_a_tag: v4().labelled(true).tagged(ether::VLAN, 5).frame() => reported(|s| {
        s.vlan = [5 | PRESENT, 0];
        deeper(s, 8);
    });
    mpls_over_ipv6: rst().layer().v6().labelled(true).frame() => reported_v6(|s| deeper(s, 4));
    pppoe_with_ipv4: v4().in_pppoe().frame() => reported(|s| deeper(s, 8));
    pppoe_with_ipv6: rst().layer().v6().in_pppoe().frame() => reported_v6(|s| deeper(s, 8));
    pppoe_with_something_else_is_not_ip: patched(v4().in_pppoe().frame(), 20, &[0xc0, 0x21])
        => not_ours(NotIp);
    llc_and_snap: in_llc(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]) => reported(|s| deeper(s, 8));
    bare_llc_with_ip: in_llc(&[6, 6, 3]) => reported(|s| deeper(s, 3));
    spanning_tree_is_not_ip: in_llc(&[0x42, 0x42, 3]) => not_ours(NotIp);
    encrypted_ethernet_is_counted: called(0x88e5) => not_ours(Macsec);
    ethernet_in_ethernet_is_counted: called(0x88e7) => not_ours(Pbb);
    a_network_service_header_is_counted: called(0x894f) => not_ours(Nsh);
    arp_is_not_ip: patched(v4().frame(), 12, &ether::ARP.to_be_bytes()) => not_ours(NotIp);
}

#[test]
fn without_a_link_header_the_version_decides() {
    check_l3(&patched(v4().raw(), 0, &[0x15]), &not_ours(NotIp));
    check_l3(&patched(v4().raw(), 0, &[0xf5]), &not_ours(NotIp));
}
