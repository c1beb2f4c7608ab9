//! The same refusal and the same aborted exchange behind every header that is looked through.

use serde_json::{Value, json};

use super::{Case, link};
use crate::bytes;
use crate::story::{
    Form::{Active, Refusal},
    Side::Server,
    Story, Wrap,
};

/// An IPv4 connection that is refused and one that is aborted after data.
fn tell(mut s: Story, keys: &[(&str, Value)]) -> Story {
    let with = |mut expected: crate::story::Expected<'_>| {
        for (key, value) in keys {
            expected = expected.with(key, value.clone());
        }
    };
    s.syn();
    with(s.reset(Server, Refusal).stage("post_syn").zeek("REJ", "Sr"));
    s.begin_from_port(51_235);
    s.exchange();
    with(s.reset(Server, Active).stage("post_data").zeek("RSTR", "ShADadr"));
    s
}

fn tagged(name: &'static str, about: &'static str, wrap: Wrap, vlan: &[u16]) -> Case {
    let keys: &[(&str, Value)] = if vlan.is_empty() { &[] } else { &[("vlan", json!(vlan))] };
    Case::of(name, about, tell(Story::v4().over(wrap), keys))
}

fn tunnelled(name: &'static str, about: &'static str, story: Story, tunnel: &str) -> Case {
    Case::of(name, about, tell(story, &[("tunnel", json!(tunnel))]))
        .never(json!({"src": {"ip": "192.0.2.1"}}))
        .never(json!({"dst": {"ip": "192.0.2.2"}}))
}

fn linked(link: u32, name: &'static str, about: &'static str, wrap: Wrap) -> Case {
    Case::over(link, name, about, tell(Story::v4().over(wrap), &[]))
}

pub(super) fn cases() -> Vec<Case> {
    let v4 = |wrap: Wrap| Story::v4().over(wrap);
    let v6 = |wrap: Wrap| Story::v6().over(wrap);
    vec![
        tagged("vlan", "One VLAN tag.", bytes::vlan, &[10]),
        tagged("qinq", "A service tag around a VLAN tag.", bytes::qinq, &[100, 20]),
        tagged("mpls", "One MPLS label.", bytes::mpls, &[]),
        tagged("pppoe", "A PPPoE session.", bytes::pppoe, &[]),
        tunnelled("ipip", "IPv4 in IPv4.", v4(bytes::ip_in_ip), "ipip"),
        tunnelled("6in4", "IPv6 in IPv4.", v6(bytes::ip_in_ip), "6in4"),
        tunnelled("gre", "GRE with every optional field.", v4(bytes::gre), "gre"),
        tunnelled("gre_v6", "IPv6 in GRE.", v6(bytes::gre), "gre"),
        tunnelled("vxlan", "VXLAN.", v4(bytes::vxlan), "vxlan"),
        tunnelled("geneve", "Geneve with an option.", v6(bytes::geneve), "geneve"),
        linked(link::LINUX_SLL, "sll", "Linux cooked capture (`-i any`).", bytes::sll),
        linked(link::LINUX_SLL2, "sll2", "Linux cooked capture, version 2.", bytes::sll2),
        linked(link::NULL, "null", "BSD loopback.", bytes::null),
        linked(link::RAW, "raw", "IP without a link header.", bytes::raw),
        linked(link::IEEE802_11, "wireless", "802.11 QoS data frames.", bytes::wireless),
        linked(link::FDDI, "fddi", "FDDI with LLC/SNAP.", bytes::fddi),
    ]
}
