//! What the tracepoint programs must know of the running kernel, by its BTF.
//!
//! In: BTF. Out: offsets, numbers and names; or what this kernel lacks, for each tracepoint apart.

use std::{borrow::Cow, collections::HashMap};

use rst_tracer_common::{
    notice::{self, Point, notice_trait},
    places::{ABSENT, Arguments, Drops, Places},
};

use crate::{
    event::{Text, Timestamp},
    source::{Notice, live::btf::Btf},
};

/// The third argument of `kfree_skb`: where the program looks for its reason.
const WHY_DROPPED: usize = 2;

/// What is known of a kernel.
#[derive(Debug, Default)]
pub struct Layout {
    /// Where structs have their members.
    pub places: Places,
    /// The numbers of the drops that matter.
    pub drops: Drops,
    /// Where arguments lie that not every kernel has.
    pub arguments: Arguments,
    /// What the numbers mean.
    pub names: Names,
    /// Why a tracepoint cannot be listened to, by [`Point`].
    pub lacks: [Option<String>; Point::COUNT],
}

impl Layout {
    /// What is known of the kernel with this BTF; without one nothing can be listened to.
    pub fn of(btf: Option<&Btf>) -> Self {
        let Some(btf) = btf else {
            let lacks = [(); Point::COUNT].map(|()| Some("this kernel has no BTF".to_owned()));
            return Self { lacks, ..Self::default() };
        };
        let mut missing = Vec::new();
        let places = places(btf, &mut missing);
        let mut lacks = Point::NAMES.map(|name| {
            if btf.tracepoint(name).is_none() {
                Some("this kernel has no such tracepoint".into())
            } else if let [member, ..] = missing.as_slice() {
                Some(format!("this kernel's BTF has no {member}"))
            } else {
                None
            }
        });
        let at = |point: &str, part: &str| {
            btf.tracepoint(point)?.iter().position(|one| one.c_type.contains(part))
        };
        let drop = &mut lacks[usize::from(Point::DROP.0)];
        match at("kfree_skb", "skb_drop_reason") {
            Some(WHY_DROPPED) => {}
            Some(_) if drop.is_none() => *drop = Some("its reason is not where it was".into()),
            None if drop.is_none() => *drop = Some("it carries no reason (Linux 5.17 does)".into()),
            _ => {}
        }
        let number = |at: Option<usize>| at.map_or(0, |at| at as u32);
        let arguments = Arguments {
            why_sent: number(at("tcp_send_reset", "sk_rst_reason")),
            // The first argument is no socket but the packet.
            receiver: number(at("kfree_skb", "sock *")),
        };
        let names = Names::of(btf);
        let drops = drops(&names);
        Self { places, drops, arguments, names, lacks }
    }
}

/// Looks every member up; `missing` gets those that nothing works without.
fn places(btf: &Btf, missing: &mut Vec<String>) -> Places {
    let offset = |container: &str, path: &str| btf.member(container, path)?.offset();
    let optional = |container: &str, path: &str| offset(container, path).unwrap_or(ABSENT);
    let mut needed = |container: &str, path: &str| {
        offset(container, path).unwrap_or_else(|| {
            missing.push(format!("{container}.{path}"));
            ABSENT
        })
    };
    // Of the two, `struct socket` comes first.
    let inode = (|| {
        let from = offset("socket_alloc", "socket")?;
        let to = offset("socket_alloc", "vfs_inode")? + offset("inode", "i_ino")?;
        to.checked_sub(from)
    })();
    Places {
        family: needed("sock_common", "skc_family"),
        state: needed("sock_common", "skc_state"),
        own_v4: needed("sock_common", "skc_rcv_saddr"),
        peer_v4: needed("sock_common", "skc_daddr"),
        peer_port: needed("sock_common", "skc_dport"),
        own_port: needed("inet_sock", "inet_sport"),
        protocol: needed("sock", "sk_protocol"),
        head: needed("sk_buff", "head"),
        network_header: needed("sk_buff", "network_header"),
        transport_header: needed("sk_buff", "transport_header"),
        // A kernel without IPv6 has no such addresses, one without namespaces has no inode of one.
        own_v6: optional("sock_common", "skc_v6_rcv_saddr"),
        peer_v6: optional("sock_common", "skc_v6_daddr"),
        net: optional("sock_common", "skc_net.net"),
        device: optional("sk_buff", "dev"),
        route: optional("sk_buff", "_skb_refdst"),
        route_device: optional("dst_entry", "dev"),
        device_net: optional("net_device", "nd_net.net"),
        inum: optional("net", "ns.inum"),
        uid: optional("sock", "sk_uid"),
        socket: optional("sock", "sk_socket"),
        inode: inode.unwrap_or(ABSENT),
        task_flags: optional("task_struct", "flags"),
        exit_code: optional("task_struct", "exit_code"),
    }
}

fn drops(names: &Names) -> Drops {
    let number = |name: &str| {
        names.drops.iter().find(|(_, known)| *known == name).map_or(ABSENT, |(&number, _)| number)
    };
    Drops {
        netfilter: number("NETFILTER_DROP"),
        overflow: number("TCP_LISTEN_OVERFLOW"),
        of_resets: Drops::OF_RESETS.map(number),
    }
}

/// The running kernel's names, without their prefixes.
#[derive(Debug, Default)]
pub struct Names {
    reasons: HashMap<u32, Text>,
    drops: HashMap<u32, Text>,
    states: HashMap<u32, Text>,
}

impl Names {
    fn of(btf: &Btf) -> Self {
        let named = |values: Option<Vec<(String, i64)>>, prefix: &str| {
            let values = values.into_iter().flatten();
            let short = |(name, value): (String, i64)| {
                let name = name.strip_prefix(prefix)?.to_owned();
                Some((u32::try_from(value).ok()?, Cow::Owned(name)))
            };
            values.filter_map(short).collect()
        };
        Self {
            reasons: named(btf.enum_values("sk_rst_reason"), "SK_RST_REASON_"),
            drops: named(btf.enum_values("skb_drop_reason"), "SKB_DROP_REASON_"),
            // The enum of the states has no name.
            states: named(btf.enum_with("TCP_ESTABLISHED"), "TCP_"),
        }
    }

    /// A statement with its numbers turned into names.
    pub fn name(&self, wire: notice::Notice, time: Timestamp) -> Notice {
        let has = |bit: u8| wire.traits & bit != 0;
        let reasons = if wire.point == Point::DROP { &self.drops } else { &self.reasons };
        let reason = has(notice_trait::REASON).then(|| reasons.get(&wire.reason).cloned());
        let state = |number: u8| self.states.get(&u32::from(number)).cloned();
        Notice {
            time,
            reason: reason.flatten(),
            state: state(wire.state),
            state_before: has(notice_trait::STATE_BEFORE)
                .then(|| state(wire.state_before))
                .flatten(),
            wire,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_btf_nothing_can_be_listened_to() {
        let layout = Layout::of(None);
        assert!(layout.lacks.iter().all(|lack| lack.as_deref() == Some("this kernel has no BTF")));
    }

    #[test]
    fn numbers_become_the_names_of_their_own_list() {
        let list = |name: &'static str| HashMap::from([(7, Text::Borrowed(name))]);
        let names = Names {
            reasons: list("TCP_STATE"),
            drops: list("NETFILTER_DROP"),
            states: list("CLOSE"),
        };
        let traits = notice_trait::REASON | notice_trait::STATE_BEFORE;
        let wire =
            notice::Notice { reason: 7, state: 7, state_before: 1, traits, ..Default::default() };
        let sent = names.name(wire, Timestamp(1));
        assert!(sent.is_because("TCP_STATE") && sent.is_in("CLOSE"));
        assert_eq!(sent.state_before, None, "a number without a name has none");
        let dropped = names.name(notice::Notice { point: Point::DROP, ..wire }, Timestamp(1));
        assert!(dropped.is_because("NETFILTER_DROP"));
    }
}
