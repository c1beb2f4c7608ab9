//! OpenSSL's own client and server.

use anyhow::Result;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Scene, last, settle};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Side, Stage};

use super::program::{Folder, Program, command, run};
use super::{DIED, the_caller, truth};
use crate::laboratory::wishes::quiet;

pub(super) const LISTED: &[Listed] = &[Listed::new(
    "openssl_client_killed",
    "OpenSSL's client killed",
    "openssl s_client hangs (SIGSTOP) while the server's words arrive; then it is killed.",
    client_killed,
)
.needs(OPENSSL)
.slow()];

const OPENSSL: &[&str] = &["openssl"];

/// A folder with a key and a certificate in one file, `server.pem`.
pub(in crate::laboratory) fn with_certificate(scene: &Scene<'_>) -> Result<Folder> {
    let folder = Folder::new()?;
    let file = folder.path("server.pem");
    let mut make = command("openssl");
    make.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    make.args(["-days", "2", "-subj", "/CN=server.lab", "-keyout"]).arg(&file);
    run(&scene.lab.server, make.arg("-out").arg(folder.path("certificate")))?;
    let mut both = std::fs::read(&file)?;
    both.extend(std::fs::read(folder.path("certificate"))?);
    folder.write("server.pem", both)?;
    Ok(folder)
}

fn server(scene: &Scene<'_>) -> Result<Program> {
    let folder = with_certificate(scene)?;
    let mut server = command("openssl");
    server.args(["s_server", "-quiet", "-accept", &scene.server.to_string(), "-cert"]);
    server.arg(folder.path("server.pem"));
    let host = &scene.lab.server;
    folder.start(host, &mut server)?.await_listening(host, scene.server)
}

pub(super) fn client(scene: &Scene<'_>) -> Result<Program> {
    let source = scene.at(Place::Client, 0).to_string();
    let mut client = command("openssl");
    client.args(["s_client", "-quiet", "-connect", &scene.server.to_string(), "-bind", &source]);
    Folder::new()?.start(&scene.lab.client, &mut client)
}

fn client_killed(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut server = server(scene)?;
    let client = client(scene)?;
    let connection = the_caller(scene)?;
    // The handshake, and the tickets that follow it.
    quiet(scene, &connection)?;
    client.halt()?;
    let told = scene.lab.sniffer(Place::Client).segments(&connection);
    let before = last(&told, &connection, Side::Server).map(|one| one.next_seq());
    server.tell(b"what nobody will read\n")?;
    scene.lab.sniffer(Place::Client).wait_for("the server's words", &connection, |seen| {
        let now = last(seen, &connection, Side::Server).map(|one| one.next_seq());
        (now != before).then_some(())
    })?;
    settle(scene.lab, &connection)?;
    client.kill()?;
    let reset = Reset::by(Sender::Client, Stage::PostData, DIED);
    let reset = reset.or_as_truly(&["client_cancel", "closed_with_unread_data"]);
    let truth = truth(connection, reset, "the reset reached the server");
    scene.await_resets(&truth)?;
    Ok(truth)
}
