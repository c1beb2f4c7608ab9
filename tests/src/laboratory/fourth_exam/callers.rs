//! Programs that call and change their mind: pipelines, scripts, races.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use anyhow::{Result, ensure};
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::second_exam::daemons::clients::{called, hear_until};
use super::super::second_exam::filter::{Cause, broken, port_after};
use super::super::servers::program::{Folder, command, run};
use super::super::third_exam::common::{
    CANCEL, GAVE_UP, await_syn_ack, calls_with, ms, passed, source, target, with,
};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "curl_into_head",
        "A pipeline that needs the beginning only",
        "A shell pipes a download of curl's into head, which wants 40 bytes and ends; curl cannot \
         write any more and ends, too, the rest unread.",
        curl_into_head,
    )
    .needs(&["bash", "curl", "head"]),
    Listed::new(
        "script_looks_at_the_status",
        "A script that looks at the status only",
        "A script in Python asks for two reports, one after the other, reads the status of each \
         answer and closes, the body unread.",
        script_looks_at_the_status,
    )
    .needs(&["python3"]),
    Listed::new(
        "race_given_up",
        "A race that a program gives up",
        "A program on asyncio calls two servers at once, whose SYN-ACKs are lost, and gives both \
         up after 400 ms; the next SYN-ACKs get through.",
        race_given_up,
    )
    .needs(&["python3"])
    .slow(),
    Listed::new(
        "fourteen_ports_at_once",
        "A scan of fourteen ports at once",
        "A program on asyncio connects to fourteen ports of the server at once; at two of them \
         somebody listens, and it leaves them in order.",
        fourteen_ports_at_once,
    )
    .needs(&["python3"]),
    Listed::new(
        "two_sites_checked",
        "A script that tries the standby, too",
        "A script of bash calls the first of two sites in vain, then the second, which answers \
         (nc -z after nc -z), three times in a row.",
        two_sites_checked,
    )
    .needs(&["bash", "ncat"]),
];

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n";

fn curl_into_head(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PIPE: &str = "curl -q --silent --no-buffer --noproxy '*' --globoff --interface $0 \
        --limit-rate 8k http://$1/list | head -c 40";
    let listener = scene.listen(8)?;
    let mut shell = command("bash");
    shell.args(["-c", PIPE, &source(scene), &scene.server.to_string()]);
    let mut shell = Folder::new()?.start(&scene.lab.client, &mut shell)?;
    let (server, connection) = called(scene, &listener)?;
    hear_until(&server, b"\r\n\r\n")?;
    scene.lab.server.run(|| sockets::say(&server, &[HEAD, &[b'l'; 1000]].concat()))?;
    wait::until("head to have enough", || Ok(shell.said().len() >= 40))?;
    thread::sleep(ms(150));
    // All of the rest arrives before curl looks, which then has nobody to tell it to.
    shell.halt()?;
    scene.lab.server.run(|| sockets::say(&server, &[b'l'; 60_000]))?;
    settle(scene.lab, &connection)?;
    shell.carry_on()?;
    broken(&server)?;
    shell.wait()?;
    // It cancels; that the kernel resets is because the rest lies unread.
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    passed(scene, vec![with(connection, vec![reset])], "the server got ECONNRESET")
}

/// Asks twice; before it reads each answer it waits for a line of its input.
const STATUS: &str = "\
import http.client, sys
for number in range(2):
    call = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), source_address=(sys.argv[3], 0))
    call.request('GET', '/report/%d' % number)
    sys.stdin.readline()
    answer = call.getresponse()
    print(answer.status, flush=True)
    answer.close()
    call.close()
";

fn script_looks_at_the_status(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut python = command("python3");
    python.args(["-c", STATUS]).args(target(scene)).arg(source(scene));
    let mut python = Folder::new()?.start(&scene.lab.client, &mut python)?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        let (server, connection) = called(scene, &listener)?;
        hear_until(&server, b"\r\n\r\n")?;
        scene.lab.server.run(|| sockets::say(&server, &[HEAD, &[b'r'; 30_000]].concat()))?;
        settle(scene.lab, &connection)?;
        python.tell(b"go on\n")?;
        broken(&server)?;
        // It cancels; that the kernel resets is because the rest lies unread.
        let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
        let reset = reset.or_as_truly(&["closed_with_unread_data"]);
        connections.push(with(connection, vec![reset]));
    }
    python.wait()?;
    ensure!(python.said() == "200\n200\n", "it said: {}", python.said());
    passed(scene, connections, "twice the server got ECONNRESET")
}

/// Gives two calls 400 ms, tells that it has given them up, and stays.
const RACE: &str = "\
import asyncio, sys
async def call(port):
    try:
        await asyncio.wait_for(asyncio.open_connection(sys.argv[1], port, local_addr=(sys.argv[3], 0)), 0.4)
    except asyncio.TimeoutError:
        print('given up', flush=True)
async def main():
    await asyncio.gather(*(call(int(port)) for port in (sys.argv[2], sys.argv[4])))
asyncio.run(main())
sys.stdin.readline()
";

fn race_given_up(scene: &Scene<'_>) -> Result<GroundTruth> {
    let ends: [SocketAddr; 2] = [0, 1].map(|number| port_after(scene, number));
    let listen = |at: SocketAddr| scene.lab.server.run(|| sockets::listen_on(at, 8));
    let _listeners: [TcpListener; 2] = [listen(ends[0])?, listen(ends[1])?];
    let held = scene.lose(&ends.map(|end| (Port::From(end.port()), Only::WithSyn)))?;
    let mut python = command("python3");
    python
        .args(["-c", RACE])
        .args(target(scene))
        .arg(source(scene))
        .arg(ends[1].port().to_string());
    let python = Folder::new()?.start(&scene.lab.client, &mut python)?;
    wait::until("both to be given up", || Ok(python.said().matches("given up").count() == 2))?;
    let reset = Reset::by(Sender::Client, Stage::PostSynack, GAVE_UP);
    let mut connections = Vec::new();
    for end in ends {
        connections.extend(calls_with(scene, end, 1, reset)?);
    }
    connections.iter().try_for_each(|one| await_syn_ack(scene, one))?;
    drop(held);
    passed(scene, connections, "both resets reached the server")
}

/// Connects to all ports at once, and closes what it has opened.
const SCAN: &str = "\
import asyncio, sys
async def call(port):
    try:
        _, writer = await asyncio.open_connection(sys.argv[1], int(port), local_addr=(sys.argv[2], 0))
    except ConnectionRefusedError:
        return
    print(port, flush=True)
    writer.close()
async def main():
    await asyncio.gather(*map(call, sys.argv[3:]))
asyncio.run(main())
";

fn fourteen_ports_at_once(scene: &Scene<'_>) -> Result<GroundTruth> {
    const OPEN: [u16; 2] = [4, 9];
    let at = |number| port_after(scene, number);
    let open = OPEN.map(at);
    let listen = |at: SocketAddr| scene.lab.server.run(|| sockets::listen_on(at, 8));
    let listeners = [listen(open[0])?, listen(open[1])?];
    let [ip, _] = target(scene);
    let mut python = command("python3");
    python.args(["-c", SCAN, &ip, &source(scene)]);
    python.args((0..14).map(|number| at(number).port().to_string()));
    run(&scene.lab.client, &mut python)?;
    // Each answer is that of a closed port; that there are many at once makes it a scan.
    let cause: Cause = ("security_measure", "scan_response");
    let closed = Reset::by(Sender::Server, Stage::PostSyn, cause).or_as_truly(&["closed_port"]);
    let mut connections = Vec::new();
    for number in (0..14).filter(|number| !OPEN.contains(number)) {
        connections.extend(calls_with(scene, at(number), 1, closed)?);
    }
    let truth = passed(scene, connections, "twelve calls returned ECONNREFUSED")?;
    left_in_order(scene, listeners, open, truth)
}

/// The connections that a program has opened and closed end with the server's FINs.
fn left_in_order(
    scene: &Scene<'_>,
    listeners: [TcpListener; 2],
    open: [SocketAddr; 2],
    mut truth: GroundTruth,
) -> Result<GroundTruth> {
    for (listener, at) in listeners.iter().zip(open) {
        let server = scene.lab.server.run(|| sockets::accept(listener))?;
        let connection = Connection::between(server.peer_addr()?, at);
        sockets::await_end(&server)?;
        settle(scene.lab, &connection)?;
        scene.lab.server.run(|| sockets::close(server))?;
        settle(scene.lab, &connection)?;
        truth.connections.push(connection);
    }
    Ok(truth)
}

fn two_sites_checked(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SCRIPT: &str = "for _ in 1 2 3; do \
        ncat -z -s $1 $0 $2 || ncat -z -s $1 $0 $3 || exit 9; sleep 0.15; done";
    let [nobody, standby] = [1, 0].map(|number| port_after(scene, number));
    let listener = scene.listen(8)?;
    let [ip, _] = target(scene);
    let mut bash = command("bash");
    bash.args(["-c", SCRIPT, &ip, &source(scene)]);
    bash.args([nobody, standby].map(|at| at.port().to_string()));
    let mut bash = Folder::new()?.start(&scene.lab.client, &mut bash)?;
    let mut served = Vec::new();
    for _ in 0..3 {
        let (server, connection) = called(scene, &listener)?;
        sockets::await_end(&server)?;
        settle(scene.lab, &connection)?;
        scene.lab.server.run(|| sockets::close(server))?;
        settle(scene.lab, &connection)?;
        served.push(connection);
    }
    let status = bash.wait()?;
    ensure!(status.success(), "{status}: {}", bash.said());
    let closed = Reset::by(Sender::Server, Stage::PostSyn, ("connection_refused", "closed_port"));
    let mut connections = calls_with(scene, nobody, 3, closed)?;
    connections.extend(served);
    Ok(GroundTruth { connections, done: "three calls returned ECONNREFUSED" })
}
