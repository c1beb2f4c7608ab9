//! What several files of this folder start and say: lighttpd, programs in Perl and in JavaScript, nft's rules.

use std::net::{IpAddr, SocketAddr, TcpStream};

use anyhow::Result;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::scenarios::{REQUEST, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};
use rst_tracer::exit::{Code, Failure};

use super::super::second_exam::daemons::clients::hear_until;
use super::super::second_exam::filter::broken;
use super::super::servers::DIED;
use super::super::servers::program::{Folder, Program, command, run};
use super::super::third_exam::common::{source, target, with};

pub(in crate::laboratory) const LIGHTTPD: &[&str] = &["lighttpd"];
pub(in crate::laboratory) const PERL: &[&str] = &["perl"];
pub(in crate::laboratory) const NODE: &[&str] = &["node"];
pub(in crate::laboratory) const NFT: &[&str] = &["nft"];

/// An address as an URL names it.
pub(in crate::laboratory) fn in_brackets(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// lighttpd with these settings beside those that it needs; it serves a file called `page`.
pub(in crate::laboratory) fn lighttpd(
    host: &Netns,
    at: SocketAddr,
    settings: &str,
) -> Result<Program> {
    let folder = Folder::new()?;
    folder.write("page", "hello\n")?;
    let here = folder.path("");
    let (here, ip, port) = (here.display(), in_brackets(at.ip()), at.port());
    let text = format!(
        "server.document-root = \"{here}\"\nserver.upload-dirs = ( \"{here}\" )\n\
         server.bind = \"{ip}\"\nserver.port = {port}\nserver.errorlog = \"/dev/stderr\"\n\
         {settings}\n"
    );
    let path = folder.write("lighttpd.conf", text)?;
    let mut lighttpd = command("lighttpd");
    lighttpd.arg("-D").arg("-f").arg(path);
    folder.start(host, &mut lighttpd)?.await_listening(host, at)
}

/// A server in JavaScript at the scenario's port; it gets the address and the port as arguments.
pub(in crate::laboratory) fn node(scene: &Scene<'_>, script: &str) -> Result<Program> {
    let host = &scene.lab.server;
    let mut node = command("node");
    node.args(["-e", script]).args(target(scene));
    Folder::new()?.start(host, &mut node)?.await_listening(host, scene.server)
}

/// A program in Perl inside a host, with these arguments.
pub(in crate::laboratory) fn perl(
    host: &Netns,
    script: &str,
    arguments: &[String],
) -> Result<Program> {
    let mut perl = command("perl");
    perl.args(["-MIO::Socket::IP", "-MSocket=:all", "-e", script]).args(arguments);
    Folder::new()?.start(host, &mut perl)
}

/// The client says something, and all of it is acknowledged.
pub(in crate::laboratory) fn tell(
    scene: &Scene<'_>,
    (client, connection): &(TcpStream, Connection),
    what: &[u8],
) -> Result<()> {
    scene.lab.client.run(|| sockets::say(client, what))?;
    settle(scene.lab, connection)
}

/// A table of nft's in a host, in force until the value is dropped.
pub(in crate::laboratory) struct Ruleset<'a> {
    host: &'a Netns,
    table: String,
}

impl<'a> Ruleset<'a> {
    /// Puts a table of this kind (inet, netdev) with these sets and chains in force.
    pub(in crate::laboratory) fn put(
        scene: &Scene<'_>,
        host: &'a Netns,
        kind: &str,
        contents: &str,
    ) -> Result<Self> {
        let table = format!("{kind} exam_{}", scene.server.port());
        let new = Self { host, table };
        new.order(&format!("table {} {{\n{contents}\n}}", new.table)).map_err(|error| {
            Failure::new(Code::UNAVAILABLE, format!("no rules of nft like these: {error:#}"))
        })?;
        Ok(new)
    }

    /// Adds an element to a set of the table.
    pub(in crate::laboratory) fn add(&self, set: &str, element: &str) -> Result<()> {
        self.order(&format!("add element {} {set} {{ {element} }}", self.table))
    }

    fn order(&self, words: &str) -> Result<()> {
        run(self.host, command("nft").arg(words)).map(drop)
    }
}

impl Drop for Ruleset<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.order(&format!("delete table {}", self.table)) {
            eprintln!("a table of nft stays: {error:#}");
        }
    }
}

/// The words of nft for the scenario's family: the protocol, and the type of its addresses.
pub(in crate::laboratory) fn nft_words(scene: &Scene<'_>) -> [&'static str; 2] {
    if scene.server.is_ipv4() { ["ip", "ipv4_addr"] } else { ["ip6", "ipv6_addr"] }
}

/// Where a program on the client listens to others there, whom nobody on the way sees.
pub(in crate::laboratory) fn front(scene: &Scene<'_>) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], scene.server.port()))
}

/// tinyproxy on the client, and where it listens.
pub(in crate::laboratory) fn tinyproxy(scene: &Scene<'_>) -> Result<(Program, SocketAddr)> {
    let (host, front, folder) = (&scene.lab.client, front(scene), Folder::new()?);
    let text = format!(
        "User root\nGroup root\nPort {}\nListen 127.0.0.1\nBind {}\nTimeout 10\nMaxClients 20\n\
         LogLevel Info\n",
        front.port(),
        source(scene)
    );
    let path = folder.write("tinyproxy.conf", text)?;
    let mut tinyproxy = command("tinyproxy");
    let tinyproxy = folder.start(host, tinyproxy.arg("-d").arg("-c").arg(path))?;
    Ok((tinyproxy.await_listening(host, front)?, front))
}

/// A server that dies over the first of two requests, `over` it, once it has said that it is at it: `busy`. That client
/// and another one have asked for more.
pub(in crate::laboratory) fn dies_over_a_request(
    scene: &Scene<'_>,
    mut server: Program,
    over: &[u8],
    busy: &str,
) -> Result<GroundTruth> {
    let other = scene.dial()?;
    tell(scene, &other, REQUEST)?;
    hear_until(&other.0, b"hello")?;
    let cause = scene.dial()?;
    tell(scene, &cause, over)?;
    wait::until("the server to begin", || Ok(server.said().contains(busy)))?;
    for one in [&other, &cause] {
        tell(scene, one, b"GET /more HTTP/1.1\r\nHost: a.lab\r\n\r\n")?;
    }
    server.tell(b"go on\n")?;
    let mut connections = Vec::new();
    for (client, connection) in [cause, other] {
        broken(&client)?;
        // It died; that a request lay unread is why its kernel reset.
        let reset = Reset::by(Sender::Server, Stage::PostData, DIED);
        connections.push(with(connection, vec![reset.or_as_truly(&["closed_with_unread_data"])]));
    }
    server.wait()?;
    Ok(GroundTruth { connections, done: "both clients got ECONNRESET" })
}
