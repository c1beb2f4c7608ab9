//! By what resets are counted: the two sides, the service, the process.

use std::net::IpAddr;

use crate::event::{Endpoint, Origin, RstEvent, SentBy};

/// Two hosts, the service between them, and who of them resets. A client's own port is no part of it: it is another for
/// each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// The client, or the source of the reset where it is not known who is.
    pub from: IpAddr,
    /// The server, or the destination of the reset.
    pub to: IpAddr,
    /// The server's port, where it is known which side that is.
    pub port: Option<u16>,
    /// In whose name the resets travel.
    pub sent_by: SentBy,
    /// What really sent them.
    pub origin: Origin,
}

impl Pair {
    /// The pair that a reset belongs to.
    pub fn of(event: &RstEvent) -> Self {
        let (from, to, port) = match (event.client, event.server) {
            (Some(client), Some(server)) => (client.ip, server.ip, Some(server.port)),
            _ => (event.src.ip, event.dst.ip, None),
        };
        Self { from, to, port, sent_by: event.sent_by, origin: event.origin }
    }

    /// The other side with its service.
    pub fn target(&self) -> String {
        match self.port {
            Some(port) => Endpoint { ip: self.to, port }.to_string(),
            None => self.to.to_string(),
        }
    }
}

/// What is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Service(pub Endpoint);

impl Service {
    /// The service that a reset belongs to, where it is known which side is the server.
    pub fn of(event: &RstEvent) -> Option<Self> {
        event.server.map(Self)
    }
}

/// Whose connection it is on this host. Process ids are no part of it: a service may have many.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// The name that the process gave itself.
    pub name: String,
    /// Its user.
    pub uid: Option<u32>,
    /// Its container.
    pub container_id: Option<String>,
}

impl Owner {
    /// The owner of the connection of a reset, where it is known for certain.
    pub fn of(event: &RstEvent) -> Option<Self> {
        let process = event.process.as_ref()?;
        let container_id = process.container_id.clone();
        Some(Self { name: process.name.clone(), uid: process.uid, container_id })
    }

    /// The first twelve digits of the container's id, as its runtime shows it.
    pub fn container(&self) -> Option<&str> {
        let id = self.container_id.as_deref()?;
        Some(id.get(..12).unwrap_or(id))
    }
}
