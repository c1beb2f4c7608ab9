//! What a scenario has at hand: its own ports, its own firewall tables, and connected pairs.
//!
//! In: the laboratory and the scenario's family and port. Out: sockets on either side, rules, and
//! waits that the witnesses on the wire decide.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use super::Scenario;
use super::pair::Pair;
use crate::demo::frame::RST;
use crate::demo::lab::{Lab, Place};
use crate::demo::netns::Netns;
use crate::demo::nft::{Hook, Only, Port, Rule, Table, Verdict};
use crate::demo::sniffer::{Direction, Sighting};
use crate::demo::sockets;
use crate::demo::truth::{Connection, Family, GroundTruth, Reset};

/// What the client says, in one segment.
pub const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: server.lab\r\n\r\n";
/// What the server answers, in one segment.
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// The stage on which one scenario plays.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The hosts.
    pub lab: &'a Lab,
    /// IPv4 or IPv6.
    pub family: Family,
    /// The server's address, with the port that belongs to this scenario alone.
    pub server: SocketAddr,
    number: u16,
    name: String,
    tables: AtomicU32,
}

impl<'a> Scene<'a> {
    /// The stage for `scenario`.
    pub fn new(lab: &'a Lab, scenario: &Scenario) -> Self {
        let family = scenario.family;
        let number = lab.next_number();
        let server = SocketAddr::new(Place::Server.ip_of(family, number), scenario.port());
        let name = format!("lab_{}_{family}", scenario.id);
        Self { lab, family, server, number, name, tables: AtomicU32::new(0) }
    }

    /// The address of an interface, with a port.
    pub fn at(&self, place: Place, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip(place, self.family), port)
    }

    /// The address that this scenario has there.
    pub fn ip(&self, place: Place, family: Family) -> IpAddr {
        place.ip_of(family, self.number)
    }

    /// A client socket that has an address but no connection yet.
    ///
    /// # Errors
    /// If the client has no port left.
    pub fn bound(&self) -> Result<(OwnedFd, SocketAddr)> {
        self.lab.client.run(|| sockets::bound(self.ip(Place::Client, self.family)))
    }

    /// The server listens, with room for `backlog` + 1 connections that nobody has accepted.
    ///
    /// # Errors
    /// If somebody else listens there.
    pub fn listen(&self, backlog: i32) -> Result<TcpListener> {
        self.lab.server.run(|| sockets::listen_on(self.server, backlog))
    }

    /// Opens a connection that the server does not accept yet.
    ///
    /// # Errors
    /// If the connection is refused.
    pub fn dial(&self) -> Result<(TcpStream, Connection)> {
        self.dial_from(self.bound()?)
    }

    /// The same from a socket whose address had to be known beforehand.
    ///
    /// # Errors
    /// If the connection is refused.
    pub fn dial_from(
        &self,
        (socket, address): (OwnedFd, SocketAddr),
    ) -> Result<(TcpStream, Connection)> {
        self.lab.client.run(|| sockets::connect(&socket, self.server).context("connecting"))?;
        Ok((socket.into(), Connection::between(address, self.server)))
    }

    /// Opens a connection and accepts it; the listener closes with it.
    ///
    /// # Errors
    /// If the connection does not come about.
    pub fn pair(&self) -> Result<Pair<'a>> {
        self.pair_at(&self.listen(8)?)
    }

    /// Opens a connection to the scenario's port, on which `listener` listens, and accepts it.
    ///
    /// # Errors
    /// If the connection does not come about.
    pub fn pair_at(&self, listener: &TcpListener) -> Result<Pair<'a>> {
        let (client, connection) = self.dial()?;
        let server = self.lab.server.run(|| sockets::accept(listener))?;
        Ok(Pair { lab: self.lab, connection, client, server })
    }

    /// A connection over which a request and an answer have gone.
    ///
    /// # Errors
    /// If the connection does not come about.
    pub fn busy_pair(&self) -> Result<Pair<'a>> {
        let pair = self.pair()?;
        pair.exchange()?;
        Ok(pair)
    }

    /// Rejects what goes to the server's port.
    ///
    /// # Errors
    /// [`crate::exit::Code::UNAVAILABLE`] where the kernel has no nf_tables.
    pub fn reject(&self, at: &Netns, hook: Hook) -> Result<Table> {
        self.rules(at, hook, &[(Port::To(self.server.port()), Only::Any)], Verdict::Reject)
    }

    /// Loses on the router what `which` describes.
    ///
    /// # Errors
    /// [`crate::exit::Code::UNAVAILABLE`] where the kernel has no nf_tables.
    pub fn lose(&self, which: &[(Port, Only)]) -> Result<Table> {
        self.rules(&self.lab.router, Hook::Forward, which, Verdict::Drop)
    }

    /// Loses on the router everything to and from the server's port.
    ///
    /// # Errors
    /// [`crate::exit::Code::UNAVAILABLE`] where the kernel has no nf_tables.
    pub fn silence(&self) -> Result<Table> {
        let port = self.server.port();
        self.lose(&[(Port::To(port), Only::Any), (Port::From(port), Only::Any)])
    }

    /// Rules of one verdict at one hook of a host, in force until the table is dropped.
    ///
    /// # Errors
    /// [`crate::exit::Code::UNAVAILABLE`] where the kernel lacks what the rules need.
    pub fn rules(
        &self,
        at: &Netns,
        hook: Hook,
        which: &[(Port, Only)],
        verdict: Verdict,
    ) -> Result<Table> {
        let rule = |&(port, only)| Rule { family: self.family, port, only, verdict };
        let rules: Vec<Rule> = which.iter().map(rule).collect();
        let number = self.tables.fetch_add(1, Ordering::Relaxed);
        Table::install(at, &format!("{}_{number}", self.name), hook, &rules)
    }

    /// Waits until each reset of `truth` was seen at every place on its path.
    ///
    /// # Errors
    /// If one was not seen in time.
    pub fn await_resets(&self, truth: &GroundTruth) -> Result<()> {
        for connection in &truth.connections {
            for (number, reset) in connection.resets.iter().enumerate() {
                let claimed = reset.sender.claimed();
                for &(place, direction) in reset.path() {
                    // Of several by the same side that pass here, wait for this one.
                    let alike = |r: &&Reset| {
                        r.sender.claimed() == claimed && r.path().contains(&(place, direction))
                    };
                    let earlier = connection.resets[..number].iter().filter(alike).count();
                    let sender = connection.address(claimed);
                    self.await_reset(connection, place, direction, sender, earlier)?;
                }
            }
        }
        Ok(())
    }

    /// The same, and gives the truth back: for scenarios that end with something that must stay until then.
    ///
    /// # Errors
    /// As [`await_resets`](Self::await_resets).
    pub fn once_seen(&self, truth: GroundTruth) -> Result<GroundTruth> {
        self.await_resets(&truth)?;
        Ok(truth)
    }

    fn await_reset(
        &self,
        connection: &Connection,
        place: Place,
        direction: Direction,
        sender: SocketAddr,
        earlier: usize,
    ) -> Result<()> {
        self.lab.sniffer(place).wait_for("a reset", connection, |seen| {
            let is_it = |one: &&Sighting| {
                one.direction == direction && one.segment.src == sender && one.segment.has(RST)
            };
            seen.iter().filter(is_it).nth(earlier).map(|_| ())
        })
    }
}
