//! What ethtool knows about an interface: its driver, and the offloads that hide things.
//!
//! `SIOCETHTOOL` works on every kernel that can run this tracer and needs no privilege to read.
//! Every question is best effort: a device without an answer has none.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use serde::Serialize;

use super::netlink::text;

// <https://github.com/torvalds/linux/blob/v6.18/include/uapi/linux/ethtool.h>
const ETHTOOL_GDRVINFO: u32 = 0x3;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETH_SS_FEATURES: u32 = 4;
const ETH_GSTRING_LEN: usize = 32;
const SIOCETHTOOL: libc::Ioctl = 0x8946;

/// Offloads that change what a tracer sees; `None` where the device does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Offloads {
    /// `rx-vlan-offload`: the card removes VLAN tags before XDP could see them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_vlan: Option<bool>,
    /// `large-receive-offload`: segments are merged in the card or driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lro: Option<bool>,
    /// `rx-gro-hw`: as LRO, but reversible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gro_hw: Option<bool>,
}

/// Driver and offloads of one interface.
pub(super) struct About {
    pub(super) driver: Option<String>,
    pub(super) offloads: Offloads,
}

/// Asks ethtool about the interface of this name in this namespace.
pub(super) fn read(name: &str) -> Option<About> {
    let ethtool = Ethtool::open(name)?;
    let features = ethtool.features();
    let active = |wanted: &str| {
        let (names, states) = features.as_ref()?;
        states.get(names.iter().position(|n| n == wanted)?).copied()
    };
    let offloads = Offloads {
        rx_vlan: active("rx-vlan-hw-parse"),
        lro: active("rx-lro"),
        gro_hw: active("rx-gro-hw"),
    };
    Some(About { driver: ethtool.driver(), offloads })
}

/// A socket to ask through, and the name to ask about.
struct Ethtool {
    socket: OwnedFd,
    name: [libc::c_char; libc::IFNAMSIZ],
}

impl Ethtool {
    fn open(name: &str) -> Option<Self> {
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return None;
        }
        // SAFETY: the descriptor was just made and nobody else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut field = [0; libc::IFNAMSIZ];
        let room = field.len() - 1;
        for (to, from) in field[..room].iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        Some(Self { socket, name: field })
    }

    /// One ethtool command; `buffer` begins with the command number and takes the answer.
    ///
    /// The kernel writes as much as the command's header promises: callers size the buffer for it.
    fn ask(&self, buffer: &mut [u32]) -> io::Result<()> {
        let mut request = libc::ifreq {
            ifr_name: self.name,
            ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: buffer.as_mut_ptr().cast() },
        };
        // SAFETY: the request and the buffer outlive the call, and each caller below sizes its
        // buffer to what its command writes.
        let done = unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn driver(&self) -> Option<String> {
        let mut info = [0u32; 49]; // struct ethtool_drvinfo: 196 bytes
        info[0] = ETHTOOL_GDRVINFO;
        self.ask(&mut info).ok()?;
        let name: Vec<u8> = info[1..9].iter().flat_map(|word| word.to_ne_bytes()).collect();
        Some(text(&name)).filter(|name| !name.is_empty())
    }

    /// The names of all features and whether each is active, in the same order.
    fn features(&self) -> Option<(Vec<String>, Vec<bool>)> {
        // cmd, reserved, a 64-bit mask with one bit set, and so one count.
        let mask = (1u64 << ETH_SS_FEATURES).to_ne_bytes();
        let [low, high] = [0, 4].map(|at| super::netlink::u32_at(&mask, at).unwrap_or_default());
        let mut info = [ETHTOOL_GSSET_INFO, 0, low, high, 0];
        self.ask(&mut info).ok()?;
        let count = info[4] as usize;
        if count == 0 || count > 4096 {
            return None;
        }

        let mut strings = vec![0u32; 3 + count * ETH_GSTRING_LEN / 4];
        strings[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count as u32]);
        self.ask(&mut strings).ok()?;
        let bytes: Vec<u8> = strings[3..].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let names = bytes.chunks(ETH_GSTRING_LEN).map(text).collect();

        // Per 32 features: available, requested, active, never changed.
        let blocks = count.div_ceil(32);
        let mut states = vec![0u32; 2 + blocks * 4];
        states[..2].copy_from_slice(&[ETHTOOL_GFEATURES, blocks as u32]);
        self.ask(&mut states).ok()?;
        let active = (0..count).map(|i| states[2 + i / 32 * 4 + 2] >> (i % 32) & 1 == 1).collect();
        Some((names, active))
    }
}
