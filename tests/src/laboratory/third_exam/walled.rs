//! Real programs that meet a packet filter.

use anyhow::{Context, Result};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::scenarios::{Listed, Scene, answer_of_the_dead};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Family, GroundTruth, Sender, Side, Stage};

use super::super::second_exam::daemons::clients::called;
use super::super::second_exam::filter::{Cause, NETWORK, Rule, broken, by_host, by_router, only};
use super::super::servers::program::{Folder, command};
use super::common::{calls_with, source, target};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "openssl_name_rejected",
        "A firewall reads a name in a hello",
        "The router's iptables rejects segments with a certain name (string match), which openssl \
         s_client names in its hello. Later the server, which was not told, sends an alert.",
        openssl_name_rejected,
    )
    .needs(&["iptables", "ip6tables", "openssl"]),
    Listed::new(
        "curl_walled_off",
        "curl behind a firewall",
        "The router's iptables rejects new connections with the service (ctstate NEW); curl calls, \
         and once more after a second (--retry).",
        curl_walled_off,
    )
    .needs(&["iptables", "ip6tables", "curl"])
    .slow(),
    Listed::new(
        "ssh_by_named_chain",
        "ssh meets a chain for guests",
        "The server's iptables sends the client's address to a chain of its own, which rejects; ssh \
         calls twice.",
        ssh_by_named_chain,
    )
    .needs(&["iptables", "ip6tables", "ssh"]),
];

const DPI: Cause = ("policy_enforcement", "dpi_block");

fn openssl_name_rejected(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ALERT: &[u8] = b"\x15\x03\x03\x00\x02\x02\x50";
    let word = "-m string --algo bm --string casino.example";
    let matches = format!("--dport {} {word}", scene.server.port());
    let _wall = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    let listener = scene.listen(8)?;
    let mut openssl = command("openssl");
    openssl.args(["s_client", "-servername", "casino.example", "-quiet"]);
    openssl.args(["-connect", &scene.server.to_string()]);
    openssl.args(["-bind", &scene.at(Place::Client, 0).to_string()]);
    let mut openssl = Folder::new()?.start(&scene.lab.client, &mut openssl)?;
    let (server, connection) = called(scene, &listener)?;
    openssl.wait()?;
    scene.lab.server.run(|| sockets::say(&server, ALERT))?;
    broken(&server)?;
    // A packet filter that looks into the data: both names are right.
    let first = by_router(Side::Server, Stage::PostPush, DPI);
    let first = first.or_as_truly(&["network_firewall_reject"]).refuted();
    let done = "openssl ended, later the server got ECONNRESET";
    Ok(only(connection, vec![first, answer_of_the_dead()], done))
}

fn curl_walled_off(scene: &Scene<'_>) -> Result<GroundTruth> {
    let matches = format!("--dport {} -m conntrack --ctstate NEW", scene.server.port());
    let _wall = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    let _listener = scene.listen(8)?;
    let mut curl = command("curl");
    curl.args(["-q", "--silent", "--noproxy", "*", "--globoff", "--interface", &source(scene)]);
    curl.args(["--retry", "1", "--retry-delay", "1", "--retry-connrefused"]);
    curl.arg(format!("http://{}/", scene.server));
    Folder::new()?.start(&scene.lab.client, &mut curl)?.wait()?;
    let reset = by_router(Side::Server, Stage::PostSyn, NETWORK);
    let connections = calls_with(scene, scene.server, 2, reset)?;
    Ok(GroundTruth { connections, done: "curl had been refused twice" })
}

/// A chain of iptables of that name, as long as the value lives.
struct Chain<'a> {
    host: &'a Netns,
    program: &'static str,
    name: String,
}

impl<'a> Chain<'a> {
    fn new(scene: &Scene<'_>, host: &'a Netns, name: String) -> Result<Self> {
        let program = match scene.family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        let new = Self { host, program, name };
        new.tell("-N")?;
        Ok(new)
    }

    fn tell(&self, verb: &str) -> Result<()> {
        let mut iptables = command(self.program);
        iptables.args(["-w", verb, &self.name]);
        let status = self.host.run(|| iptables.status().context("starting iptables"))?;
        anyhow::ensure!(status.success(), "iptables {verb} {}: {status}", self.name);
        Ok(())
    }
}

impl Drop for Chain<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.tell("-X") {
            eprintln!("a chain of iptables stays: {error:#}");
        }
    }
}

fn ssh_by_named_chain(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, [ip, port]) = (&scene.lab.server, target(scene));
    let guests = Chain::new(scene, host, format!("guests{port}"))?;
    let _wall = Rule::reject(scene, host, &guests.name, "")?;
    let jump = format!("INPUT -s {} -p tcp --dport {port} -j {}", source(scene), guests.name);
    let _jump = Rule::append(scene, host, "filter", jump)?;
    let _listener = scene.listen(8)?;
    let mut ssh = command("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null"]);
    ssh.args(["-o", "ConnectionAttempts=2", "-b", &source(scene), "-p", &port, "-l", "guest"]);
    Folder::new()?.start(&scene.lab.client, ssh.args([&ip, "true"]))?.wait()?;
    let reset = by_host(Sender::Server, Stage::PostSyn);
    let connections = calls_with(scene, scene.server, 2, reset)?;
    Ok(GroundTruth { connections, done: "ssh had been refused twice" })
}
