//! Segments that no socket made, with the addresses of the client's link.
//!
//! In: a scene. Out: a [`Forgery`] that the server's side takes for the client's.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::scene::Scene;
use crate::demo::forge::Forgery;
use crate::demo::frame::Segment;
use crate::demo::lab::Place;
use crate::demo::sockets;
use crate::demo::truth::{Connection, Side};

/// Outside the range from which the kernel takes client ports (32768 to 60999).
pub const RAW_CLIENT_PORT: u16 = 61_000;

impl Scene<'_> {
    /// A segment to the scenario's port that no socket of the client has made.
    ///
    /// # Errors
    /// If the link does not carry a connection.
    pub fn raw_from_client(&self, flags: u8) -> Result<Forgery> {
        let seen = self.neighbours()?;
        let src = SocketAddr::new(seen.src.ip(), RAW_CLIENT_PORT);
        Ok(Forgery { src, dst: self.server, ..Forgery::after(&seen, flags) })
    }

    /// A real segment on its way out of the client: it shows the MAC addresses of the link. A
    /// connection to the router, which has no part in the scenario, provides it.
    ///
    /// # Errors
    /// If the link does not carry a connection.
    pub fn neighbours(&self) -> Result<Segment> {
        let port = self.server.port();
        let router = SocketAddr::new(Place::RouterClientSide.ip(self.family), port);
        let listener = self.lab.router.run(|| sockets::listen_on(router, 1))?;
        let (socket, client) = self.bound()?;
        self.lab.client.run(|| sockets::connect(&socket, router).context("connecting"))?;
        let server = self.lab.router.run(|| sockets::accept(&listener))?;
        let connection = Connection::between(client, router);
        let seen = self.lab.sniffer(Place::Client).wait_for("a segment", &connection, |seen| {
            let sender = connection.address(Side::Client);
            Some(seen.iter().find(|one| one.segment.src == sender)?.segment.clone())
        })?;
        // Both ends go without a word, so that nothing of this is left on the wire.
        sockets::vanish(server)?;
        sockets::vanish(socket.into())?;
        Ok(seen)
    }
}
