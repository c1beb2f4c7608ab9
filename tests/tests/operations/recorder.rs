//! With the recorder off a long connection's reset has no last segments, and all else; a short one's has all of them.

use std::net::SocketAddr;

use rst_tracer::demo::sockets;
use serde_json::Value;

use crate::pair::{HERE, Pair, THERE};

/// Resets of two connections, one of few turns and one of many, both aborted by the server here.
fn resets_after(turns: [usize; 2], recorder: &str) -> Option<[Value; 2]> {
    let pair = Pair::beside_others()?;
    let tracer = pair.trace(&["--recorder", recorder, "--kernel-scope", "netns"]);
    for turns in turns {
        converse_and_abort(&pair, turns);
    }
    let lines = tracer.out.await_count(2);
    let ended = tracer.interrupt();
    ended.assert_code(0);
    ended.summary().assert_balanced();
    let event = |line: &String| serde_json::from_str(line).expect("JSON");
    Some([event(&lines[0]), event(&lines[1])])
}

fn converse_and_abort(pair: &Pair, turns: usize) {
    let here = SocketAddr::from((HERE, 0));
    let listener = pair.here.run(|| sockets::listen_on(here, 1)).expect("a listener");
    let address = listener.local_addr().expect("its address");
    let (client, _) = pair.there.run(|| sockets::bound(THERE.into())).expect("a socket");
    pair.there.run(|| Ok(sockets::connect(&client, address)?)).expect("a connection");
    let client = std::net::TcpStream::from(client);
    let server = sockets::accept(&listener).expect("accepted");
    for _ in 0..turns {
        sockets::say(&client, b"question").expect("said");
        sockets::hear(&server, b"question").expect("heard");
        sockets::say(&server, b"answer").expect("said");
        sockets::hear(&client, b"answer").expect("heard");
    }
    pair.here.run(|| sockets::abort(server)).expect("aborted");
}

#[test]
fn with_the_recorder_off_only_long_connections_lack_their_last_segments() {
    let Some(off) = resets_after([2, 40], "off") else { return };
    let Some(on) = resets_after([2, 40], "on") else { return };
    let recent = |event: &Value| event["recent"].as_array().map_or(0, Vec::len);
    assert_eq!([&off, &on].map(|events| recent(&events[0]) > 3), [true; 2], "{off:#?}");
    assert_eq!((recent(&off[1]), recent(&on[1])), (0, 16), "{off:#?}");
    for (off, on) in off.iter().zip(&on) {
        for key in ["cause", "class", "sent_by", "stage", "effect", "origin", "direction"] {
            assert_eq!(off[key], on[key], "{key}: {off:#?}");
        }
        for side in ["client", "server"] {
            assert_eq!(off["flow"][side]["bytes"], on["flow"][side]["bytes"], "{off:#?}");
        }
        assert_eq!(off["process"]["pid"], std::process::id());
    }
    assert!(off[1]["flow"]["idle_ms"].as_u64() < Some(1_000), "{off:#?}");
}
