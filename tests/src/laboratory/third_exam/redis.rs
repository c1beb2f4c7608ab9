//! Redis as the server: too many clients, idle ones, unwelcome ones, and its end.

use std::net::TcpStream;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Effect, GroundTruth, Reset, Sender, Stage};

use super::super::second_exam::filter::{only, refused};
use super::super::servers::DIED;
use super::super::servers::program::{Folder, Program, command, run};
use super::common::{AFTER_CLOSE, UNREAD, WENT_AWAY, target, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "redis_too_many_clients",
        "Redis has clients enough",
        "Redis, which may have one client (maxclients), tells the second that there are too many \
         and closes, its command unread.",
        too_many_clients,
    )
    .needs(REDIS),
    Listed::new(
        "redis_http_request",
        "HTTP spoken to Redis",
        "A client uploads something in HTTP; Redis takes it for an attack and closes when it has \
         read the beginning.",
        http_request,
    )
    .needs(REDIS),
    Listed::new(
        "redis_killed_busy",
        "Redis killed with commands unread",
        "Redis hangs (SIGSTOP) while two of its three clients ask for something, and is killed \
         (SIGKILL); one of them calls again.",
        killed_busy,
    )
    .needs(REDIS),
    Listed::new(
        "redis_idle_client",
        "Redis lets an idle client go",
        "Redis closes a connection that was idle for two seconds (timeout); the client, whose pool \
         does not look, uses it again.",
        idle_client,
    )
    .needs(REDIS)
    .slow(),
    Listed::new(
        "redis_client_kill",
        "Redis is told to kill a client",
        "The administrator closes a client's connection (CLIENT KILL); the client asks again.",
        client_kill,
    )
    .needs(REDIS),
    Listed::new(
        "redis_keepalive",
        "Redis looks after a client out of reach",
        "The network between the two goes silent; Redis' keepalive (tcp-keepalive 1) gives up.",
        keepalive,
    )
    .needs(REDIS)
    .slow(),
];

const REDIS: &[&str] = &["redis-server", "redis-cli"];
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

fn start(scene: &Scene<'_>, settings: &[&str]) -> Result<Program> {
    let (host, [ip, port]) = (&scene.lab.server, target(scene));
    let mut redis = command("redis-server");
    redis.args(["--bind", &ip, "--port", &port, "--save", "", "--protected-mode", "no"]);
    Folder::new()?.start(host, redis.args(settings))?.await_listening(host, scene.server)
}

/// A client that has been answered once.
fn served(scene: &Scene<'_>) -> Result<(TcpStream, Connection)> {
    let (client, connection) = scene.dial()?;
    ask(scene, &client)?;
    sockets::hear(&client, PONG)?;
    settle(scene.lab, &connection)?;
    Ok((client, connection))
}

fn ask(scene: &Scene<'_>, client: &TcpStream) -> Result<()> {
    scene.lab.client.run(|| sockets::say(client, PING))
}

fn too_many_clients(scene: &Scene<'_>) -> Result<GroundTruth> {
    let redis = start(scene, &["--maxclients", "1"])?;
    let (_client, stood_by) = served(scene)?;
    redis.halt()?;
    let (client, connection) = scene.dial()?;
    ask(scene, &client)?;
    settle(scene.lab, &connection)?;
    redis.carry_on()?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, UNREAD);
    let connections = vec![with(connection, vec![reset]), stood_by];
    Ok(GroundTruth { connections, done: "the second client got ECONNRESET" })
}

fn http_request(scene: &Scene<'_>) -> Result<GroundTruth> {
    let redis = start(scene, &[])?;
    redis.halt()?;
    let (client, connection) = scene.dial()?;
    let head = b"POST /collect HTTP/1.1\r\nHost: metrics.lab\r\nContent-Length: 40000\r\n\r\n";
    scene.lab.client.run(|| sockets::say(&client, head))?;
    scene.lab.client.run(|| sockets::say(&client, &[b'm'; 40_000]))?;
    settle(scene.lab, &connection)?;
    redis.carry_on()?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    // That it was not understood is why; that the rest lay unread is why the kernel reset.
    let cause = ("application_error", "protocol_mismatch");
    let reset = Reset::by(Sender::Server, Stage::PostData, cause);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    Ok(only(connection, vec![reset], "the client got ECONNRESET"))
}

fn killed_busy(scene: &Scene<'_>) -> Result<GroundTruth> {
    let redis = start(scene, &[])?;
    let [idle, one, two] = [served(scene)?, served(scene)?, served(scene)?];
    redis.halt()?;
    for (client, connection) in [&one, &two] {
        ask(scene, client)?;
        settle(scene.lab, connection)?;
    }
    redis.kill()?;
    let mut connections = Vec::new();
    for (client, connection) in [one, two] {
        sockets::await_error(&client, Errno::ECONNRESET)?;
        // It was killed; that commands lay unread is why its kernel reset.
        let reset = Reset::by(Sender::Server, Stage::PostData, DIED);
        let reset = reset.or_as_truly(&["closed_with_unread_data"]);
        connections.push(with(connection, vec![reset]));
    }
    let again = Reset::by(Sender::Server, Stage::PostSyn, WENT_AWAY);
    connections.push(refused(scene, scene.server, again)?);
    // Nothing lay unread here: FINs.
    sockets::await_end(&idle.0)?;
    settle(scene.lab, &idle.1)?;
    connections.push(idle.1);
    Ok(GroundTruth { connections, done: "two clients got ECONNRESET, then one ECONNREFUSED" })
}

/// Redis closes; the client does not look and asks again.
fn asked_again(
    scene: &Scene<'_>,
    (client, connection): (TcpStream, Connection),
    also: &'static [&'static str],
) -> Result<GroundTruth> {
    sockets::await_end(&client)?;
    settle(scene.lab, &connection)?;
    ask(scene, &client)?;
    sockets::await_error(&client, Errno::EPIPE)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE).or_as_truly(also);
    Ok(only(connection, vec![reset], "the client's socket got EPIPE"))
}

fn idle_client(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _redis = start(scene, &["--timeout", "2"])?;
    asked_again(scene, served(scene)?, &[])
}

fn client_kill(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _redis = start(scene, &[])?;
    let served = served(scene)?;
    let ([ip, port], victim) = (target(scene), served.1.client.to_string());
    let mut order = command("redis-cli");
    order.args(["-h", &ip, "-p", &port, "CLIENT", "KILL", "ADDR", &victim]);
    run(&scene.lab.server, &mut order)?;
    // The administrator closed it; that something came after the close is why the kernel reset.
    asked_again(scene, served, &["admin_kill"])
}

fn keepalive(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _redis = start(scene, &["--tcp-keepalive", "1"])?;
    let (client, connection) = scene.dial()?;
    ask(scene, &client)?;
    sockets::hear(&client, PONG)?;
    // What is not acknowledged would be sent again, and no keepalive needed. Probes may have gone
    // to and fro by then.
    scene.lab.sniffer(Place::Server).wait_for("an acknowledgment", &connection, |seen| {
        let mut all = seen.iter().map(|one| &one.segment);
        let end =
            all.clone().find(|one| one.src == scene.server && one.payload_len > 0)?.next_seq();
        all.any(|one| one.src == connection.client && one.ack == end).then_some(())
    })?;
    let silence = scene.silence()?;
    let cause = ("protocol_state", "keepalive_timeout");
    let reset = Reset::by(Sender::Server, Stage::PostData, cause).with_effect(Effect::Lost);
    let truth = only(connection, vec![reset], "the router saw the server's reset");
    // The reset must meet the rule, so the rule stays until the router has seen it.
    scene.await_resets(&truth)?;
    drop(silence);
    // The client knows nothing of all this; its FIN would be answered by another reset.
    sockets::vanish(client)?;
    Ok(truth)
}
