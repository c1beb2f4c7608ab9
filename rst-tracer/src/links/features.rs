//! Whether a driver can run native XDP, asked without attaching anything.
//!
//! The generic netlink family `netdev` tells since Linux 6.3; before, only an attempt does.

use super::netlink::{self, Body, Netlink, attribute, u16_at};

// <https://github.com/torvalds/linux/blob/v6.18/include/uapi/linux/netdev.h>
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
const NETDEV_XDP_ACT_BASIC: u64 = 1;
const GENLMSGHDR: usize = 4;

/// `Some(false)` when the driver says that it has no native XDP; `None` when nobody says.
pub(crate) fn can_run_native_xdp(index: u32) -> Option<bool> {
    let mut socket = Netlink::open(netlink::GENERIC).ok()?;
    let name =
        Body::new(&[CTRL_CMD_GETFAMILY, 1, 0, 0]).attribute(CTRL_ATTR_FAMILY_NAME, b"netdev\0");
    let family = socket.ask(GENL_ID_CTRL, 0, name.bytes()).ok()?;
    let id = attribute(family.first()?.get(GENLMSGHDR..)?, CTRL_ATTR_FAMILY_ID)?;
    let device = Body::new(&[NETDEV_CMD_DEV_GET, 1, 0, 0])
        .attribute(NETDEV_A_DEV_IFINDEX, &index.to_ne_bytes());
    let device = socket.ask(u16_at(id, 0)?, 0, device.bytes()).ok()?;
    let features = attribute(device.first()?.get(GENLMSGHDR..)?, NETDEV_A_DEV_XDP_FEATURES)?;
    Some(u64::from_ne_bytes(*features.first_chunk()?) & NETDEV_XDP_ACT_BASIC != 0)
}
