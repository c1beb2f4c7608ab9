//! Servers and clients in JavaScript (Node.js), with their limits, mistakes and habits.

use std::io::Write;
use std::net::Shutdown;
use std::thread;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, last, settle};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Side, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::second_exam::daemons::clients::{await_fin, called, hear_until};
use super::super::second_exam::filter::{broken, only};
use super::super::servers::program::{Folder, command};
use super::super::third_exam::common::{
    AFTER_CLOSE, CANCEL, LINGER0, UNREAD, ms, passed, source, target, with,
};
use super::common::{NODE, dies_over_a_request, node, tell};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "node_takes_one_client",
        "A Node.js server that takes one client",
        "A server in JavaScript may have one client (maxConnections); it drops the second one, who \
         has already asked for something.",
        node_takes_one_client,
    )
    .needs(NODE),
    Listed::new(
        "node_dies_of_an_exception",
        "An exception that nobody catches",
        "A server in JavaScript works on a request that makes it throw an exception; meanwhile its \
         caller and another one ask for more. The process ends.",
        node_dies_of_an_exception,
    )
    .needs(NODE),
    Listed::new(
        "node_waits_less_than_its_balancer",
        "Node.js waits less than who is in front of it",
        "A server in JavaScript closes a connection that was idle for a second (keepAliveTimeout); \
         a balancer that keeps its connections for longer asks again over it.",
        node_waits_less_than_its_balancer,
    )
    .needs(NODE)
    .slow(),
    Listed::new(
        "told_to_close_and_goes_on",
        "Told that it is over, and goes on",
        "A server in JavaScript answers with Connection: close and closes; the client does not mind \
         the header and asks for the next page.",
        told_to_close_and_goes_on,
    )
    .needs(NODE),
    Listed::new(
        "node_resets_and_destroys",
        "A server in JavaScript resets and destroys",
        "A server in JavaScript answers a request and, told that it has had enough, resets its \
         caller's connection (resetAndDestroy).",
        node_resets_and_destroys,
    )
    .needs(NODE),
    Listed::new(
        "fetch_aborted",
        "A download that a script destroys",
        "A client in JavaScript asks for a film, looks at the headers, pauses the answer and \
         destroys the request while more comes.",
        fetch_aborted,
    )
    .needs(NODE),
];

fn node_takes_one_client(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SERVER: &str = "\
const net = require('net'), [host, port] = process.argv.slice(1);
const server = net.createServer(socket => { socket.write('welcome\\n'); socket.on('end', () => socket.end()); });
server.maxConnections = 1;
server.listen(+port, host);
";
    let node = node(scene, SERVER)?;
    let first = scene.dial()?;
    sockets::hear(&first.0, b"welcome\n")?;
    settle(scene.lab, &first.1)?;
    // The second one has spoken when Node.js looks.
    node.halt()?;
    let second = scene.dial()?;
    tell(scene, &second, b"AUTH second\n")?;
    node.carry_on()?;
    broken(&second.0)?;
    first.0.shutdown(Shutdown::Write)?;
    sockets::await_end(&first.0)?;
    settle(scene.lab, &first.1)?;
    // That it may have no more clients is why it closed; that this one had spoken, why it was a reset.
    let reset = Reset::by(Sender::Server, Stage::PostPush, UNREAD);
    let connections = vec![with(second.1, vec![reset]), first.1];
    Ok(GroundTruth { connections, done: "the second client got ECONNRESET" })
}

fn node_dies_of_an_exception(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SERVER: &str = "\
const http = require('http'), fs = require('fs'), [host, port] = process.argv.slice(1);
http.createServer((asked, answer) => {
    if (asked.url === '/total') {
        console.log('adding');
        fs.readSync(0, Buffer.alloc(8));
        throw new TypeError('undefined is not a number');
    }
    answer.end('hello');
}).listen(+port, host);
";
    let total = b"GET /total HTTP/1.1\r\nHost: a.lab\r\n\r\n";
    dies_over_a_request(scene, node(scene, SERVER)?, total, "adding")
}

fn node_waits_less_than_its_balancer(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SERVER: &str = "\
const http = require('http'), [host, port] = process.argv.slice(1);
const server = http.createServer((asked, answer) => answer.end('hello'));
server.keepAliveTimeout = 1000;
server.listen(+port, host);
";
    let _node = node(scene, SERVER)?;
    let balancer = scene.dial()?;
    tell(scene, &balancer, REQUEST)?;
    hear_until(&balancer.0, b"\r\n\r\nhello")?;
    await_fin(scene, &balancer.1)?;
    scene.lab.client.run(|| sockets::say(&balancer.0, REQUEST))?;
    sockets::await_error(&balancer.0, Errno::EPIPE)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    Ok(only(balancer.1, vec![reset], "the balancer's socket got EPIPE"))
}

fn told_to_close_and_goes_on(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SERVER: &str = "\
const http = require('http'), [host, port] = process.argv.slice(1);
http.createServer((asked, answer) => {
    answer.setHeader('Connection', 'close');
    answer.end('page');
}).listen(+port, host);
";
    let _node = node(scene, SERVER)?;
    let caller = scene.dial()?;
    tell(scene, &caller, b"GET /1 HTTP/1.1\r\nHost: web.lab\r\n\r\n")?;
    hear_until(&caller.0, b"\r\n\r\npage")?;
    await_fin(scene, &caller.1)?;
    scene
        .lab
        .client
        .run(|| sockets::say(&caller.0, b"GET /2 HTTP/1.1\r\nHost: web.lab\r\n\r\n"))?;
    sockets::await_error(&caller.0, Errno::EPIPE)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    Ok(only(caller.1, vec![reset], "the client's socket got EPIPE"))
}

fn node_resets_and_destroys(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SERVER: &str = "\
const http = require('http'), [host, port] = process.argv.slice(1);
http.createServer((asked, answer) => {
    answer.end('hello');
    process.stdin.once('data', () => asked.socket.resetAndDestroy());
}).listen(+port, host);
";
    let mut node = node(scene, SERVER)?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    hear_until(&client, b"hello")?;
    settle(scene.lab, &connection)?;
    node.tell(b"enough\n")?;
    broken(&client)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, LINGER0);
    Ok(only(connection, vec![reset], "the client got ECONNRESET"))
}

fn fetch_aborted(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n";
    const CLIENT: &str = "\
const http = require('http'), [host, port, from] = process.argv.slice(1);
const asked = http.get({ host, port, localAddress: from, path: '/film' }, answer => {
    answer.pause();
    console.log('paused');
    process.stdin.once('data', () => { asked.destroy(); process.stdin.destroy(); });
});
asked.on('error', () => {});
";
    let listener = scene.listen(8)?;
    let mut node = command("node");
    node.args(["-e", CLIENT]).args(target(scene)).arg(source(scene));
    let mut node = Folder::new()?.start(&scene.lab.client, &mut node)?;
    let (server, connection) = called(scene, &listener)?;
    hear_until(&server, b"\r\n\r\n")?;
    scene.lab.server.run(|| sockets::say(&server, HEAD))?;
    wait::until("Node.js to pause", || Ok(node.said().contains("paused")))?;
    // As much as its kernel and ours have room for.
    server.set_nonblocking(true)?;
    wait::until("a closed window", || {
        let mut room = 0;
        scene.lab.server.run(|| {
            while let Ok(taken) = (&server).write(&[b'f'; 16_384]) {
                room += taken;
            }
            Ok(())
        })?;
        if room > 0 {
            // It may only not have come to read yet.
            thread::sleep(ms(100));
            return Ok(false);
        }
        let seen = scene.lab.sniffer(Place::Server).segments(&connection);
        Ok(last(&seen, &connection, Side::Client).is_some_and(|told| told.window < 100))
    })?;
    server.set_nonblocking(false)?;
    node.tell(b"enough\n")?;
    broken(&server)?;
    node.wait()?;
    // It cancels; that the kernel resets is because the rest lies unread.
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    passed(scene, vec![with(connection, vec![reset])], "the server got ECONNRESET")
}
