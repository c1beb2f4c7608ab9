//! OpenSSH: a server that turns callers away, and clients that are not what they were.

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::program::{Folder, Program, command, run};
use super::{DIED, the_caller, truth};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "sshd_max_startups",
        "sshd has enough strangers",
        "sshd, which puts up with one stranger at a time (MaxStartups), turns the second one away, \
         whose greeting lies unread.",
        max_startups,
    )
    .needs(SSHD),
    Listed::new(
        "sshd_http_request",
        "A browser calls sshd",
        "A client says to sshd what one says to a web server; sshd hangs up after the first line.",
        http_request,
    )
    .needs(SSHD),
    Listed::new(
        "sshd_client_vanished",
        "sshd speaks to a client that vanished",
        "A client vanishes without a word before sshd, which hangs for a moment, has greeted it.",
        client_vanished,
    )
    .needs(SSHD),
    Listed::new(
        "ssh_client_killed",
        "An ssh client killed while it is written to",
        "An ssh client hangs (SIGSTOP) while its session goes on speaking; then it is killed.",
        ssh_killed,
    )
    .needs(&["sshd", "ssh-keygen", "unshare", "ssh"])
    .slow(),
];

pub(in crate::laboratory) const SSHD: &[&str] = &["sshd", "ssh-keygen", "unshare"];

/// sshd insists on an empty folder in /run: it gets a /run of its own.
const WITH_OWN_RUN: &str = "mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec \"$0\" \"$@\"";

/// Starts sshd with keys of its own; whoever has the key `user` of its folder may log in.
pub(in crate::laboratory) fn start(scene: &Scene<'_>, rules: &str) -> Result<Program> {
    let folder = Folder::new()?;
    for key in ["host", "user"] {
        let file = folder.path(key);
        let mut make = command("ssh-keygen");
        run(&scene.lab.server, make.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file))?;
    }
    let (listen, at) = (scene.server, folder.path(""));
    let at = at.display();
    let configuration = format!(
        "ListenAddress {listen}\nHostKey {at}host\nAuthorizedKeysFile {at}user.pub\nPidFile none\n\
         UsePAM no\nStrictModes no\nUseDNS no\nPermitRootLogin yes\n{rules}\n"
    );
    let path = folder.write("sshd_config", configuration)?;
    let mut sshd = command("unshare");
    sshd.args(["--mount", "sh", "-c", WITH_OWN_RUN]).arg(command("sshd").get_program());
    sshd.args(["-D", "-e", "-f"]).arg(path);
    folder.start(&scene.lab.server, &mut sshd)?.await_listening(&scene.lab.server, listen)
}

fn max_startups(scene: &Scene<'_>) -> Result<GroundTruth> {
    let sshd = start(scene, "MaxStartups 1:100:1")?;
    let (first, waiting) = scene.dial()?;
    sockets::await_unread(&first)?;
    // While it hangs, the greeting arrives: sshd does not read it before it decides.
    sshd.halt()?;
    let (second, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&second, b"SSH-2.0-stranger\r\n"))?;
    settle(scene.lab, &connection)?;
    sshd.carry_on()?;
    sockets::await_error(&second, Errno::ECONNRESET)?;
    // The first one goes, so that sshd is not killed while it listens to it.
    sockets::hear(&first, b"SSH-2.0-")?;
    settle(scene.lab, &waiting)?;
    first.shutdown(std::net::Shutdown::Write)?;
    sockets::drain(&first)?;
    // It has no room for another; that the greeting lies unread is why its kernel resets.
    let reset = Reset::by(Sender::Server, Stage::PostData, super::UNREAD);
    let mut truth = truth(connection, reset, "the second client got ECONNRESET");
    truth.connections.push(waiting);
    Ok(truth)
}

fn http_request(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _sshd = start(scene, "")?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    // That it was not understood is why; that the rest lies unread is why the kernel resets.
    let cause = ("application_error", "protocol_mismatch");
    let reset = Reset::by(Sender::Server, Stage::PostData, cause);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    Ok(truth(connection, reset, "the client got ECONNRESET"))
}

fn client_vanished(scene: &Scene<'_>) -> Result<GroundTruth> {
    let sshd = start(scene, "")?;
    sshd.halt()?;
    let (client, connection) = scene.dial()?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::vanish(client))?;
    sshd.carry_on()?;
    let cause = ("application_error", "half_open_stale_state");
    let truth = truth(
        connection,
        Reset::by(Sender::Client, Stage::PostPush, cause),
        "the reset reached the server",
    );
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn ssh_killed(scene: &Scene<'_>) -> Result<GroundTruth> {
    // Nobody wants to keep what the session says.
    const IN_SILENCE: &str = "exec \"$0\" \"$@\" >/dev/null";
    let sshd = start(scene, "")?;
    let [user, up, go] = ["user", "up", "go"].map(|name| sshd.folder().path(name));
    // It begins to speak when it is told to, and ends with its input.
    let session = format!(
        "touch {}; until test -e {}; do sleep 0.02; done; head -c 30000 /dev/zero; exec cat",
        up.display(),
        go.display()
    );
    let (ip, port) = (scene.server.ip(), scene.server.port().to_string());
    let mut ssh = command("sh");
    ssh.args(["-c", IN_SILENCE]).arg(command("ssh").get_program()).args(["-F", "none", "-i"]);
    ssh.arg(user).args(["-p", &port, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
    ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentityAgent=none", "-b"]);
    ssh.arg(scene.ip(Place::Client, scene.family).to_string());
    ssh.arg(format!("root@{ip}")).arg(session);
    let ssh = Folder::new()?.start(&scene.lab.client, &mut ssh)?;
    let connection = the_caller(scene)?;
    wait::until("the session to begin", || Ok(up.exists()))
        .with_context(|| format!("sshd said:\n{}", sshd.said()))?;
    ssh.halt()?;
    let all = || scene.lab.sniffer(Place::Client).segments(&connection);
    let bytes = || all().iter().map(|one| one.segment.payload_len).sum::<usize>();
    let before = bytes();
    sshd.folder().write("go", "")?;
    wait::until("the session to speak", || Ok(bytes() > before + 30_000))?;
    settle(scene.lab, &connection)?;
    ssh.kill()?;
    // The process died; to the server that is a client which no longer wants the data.
    let reset = Reset::by(Sender::Client, Stage::PostData, DIED);
    let reset = reset.or_as_truly(&["client_cancel", "closed_with_unread_data"]);
    Ok(truth(connection, reset, "the reset reached the server"))
}
