//! Ends that nobody minds: cancelled, cut short on purpose, or half at a time.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::thread;

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Pair, Scene, last, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};

use super::super::options;
use super::super::second_exam::filter::{broken, only, talk, talked};
use super::super::third_exam::common::{AFTER_CLOSE, CANCEL, LINGER0, UNREAD, ms, passed, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "typing_ahead",
        "A search that is overtaken by typing",
        "With each letter the client asks anew over a connection of its own and aborts the one \
         before (SO_LINGER 0), four times; the last one is answered.",
        typing_ahead,
    ),
    Listed::new(
        "slow_listener_dropped",
        "A listener that is too slow",
        "The client does not read what the server sends, until no more fits; the server gives it \
         up and aborts with SO_LINGER 0.",
        slow_listener_dropped,
    ),
    Listed::new(
        "deaf_before_the_close",
        "Deaf before the close",
        "The server shuts down its reading half, the client says one more thing; then the server \
         closes.",
        deaf_before_the_close,
    ),
    Listed::new(
        "patience_after_the_refusal",
        "A refusal, some patience, an end",
        "The server refuses an upload and closes its direction, reads on for 400 ms what still \
         comes, and then aborts with SO_LINGER 0.",
        patience_after_the_refusal,
    ),
    Listed::new(
        "news_long_after_the_close",
        "News long after the close",
        "The client has closed in order; the server, which did not, has news 1600 ms later, when \
         the client's kernel has stopped waiting for its FIN (tcp_fin_timeout 1).",
        news_long_after_the_close,
    )
    .slow(),
    Listed::new(
        "going_away_then_gone",
        "Going away, then gone",
        "A gateway (the server here) that retires says so to its three clients (GOAWAY of HTTP/2); \
         400 ms later it aborts with SO_LINGER 0 whoever has not gone.",
        going_away_then_gone,
    ),
    Listed::new(
        "benchmark_over",
        "A benchmark is over",
        "Six clients of a load generator have an answer each and wait for the next one; the time \
         is up, and all six abort with SO_LINGER 0 at once.",
        benchmark_over,
    ),
    Listed::new(
        "page_left_while_it_loads",
        "A page left while it loads",
        "The client has asked for three pictures; of one it has read all, of one a part, of one \
         nothing, when its user goes elsewhere and it closes all three.",
        page_left_while_it_loads,
    ),
];

fn typing_ahead(scene: &Scene<'_>) -> Result<GroundTruth> {
    const LETTERS: &[u8] = b"lab x";
    let listener = scene.listen(8)?;
    let ask = |letters: &[u8]| {
        let pair = scene.pair_at(&listener)?;
        let words =
            [b"GET /suggest?q=", letters, b" HTTP/1.1\r\nHost: search.lab\r\n\r\n"].concat();
        talk(&pair, &[(Side::Client, &words)])?;
        anyhow::Ok(pair)
    };
    let mut connections = Vec::new();
    for end in 1..LETTERS.len() {
        let pair = ask(&LETTERS[..end])?;
        thread::sleep(ms(60));
        scene.lab.client.run(|| sockets::abort(pair.client))?;
        broken(&pair.server)?;
        // It cancels; SO_LINGER 0 is how.
        let reset = Reset::by(Sender::Client, Stage::PostPush, CANCEL);
        connections.push(with(pair.connection, vec![reset.or_as_truly(&["linger0_close"])]));
    }
    let pair = ask(LETTERS)?;
    pair.answer()?;
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done: "four times the server got ECONNRESET" })
}

fn slow_listener_dropped(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let (socket, address) = scene.bound()?;
    options::receive_little(&socket)?;
    let (client, connection) = scene.dial_from((socket, address))?;
    let mut server = scene.lab.server.run(|| sockets::accept(&listener))?;
    options::send_little(&server)?;
    server.set_nonblocking(true).context("asking not to wait for room")?;
    scene.lab.server.run(|| {
        loop {
            match server.write(&[b'n'; 1000]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("sending"),
            }
        }
    })?;
    scene.lab.sniffer(Place::Server).wait_for("a closed window", &connection, |seen| {
        let told = last(seen, &connection, Side::Client)?;
        let sent = last(seen, &connection, Side::Server)?;
        (told.window < 100 && told.ack == sent.next_seq()).then_some(())
    })?;
    // Less than it takes until it is asked whether there is room again.
    thread::sleep(ms(50));
    settle(scene.lab, &connection)?;
    scene.lab.server.run(|| sockets::abort(server))?;
    broken(&client)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, LINGER0);
    Ok(only(connection, vec![reset], "the client got ECONNRESET"))
}

fn deaf_before_the_close(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    scene
        .lab
        .server
        .run(|| pair.server.shutdown(Shutdown::Read).context("shutting down a half"))?;
    scene.lab.client.run(|| sockets::say(&pair.client, b"one more thing\r\n"))?;
    pair.settle()?;
    let reset = Reset::by(Sender::Server, Stage::PostData, UNREAD);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    broken(&pair.client)?;
    Ok(truth)
}

fn patience_after_the_refusal(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HEAD: &[u8] =
        b"PUT /backup HTTP/1.1\r\nHost: store.lab\r\nContent-Length: 9000000\r\n\r\n";
    const REFUSED: &[u8] = b"HTTP/1.1 507 Insufficient Storage\r\nConnection: close\r\n\r\n";
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Client, HEAD), (Side::Client, &[b'u'; 900]), (Side::Server, REFUSED)])?;
    pair.server.shutdown(Shutdown::Write).context("closing the server's direction")?;
    sockets::await_end(&pair.client)?;
    for _ in 0..4 {
        thread::sleep(ms(100));
        talk(&pair, &[(Side::Client, &[b'u'; 1200])])?;
    }
    let cause = ("normal_abortive_close", "rst_after_fin");
    let reset = Reset::by(Sender::Server, Stage::PostFin, cause).or_as_truly(&["linger0_close"]);
    let truth = pair.truth("the client's socket got EPIPE", vec![reset]);
    scene.lab.server.run(|| sockets::abort(pair.server))?;
    sockets::await_error(&pair.client, Errno::EPIPE)?;
    Ok(truth)
}

fn news_long_after_the_close(scene: &Scene<'_>) -> Result<GroundTruth> {
    let key = "net/ipv4/tcp_fin_timeout";
    let setting = scene.lab.set_for_now(&scene.lab.client, &[(key, "1")])?;
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let Pair { connection, client, server, .. } = pair;
    scene.lab.client.run(|| sockets::close(client))?;
    sockets::await_end(&server)?;
    // From the acknowledgment on the setting is not looked at.
    settle(scene.lab, &connection)?;
    drop(setting);
    thread::sleep(ms(1600));
    scene.lab.server.run(|| sockets::say(&server, b"news\r\n"))?;
    sockets::await_error(&server, Errno::EPIPE)?;
    let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_CLOSE);
    Ok(only(connection, vec![reset], "the server's socket got EPIPE"))
}

fn going_away_then_gone(scene: &Scene<'_>) -> Result<GroundTruth> {
    // RFC 9113, 6.8: the last stream is 1, and there is no error.
    const GOAWAY: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0";
    let settings: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], settings].concat();
    let guests = talked(scene, 3, &[(Side::Client, &preface), (Side::Server, settings)])?;
    for guest in &guests {
        talk(guest, &[(Side::Server, GOAWAY)])?;
    }
    thread::sleep(ms(400));
    let mut connections = Vec::new();
    for (number, guest) in guests.into_iter().enumerate() {
        if number == 0 {
            connections.push(guest.connection.clone());
            guest.part()?;
            continue;
        }
        scene.lab.server.run(|| sockets::abort(guest.server))?;
        broken(&guest.client)?;
        // It retires; SO_LINGER 0 is how it ends what is left.
        let cause = ("traffic_management", "lb_drain");
        let reset = Reset::by(Sender::Server, Stage::PostData, cause);
        connections.push(with(guest.connection, vec![reset.or_as_truly(&["linger0_close"])]));
    }
    // Those that were reset come first.
    connections.rotate_left(1);
    Ok(GroundTruth { connections, done: "two clients got ECONNRESET" })
}

fn benchmark_over(scene: &Scene<'_>) -> Result<GroundTruth> {
    let lines: &[(Side, &[u8])] = &[
        (Side::Client, b"GET /bench HTTP/1.1\r\nHost: b.lab\r\n\r\n"),
        (Side::Server, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        (Side::Client, b"GET /bench HTTP/1.1\r\nHost: b.lab\r\n\r\n"),
    ];
    let pairs = talked(scene, 6, lines)?;
    let (mut servers, mut connections, mut clients) = (Vec::new(), Vec::new(), Vec::new());
    for Pair { connection, client, server, .. } in pairs {
        let reset = Reset::by(Sender::Client, Stage::PostData, LINGER0);
        connections.push(with(connection, vec![reset.or_as_truly(&["client_cancel"])]));
        clients.push(client);
        servers.push(server);
    }
    scene.lab.client.run(|| clients.into_iter().try_for_each(sockets::abort))?;
    servers.iter().try_for_each(broken)?;
    passed(scene, connections, "six times the server got ECONNRESET")
}

fn page_left_while_it_loads(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PICTURE: &[u8] = &[0x89; 1300];
    let lines: &[(Side, &[u8])] =
        &[(Side::Client, b"GET /p HTTP/1.1\r\nHost: pictures.lab\r\n\r\n")];
    let mut connections: Vec<Connection> = Vec::new();
    for (number, pair) in talked(scene, 3, lines)?.into_iter().enumerate() {
        for _ in 0..2 {
            scene.lab.server.run(|| sockets::say(&pair.server, PICTURE))?;
            pair.settle()?;
        }
        sockets::hear(&pair.client, &[0x89; 2600][..2600 - 1300 * number])?;
        if number == 0 {
            connections.push(pair.connection.clone());
            pair.part()?;
            continue;
        }
        scene.lab.client.run(|| sockets::close(pair.client))?;
        broken(&pair.server)?;
        // It cancels; that the kernel resets is because the rest lies unread.
        let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
        let reset = reset.or_as_truly(&["closed_with_unread_data"]);
        connections.push(with(pair.connection, vec![reset]));
    }
    // Those that were reset come first.
    connections.rotate_left(1);
    Ok(GroundTruth { connections, done: "twice the server got ECONNRESET" })
}
