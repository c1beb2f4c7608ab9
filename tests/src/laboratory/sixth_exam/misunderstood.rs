//! Servers that hear something else than they expect, or more of it than they want.

use anyhow::Result;
use rst_tracer::demo::scenarios::{Listed, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};

use super::super::fifth_exam::common::{in_brackets, tell};
use super::super::second_exam::filter::{Cause, broken, only};
use super::super::servers::haproxy;
use super::super::servers::openssl;
use super::super::servers::program::{Folder, command};
use super::super::third_exam::common::{UNREAD, calls_with, passed};
use super::common::{REDIS, curl, from, introduction, mosquitto, redis};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "pipeline_goes_on_after_quit",
        "A pipeline that goes on after QUIT",
        "A client of Redis pipelines QUIT, and behind it 39 kB more of commands; Redis says OK and \
         closes, most of them unread.",
        pipeline_goes_on_after_quit,
    )
    .needs(REDIS),
    Listed::new(
        "broker_finds_a_message_too_large",
        "A broker finds a message too large",
        "A camera publishes a picture of 30 kB with mosquitto, which takes 2000 bytes at most \
         (max_packet_size) and closes when it has read the length.",
        broker_finds_a_message_too_large,
    )
    .needs(&["mosquitto"]),
    Listed::new(
        "stunnel_hears_plain_http",
        "stunnel hears plain HTTP",
        "curl asks stunnel for a page with http:// where it should have been https://; stunnel \
         notices and resets (SO_LINGER 0).",
        stunnel_hears_plain_http,
    )
    .needs(&["stunnel4", "openssl", "curl"])
    .slow(),
    Listed::new(
        "haproxy_misses_a_header",
        "HAProxy misses a header",
        "HAProxy on the server expects the header of a balancer before it (accept-proxy), which \
         somebody has forgotten to turn on there; two callers speak HTTP at once, and it closes.",
        haproxy_misses_a_header,
    )
    .needs(&["haproxy", "curl"]),
];

const MISMATCH: Cause = ("application_error", "protocol_mismatch");

fn pipeline_goes_on_after_quit(scene: &Scene<'_>) -> Result<GroundTruth> {
    let redis = redis(&scene.lab.server, scene.server, &[])?;
    // All of it arrives before Redis looks; it reads 16 KiB at a time.
    redis.halt()?;
    let client = scene.dial()?;
    let more = b"LPUSH jobs 1\r\n".repeat(2_800);
    tell(scene, &client, &[&b"QUIT\r\n"[..], &more].concat())?;
    redis.carry_on()?;
    broken(&client.0)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, UNREAD);
    Ok(only(client.1, vec![reset], "the client got ECONNRESET"))
}

fn broker_finds_a_message_too_large(scene: &Scene<'_>) -> Result<GroundTruth> {
    // A publication (MQTT 3.1.1, 3.3) of 30000 bytes, 7 bits of the length at a time.
    const HEAD: &[u8] = b"\x30\xb0\xea\x01\0\x06camera";
    let mosquitto = mosquitto(scene, "max_packet_size 2000")?;
    let camera = scene.dial()?;
    tell(scene, &camera, &introduction("camera-1", 60))?;
    sockets::hear(&camera.0, b"\x20\x02\0\0")?;
    mosquitto.halt()?;
    tell(scene, &camera, &[HEAD, &[b'j'; 29_992]].concat())?;
    mosquitto.carry_on()?;
    broken(&camera.0)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, UNREAD);
    Ok(only(camera.1, vec![reset], "the camera got ECONNRESET"))
}

fn stunnel_hears_plain_http(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, listen) = (&scene.lab.server, scene.server);
    let folder = openssl::with_certificate(scene)?;
    let text = format!(
        "foreground = yes\npid =\n[web]\naccept = {}:{}\nconnect = 127.0.0.1:9\n\
         cert = server.pem\n",
        listen.ip(),
        listen.port()
    );
    let path = folder.write("stunnel.conf", text)?;
    let mut stunnel = command("stunnel4");
    let _stunnel = folder.start(host, stunnel.arg(path))?.await_listening(host, listen)?;
    let url = format!("http://{listen}/");
    curl(scene, from(scene), &[], &url)?.wait()?;
    // SO_LINGER 0, with the rest unread, is how stunnel does it; that it is no TLS is why.
    let reset = Reset::by(Sender::Server, Stage::PostPush, MISMATCH);
    let reset = reset.or_as_truly(&["linger0_close", "closed_with_unread_data"]);
    let connections = calls_with(scene, listen, 1, reset)?;
    passed(scene, connections, "curl ended")
}

fn haproxy_misses_a_header(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, listen) = (&scene.lab.server, scene.server);
    let section = format!(
        "frontend web\n bind {listen} accept-proxy\n mode http\n \
         http-request return status 200 content-type text/plain string hello\n"
    );
    let _haproxy = haproxy::start(host, Folder::new()?, listen, &section)?;
    let url = format!("http://{}:{}/", in_brackets(listen.ip()), listen.port());
    for _ in 0..2 {
        curl(scene, from(scene), &[], &url)?.wait()?;
    }
    // That it is not what was expected is why it closed; that it lay unread, why it was a reset.
    let reset = Reset::by(Sender::Server, Stage::PostPush, MISMATCH);
    let reset = reset.or_as_truly(&["closed_with_unread_data", "proxy_abort"]);
    let connections = calls_with(scene, listen, 2, reset)?;
    passed(scene, connections, "curl ended twice")
}
