//! Marks a clsact filter as belonging to a living agent.
//!
//! A filter outlives the process that made it, so something must tell a neighbour's filter from a
//! dead one's. An abstract unix socket does: it lives in the same network namespace as the
//! interface, is seen across process id namespaces, and vanishes with its owner.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

/// Tokens fit into the lower bits of a filter handle.
pub(super) const TOKEN_BITS: u32 = 23;
const TOKEN_MASK: u32 = (1 << TOKEN_BITS) - 1;

/// A token that nobody else in this network namespace has while this lives.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) token: u32,
    _socket: UnixDatagram,
}

impl Claim {
    /// Takes a token that is free, beginning at one that differs between processes.
    pub(super) fn take() -> io::Result<Self> {
        let first = std::process::id().wrapping_mul(257);
        for step in 0..4096 {
            let token = first.wrapping_add(step) & TOKEN_MASK;
            match bind(token) {
                Ok(socket) => return Ok(Self { token, _socket: socket }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no free token for a clsact filter: 4096 tracers at once?"))
    }
}

/// Whether the owner of this token lives. In doubt it does: its filter must not be removed.
pub(super) fn is_alive(token: u32) -> bool {
    bind(token).is_err()
}

fn bind(token: u32) -> io::Result<UnixDatagram> {
    let name = format!("rst-tracer/clsact/{token:06x}");
    UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_alive_as_long_as_its_claim() {
        let claim = Claim::take().expect("a token");
        let token = claim.token;
        assert!(is_alive(token));
        drop(claim);
        assert!(!is_alive(token));
    }

    #[test]
    fn two_claims_have_different_tokens() {
        let (one, other) = (Claim::take().expect("a token"), Claim::take().expect("a token"));
        assert_ne!(one.token, other.token);
    }
}
