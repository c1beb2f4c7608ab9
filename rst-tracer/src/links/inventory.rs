//! Reads every interface of this network namespace.
//!
//! One `RTM_GETLINK` dump gives the structure, ethtool adds driver and offloads. [`decode`] turns
//! one message into a [`Link`]; the watch uses it too.

use anyhow::{Context, Result};

use super::{
    Layer, Link, Offloads, XdpOccupant, XdpPlace,
    netlink::{self, Body, NLM_F_DUMP, Netlink, attribute, text, u16_at, u32_at},
    offload,
};

/// `RTEXT_FILTER_SKIP_STATS`: the counters are most of a dump and nobody reads them here.
const SKIP_STATS: u32 = 1 << 3;
const IFINFOMSG: usize = 16;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;

/// Every interface of the calling thread's network namespace, in order of index.
///
/// # Errors
/// When netlink cannot be spoken (no `AF_NETLINK` in a sandbox). What ethtool does not tell is
/// left out instead.
pub fn inventory() -> Result<Vec<Link>> {
    let mut route = Netlink::open(netlink::ROUTE).context("cannot open a netlink socket")?;
    let request =
        Body::new(&[0; IFINFOMSG]).attribute(libc::IFLA_EXT_MASK, &SKIP_STATS.to_ne_bytes());
    let replies = route
        .ask(libc::RTM_GETLINK, NLM_F_DUMP, request.bytes())
        .context("cannot list the network interfaces")?;
    let mut links: Vec<Link> = replies.iter().filter_map(|m| decode(m)).collect();
    links.iter_mut().for_each(enrich);
    links.sort_by_key(|link| link.index);
    Ok(links)
}

/// One interface by index as it is now; `None` when it is gone.
///
/// # Errors
/// When netlink cannot be spoken.
pub fn find(index: u32) -> Result<Option<Link>> {
    let mut route = Netlink::open(netlink::ROUTE).context("cannot open a netlink socket")?;
    let mut header = [0; IFINFOMSG];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    match route.ask(libc::RTM_GETLINK, 0, &header) {
        Ok(replies) => {
            let mut link = replies.iter().find_map(|m| decode(m));
            link.iter_mut().for_each(enrich);
            Ok(link)
        }
        Err(error) if netlink::errno(&error) == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read interface {index}")),
    }
}

/// Adds what only ethtool knows.
pub(super) fn enrich(link: &mut Link) {
    if let Some(about) = offload::read(&link.name) {
        link.driver = about.driver;
        link.offloads = about.offloads;
    }
}

/// One `RTM_NEWLINK` or `RTM_DELLINK` body: `struct ifinfomsg`, then attributes.
///
/// `None` for messages about an interface's role in some protocol family: a `RTM_DELLINK` with
/// `AF_BRIDGE` says that a port left its bridge, not that the interface vanished.
pub(super) fn decode(body: &[u8]) -> Option<Link> {
    let family = *body.first()?;
    if i32::from(family) != libc::AF_UNSPEC {
        return None;
    }
    let flags = u32_at(body, 8)?.cast_signed();
    let attributes = body.get(IFINFOMSG..)?;
    let number = |kind| attribute(attributes, kind).and_then(|value| u32_at(value, 0));

    let index = u32_at(body, 4)?;
    let kind = attribute(attributes, libc::IFLA_LINKINFO)
        .and_then(|info| attribute(info, libc::IFLA_INFO_KIND))
        .map(text);
    // A veth names its peer there, and an index in another namespace means nothing here.
    let foreign = attribute(attributes, libc::IFLA_LINK_NETNSID).is_some();
    let parent = number(libc::IFLA_LINK)
        .filter(|&p| p != 0 && p != index && !foreign && kind.as_deref() != Some("veth"));

    Some(Link {
        index,
        name: text(attribute(attributes, libc::IFLA_IFNAME)?),
        layer: Layer::from_arphrd(u16_at(body, 2)?),
        loopback: flags & libc::IFF_LOOPBACK != 0,
        up: flags & libc::IFF_UP != 0,
        mtu: number(libc::IFLA_MTU).unwrap_or_default(),
        master: number(libc::IFLA_MASTER).filter(|&m| m != 0),
        parent,
        xdp: attribute(attributes, libc::IFLA_XDP).and_then(occupant),
        kind,
        driver: None,
        offloads: Offloads::default(),
    })
}

/// Who sits in the XDP hook, from the attributes nested in `IFLA_XDP`.
fn occupant(nested: &[u8]) -> Option<XdpOccupant> {
    let place = match attribute(nested, IFLA_XDP_ATTACHED)?.first()? {
        1 => XdpPlace::Native,
        2 => XdpPlace::Generic,
        3 => XdpPlace::Hardware,
        4 => XdpPlace::Several,
        _ => return None,
    };
    let program_id =
        attribute(nested, IFLA_XDP_PROG_ID).and_then(|id| u32_at(id, 0)).unwrap_or_default();
    Some(XdpOccupant { place, program_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(family: u8, attributes: &Body) -> Vec<u8> {
        let mut body = vec![0; IFINFOMSG];
        body[0] = family;
        body[2..4].copy_from_slice(&libc::ARPHRD_ETHER.to_ne_bytes());
        body[4..8].copy_from_slice(&9u32.to_ne_bytes());
        body[8..12].copy_from_slice(&libc::IFF_UP.to_ne_bytes());
        body.extend(attributes.bytes());
        body
    }

    fn named() -> Body {
        Body::default().attribute(libc::IFLA_IFNAME, b"v0\0")
    }

    #[test]
    fn the_peer_of_a_veth_is_not_its_parent() {
        let info = Body::default().attribute(libc::IFLA_INFO_KIND, b"veth\0");
        let body = named()
            .attribute(libc::IFLA_LINKINFO, info.bytes())
            .attribute(libc::IFLA_LINK, &8u32.to_ne_bytes());
        let link = decode(&message(0, &body)).expect("a link");
        assert_eq!((link.index, link.name.as_str(), link.up), (9, "v0", true));
        assert_eq!((link.kind.as_deref(), link.parent), (Some("veth"), None));
    }

    #[test]
    fn a_port_leaving_its_bridge_is_not_an_interface_vanishing() {
        assert_eq!(decode(&message(libc::AF_BRIDGE as u8, &named())), None);
    }

    #[test]
    fn the_xdp_occupant_is_read_with_its_place_and_id() {
        let xdp = Body::default()
            .attribute(IFLA_XDP_ATTACHED, &[2])
            .attribute(IFLA_XDP_PROG_ID, &77u32.to_ne_bytes());
        let link = decode(&message(0, &named().attribute(libc::IFLA_XDP, xdp.bytes())));
        let expected = XdpOccupant { place: XdpPlace::Generic, program_id: 77 };
        assert_eq!(link.and_then(|l| l.xdp), Some(expected));
    }

    #[test]
    fn a_message_without_a_name_or_cut_short_is_no_link() {
        assert_eq!(decode(&message(0, &Body::default())), None);
        assert_eq!(decode(&message(0, &named())[..12]), None);
    }
}
