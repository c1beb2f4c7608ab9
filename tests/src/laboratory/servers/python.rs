//! Python's web server, and a small TLS server on its standard library: neither reads to the end
//! before it closes.

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::sniffer::Sighting;
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::wait;

use super::program::{Folder, Program, command};
use super::{UNREAD, openssl, the_caller, truth, upload};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "python_http_post",
        "Python's web server gets what it does not serve",
        "A client uploads something; Python's web server answers 501, reads no further and closes.",
        post,
    )
    .needs(&["python3"]),
    Listed::new(
        "python_tls_plain_http",
        "Plain HTTP for a TLS server",
        "A client says to a TLS server what one says to a web server without TLS; the server \
         closes after the first bytes.",
        plain_http,
    )
    .needs(TLS),
    Listed::new(
        "python_tls_certificate",
        "A TLS server wants to see a certificate",
        "A TLS server demands a certificate of openssl s_client, which has none: it sends an alert \
         and closes, with the rest of the handshake unread.",
        certificate,
    )
    .needs(TLS),
];

const TLS: &[&str] = &["python3", "openssl"];

/// What `python3 -m http.server` does, save that it asks no name server for the host's name.
const WEB_SERVER: &str = "\
import http.server, socket, sys
socket.getfqdn = lambda name: name
address, port = sys.argv[1], int(sys.argv[2])
http.server.test(http.server.SimpleHTTPRequestHandler, bind=address, port=port)
";

/// Serves one client; before it listens to the client's first and second words it waits for a
/// line of its input, and in between it says so.
const TLS_SERVER: &str = "\
import select, socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('server.pem')
context.load_verify_locations('server.pem')
context.verify_mode = ssl.CERT_REQUIRED
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
client, _ = server.accept()
client = context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
client.setblocking(False)
def go_on():
    select.select([client], [], [])
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
try:
    sys.stdin.readline()
    go_on()
    print('waiting', flush=True)
    sys.stdin.readline()
    go_on()
except ssl.SSLError as error:
    print(error)
client.close()
";

/// Starts Python with these arguments and the scenario's address.
fn start(scene: &Scene<'_>, folder: Folder, arguments: &[&str]) -> Result<Program> {
    let (ip, port) = (scene.server.ip().to_string(), scene.server.port().to_string());
    let mut python = command("python3");
    python.args(arguments).args([ip, port]);
    folder.start(&scene.lab.server, &mut python)?.await_listening(&scene.lab.server, scene.server)
}

fn post(scene: &Scene<'_>) -> Result<GroundTruth> {
    let python = start(scene, Folder::new()?, &["-c", WEB_SERVER])?;
    // All of it arrives before Python looks; it reads no more than 8 KiB at a time.
    python.halt()?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, &upload(12_000)))?;
    settle(scene.lab, &connection)?;
    python.carry_on()?;
    sockets::await_error(&client, Errno::EPIPE)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, UNREAD);
    Ok(truth(connection, reset, "the client's socket got EPIPE"))
}

fn tls_server(scene: &Scene<'_>) -> Result<Program> {
    start(scene, openssl::with_certificate(scene)?, &["-c", TLS_SERVER])
}

fn plain_http(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut server = tls_server(scene)?;
    server.tell(b"go on\n")?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    // That it was not understood is why; that the rest lies unread is why the kernel resets.
    let cause = ("application_error", "protocol_mismatch");
    let reset = Reset::by(Sender::Server, Stage::PostPush, cause);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    Ok(truth(connection, reset, "the client got ECONNRESET"))
}

fn certificate(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut server = tls_server(scene)?;
    let client = openssl::client(scene)?;
    let connection = the_caller(scene)?;
    // One at a time, or the server's reset and the client's FIN would race.
    await_words(scene, &connection, 1)?;
    client.halt()?;
    server.tell(b"go on\n")?;
    wait::until("the server's answer", || Ok(server.said().contains("waiting")))?;
    client.carry_on()?;
    // A certificate that is none, and the end of the handshake.
    await_words(scene, &connection, 2)?;
    settle(scene.lab, &connection)?;
    client.halt()?;
    server.tell(b"go on\n")?;
    // The kernel resets because something lies unread; what the server said before is an alert.
    let reset = Reset::by(Sender::Server, Stage::PostData, UNREAD);
    let reset = reset.or_as_truly(&["tls_close_then_rst"]);
    let truth = truth(connection, reset, "the reset reached the client");
    scene.await_resets(&truth)?;
    Ok(truth)
}

/// Waits until so many segments with data from the client have reached the server.
fn await_words(scene: &Scene<'_>, connection: &Connection, count: usize) -> Result<()> {
    scene.lab.sniffer(Place::Server).wait_for("the client's words", connection, |seen| {
        let by_client = |one: &&Sighting| one.segment.src == connection.client;
        let spoken = seen.iter().filter(by_client).filter(|one| one.segment.payload_len > 0);
        (spoken.count() >= count).then_some(())
    })
}
