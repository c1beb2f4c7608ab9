//! One level of encapsulation: what is looked into, what is not, and the switch for all of it.

use rst_tracer_common::wire::{Malformed::*, NotOurs::*, Segment, Tunnel};
use rst_tracer_tests::{
    frames::{INNER_MAC, Layer, ether, patched, protocol, rst},
    kernel::{self, Kernel, OPTIONS, Program},
};

use crate::behaviour::{
    Outcome, bridged, deeper, malformed, not_ours, only, over_v6, reported, tunnelled,
};

const PRESENT: u32 = 1 << 16;
const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;

fn v4() -> Layer {
    rst().layer().v4()
}

fn v6() -> Layer {
    rst().layer().v6()
}

/// IPv6 inside, behind `headers` bytes of tunnel.
fn six_inside(kind: Tunnel, headers: u16) -> Outcome {
    reported(|s: &mut Segment| {
        over_v6(s);
        s.tunnel = kind;
        deeper(s, headers);
    })
}

fn bytes(bytes: &[u8]) -> Layer {
    Layer { bytes: bytes.to_vec(), protocol: 0, ether_type: 0 }
}

/// So many bytes to a port, in IPv4.
fn in_udp(port: u16, begins: &[u8]) -> Vec<u8> {
    bytes(begins).in_udp(port).v4().frame()
}

/// What calls itself so, in GRE.
fn in_gre(ether_type: u16) -> Vec<u8> {
    Layer { ether_type, ..v4() }.in_gre(0).v4().frame()
}

behaviours! {
    ipv4_in_ipv4: v4().v4().frame() => tunnelled(Tunnel::IPIP, 20);
    ipv4_in_ipv6: v4().v6().frame() => tunnelled(Tunnel::IPIP, 40);
    ipv6_in_ipv4: v6().v4().frame() => six_inside(Tunnel::SIX_IN_FOUR, 20);
    ipv6_in_ipv6: v6().v6().frame() => six_inside(Tunnel::SIX_IN_FOUR, 40);
    ipv4_in_ipv6_behind_options: v4().behind_options(protocol::DESTINATION, 0).v6().frame()
        => tunnelled(Tunnel::IPIP, 48);
    extension_headers_inside_a_tunnel:
        rst().layer().behind_options(protocol::HOP_BY_HOP, 0).v6().v4().frame()
        => reported(|s| {
            over_v6(s);
            s.tunnel = Tunnel::SIX_IN_FOUR;
            deeper(s, 20);
            s.payload_at += 8;
        });
    gre_with_ipv4: v4().in_gre(0).v4().frame() => tunnelled(Tunnel::GRE, 24);
    gre_with_ipv6: v6().in_gre(0).v4().frame() => six_inside(Tunnel::GRE, 24);
    gre_over_ipv6: v4().in_gre(0).v6().frame() => tunnelled(Tunnel::GRE, 44);
    gre_with_a_key: v4().in_gre(KEY).v4().frame() => tunnelled(Tunnel::GRE, 28);
    gre_with_checksum_key_and_sequence:
        v4().in_gre(CHECKSUM | KEY | SEQUENCE).v4().frame() => tunnelled(Tunnel::GRE, 36);
    gre_with_ethernet: v4().bridged().in_gre(KEY).v4().frame() => bridged(Tunnel::GRE, 42);
    gre_with_routing_is_counted: v4().in_gre(ROUTING).v4().frame() => not_ours(Gre);
    pptp_is_counted: v4().in_gre(KEY | 1).v4().frame() => not_ours(Gre);
    gre_with_something_else_is_counted: in_gre(ether::ARP) => not_ours(Gre);
    gre_with_mpls_is_counted: in_gre(ether::MPLS) => not_ours(Mpls);
    erspan_of_either_old_type_is_counted: in_gre(0x88be) => not_ours(Erspan);
    erspan_of_type_three_is_counted: in_gre(0x22eb) => not_ours(Erspan);
    user_data_of_a_mobile_network_is_counted: in_udp(2152, &[0x34, 0xff]) => not_ours(GtpU);
    signals_of_a_mobile_network_are_not: in_udp(2152, &[0x32, 1]) => not_ours(NotTcp);
    l2tp_is_counted: in_udp(1701, &[0, 2]) => not_ours(L2tp);
    what_controls_l2tp_is_not: in_udp(1701, &[0xc8, 2]) => not_ours(NotTcp);
    esp_in_udp_is_counted: in_udp(4500, &[1, 2, 3, 4]) => not_ours(Ipsec);
    what_agrees_on_keys_is_not: in_udp(4500, &[0; 4]) => not_ours(NotTcp);
    a_keepalive_of_ipsec_is_not: in_udp(4500, &[0xff]) => not_ours(NotTcp);
    teredo_is_counted: in_udp(3544, &[0x60]) => not_ours(Teredo);
    lisp_is_counted: in_udp(4341, &[0x80]) => not_ours(Lisp);
    vxlan_gpe_is_counted: in_udp(4790, &[0x0c]) => not_ours(VxlanGpe);
    capwap_data_is_counted: in_udp(5247, &[0]) => not_ours(Capwap);
    generic_udp_encapsulation_is_counted: in_udp(6080, &[0]) => not_ours(Gue);
    mpls_in_udp_is_counted: in_udp(6635, &[0]) => not_ours(Mpls);
    vxlan: v4().bridged().in_vxlan(4789).v4().frame() => bridged(Tunnel::VXLAN, 50);
    vxlan_at_the_port_linux_used_first: v4().bridged().in_vxlan(8472).v4().frame()
        => bridged(Tunnel::VXLAN, 50);
    vxlan_over_ipv6: v4().bridged().in_vxlan(4789).v6().frame() => bridged(Tunnel::VXLAN, 70);
    a_tag_inside_vxlan: v4().tagged(ether::VLAN, 30).bridged().in_vxlan(4789).v4().frame()
        => reported(|s| {
            s.tunnel = Tunnel::VXLAN;
            s.mac = INNER_MAC;
            s.vlan = [30 | PRESENT, 0];
            deeper(s, 54);
        });
    a_tag_inside_stands_for_all_tags_outside:
        v4().tagged(ether::VLAN, 30).bridged().in_vxlan(4789).v4()
            .tagged(ether::VLAN, 20).tagged(ether::QINQ, 10).frame()
        => reported(|s| {
            s.tunnel = Tunnel::VXLAN;
            s.mac = INNER_MAC;
            s.vlan = [30 | PRESENT, 0];
            deeper(s, 62);
        });
    tags_outside_stay_when_there_are_none_inside:
        v4().v4().tagged(ether::VLAN, 20).tagged(ether::QINQ, 10).frame() => reported(|s| {
            s.tunnel = Tunnel::IPIP;
            s.vlan = [10 | PRESENT, 20 | PRESENT];
            deeper(s, 28);
        });
    vxlan_without_an_identifier_is_left_alone:
        patched(v4().bridged().in_vxlan(4789).v4().frame(), 42, &[0]) => not_ours(NotTcp);
    geneve: v4().bridged().in_geneve(0).v4().frame() => bridged(Tunnel::GENEVE, 50);
    geneve_with_options: v4().bridged().in_geneve(3).v4().frame() => bridged(Tunnel::GENEVE, 62);
    geneve_of_another_version_is_left_alone:
        patched(v4().bridged().in_geneve(0).v4().frame(), 42, &[0x40]) => not_ours(Geneve);
    geneve_with_something_else_is_left_alone:
        patched(v4().bridged().in_geneve(0).v4().frame(), 44, &[8, 0]) => not_ours(Geneve);
    udp_to_another_port_is_left_alone: v4().bridged().in_vxlan(4788).v4().frame()
        => not_ours(NotTcp);
    two_levels_are_one_too_many: v4().v4().v4().frame() => not_ours(TunnelInTunnel);
    vxlan_in_gre_is_one_too_many:
        v4().bridged().in_vxlan(4789).v4().in_gre(0).v4().frame() => not_ours(TunnelInTunnel);
    a_kind_that_is_only_counted_is_so_inside_a_tunnel_too:
        bytes(&[0x34, 0xff]).in_udp(2152).v4().v4().frame() => not_ours(GtpU);
    icmp_inside_a_tunnel_is_not_tcp:
        Layer { protocol: protocol::ICMP, ..rst().layer() }.v4().in_gre(0).v4().frame()
        => not_ours(NotTcp);
    arp_inside_vxlan_is_not_ip:
        Layer { ether_type: ether::ARP, ..v4() }.bridged().in_vxlan(4789).v4().frame()
        => not_ours(NotIp);
    a_tunnel_cut_short_is_truncated:
        Layer { protocol: protocol::GRE, ..bytes(&[0, 0]) }.v4().frame()
        => malformed(Truncated);
    a_tunnel_with_nothing_inside_is_truncated:
        Layer { protocol: protocol::IPV4, ..bytes(&[]) }.v4().frame()
        => malformed(Truncated);
    vxlan_with_half_a_header_is_truncated:
        in_udp(4789, &[8; 4])
        => malformed(Truncated);
}

#[test]
fn tunnels_can_be_left_alone_altogether() {
    if !kernel::can_load() {
        return;
    }
    let mut kernel = Kernel::load(kernel::Options { tunnels: false, ..OPTIONS });
    for program in Program::ETHERNET {
        for frame in [v4().v4().frame(), v4().bridged().in_vxlan(4789).v4().frame()] {
            let ran = kernel.run(program, &frame);
            let mut expected =
                rst_tracer_common::event::Counters { frames: 1, ..Default::default() };
            expected.not_ours[TunnelsOff as usize] = 1;
            assert_eq!(ran.counted, only(program, expected));
        }
        let ran = kernel.run(program, &v4().frame());
        assert_eq!(ran.records.len(), 1, "TCP outside tunnels is still seen");
    }
}
