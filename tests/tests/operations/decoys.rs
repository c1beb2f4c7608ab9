//! A volley of guessed resets with the right one at its end: that one is told, and is the one that the kernel believed.

use nix::errno::Errno;
use rst_tracer::demo::{forge::Forgery, packet, sniffer::Sniffer, sockets, truth::Connection};
use rst_tracer_tests::frames::flags::RST;

use crate::pair::{Pair, lines, of_type};

#[test]
fn decoys_do_not_hide_the_reset_that_was_believed() {
    const DECOYS: u32 = 40;
    let Some(pair) = Pair::new() else { return };
    let sniffer = Sniffer::start(&pair.there, "t0").expect("a capture");
    let tracer = pair.trace_as_asked(&[]);
    let (client, server) = pair.talks(1).pop().expect("a connection");
    let [client_at, server_at] =
        [client.local_addr(), client.peer_addr()].map(|at| at.expect("an address"));
    let connection = Connection { client: client_at, server: server_at, resets: Vec::new() };
    let seen = sniffer.wait_for("the request", &connection, |segments| {
        let mut of_both = segments.iter().map(|sighting| &sighting.segment);
        of_both.rfind(|segment| segment.src == client_at && segment.payload_len > 0).cloned()
    });
    let exact = Forgery { ack: 0, ..Forgery::after(&seen.expect("the request"), RST) };
    let send =
        |forgery: &Forgery| packet::inject(&pair.there, "t0", &forgery.to_frame()).expect("sent");
    for i in 0..DECOYS {
        send(&Forgery { seq: exact.seq.wrapping_add(1_000_000_000 + i * 65_535), ..exact.clone() });
    }
    send(&exact);
    sockets::await_error(&server, Errno::ECONNRESET).expect("the connection is reset");
    let is_told = |line: &str| line.contains("\"effect\":\"accepted\"");
    tracer.out.await_line("the reset that was believed", is_told);
    let ended = tracer.interrupt();
    ended.assert_code(0);
    let (summary, lines) = (ended.summary(), lines(&ended));
    summary.assert_balanced();
    assert_eq!(summary.count("resets"), u64::from(DECOYS) + 1);
    let events = of_type(&lines, "rst");
    assert_eq!(events.len(), 17, "{events:#?}");
    let believed: Vec<_> = events.iter().filter(|event| event["effect"] == "accepted").collect();
    assert_eq!(believed.len(), 1, "{believed:#?}");
    assert_eq!(believed[0]["segment"]["seq"], exact.seq, "{}", believed[0]);
    assert_eq!(believed[0]["repeats"], DECOYS - 16, "{}", believed[0]);
}
