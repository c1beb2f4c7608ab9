//! Endpoints: an address of either family and a port, in host byte order.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An IPv6 address, or an IPv4 address in mapped form (`::ffff:a.b.c.d`, RFC 4291 2.5.5.2).
/// Four 32-bit words, most significant first, each in host byte order.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Address(pub [u32; 4]);

impl Address {
    /// The mapped form of an IPv4 address given as a host-order number.
    #[inline(always)]
    pub const fn v4(bits: u32) -> Self {
        Self([0, 0, 0xffff, bits])
    }

    /// Whether this is a mapped IPv4 address.
    #[inline(always)]
    pub const fn is_v4(&self) -> bool {
        self.0[0] == 0 && self.0[1] == 0 && self.0[2] == 0xffff
    }

    /// As the standard library's type; a mapped address becomes an IPv4 address.
    pub fn to_ip(self) -> core::net::IpAddr {
        let [a, b, c, d] = self.0;
        if self.is_v4() {
            return core::net::Ipv4Addr::from_bits(d).into();
        }
        let bits = u128::from(a) << 96 | u128::from(b) << 64 | u128::from(c) << 32 | u128::from(d);
        core::net::Ipv6Addr::from_bits(bits).into()
    }

    /// From the standard library's type.
    pub fn from_ip(ip: core::net::IpAddr) -> Self {
        match ip {
            core::net::IpAddr::V4(v4) => Self::v4(v4.to_bits()),
            core::net::IpAddr::V6(v6) => {
                let b = v6.to_bits();
                Self([(b >> 96) as u32, (b >> 64) as u32, (b >> 32) as u32, b as u32])
            }
        }
    }
}

/// One end of a connection.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Endpoint {
    /// The address.
    pub address: Address,
    /// The TCP port.
    pub port: u32,
}

impl Endpoint {
    /// As the standard library's type.
    pub fn to_socket(self) -> core::net::SocketAddr {
        core::net::SocketAddr::new(self.address.to_ip(), self.port as u16)
    }

    /// From the standard library's type.
    pub fn from_socket(socket: core::net::SocketAddr) -> Self {
        Self { address: Address::from_ip(socket.ip()), port: u32::from(socket.port()) }
    }
}
