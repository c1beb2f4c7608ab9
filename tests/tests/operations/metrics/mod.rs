//! The metrics of a running tracer: what they say, who may ask, and who cannot disturb it.

mod hostile;
mod prometheus;
mod shipped;

use std::{net::SocketAddr, thread, time::Duration};

use nix::unistd;
use rst_tracer::demo::{sockets, wait};
use rst_tracer_tests::{
    frames::{Tcp, V4, rst, tcp},
    scrape::{self, Page},
    tracer::Tracer,
};
use serde_json::Value;

use crate::{
    net::{in_namespace, set_up},
    pair::{FLOODER, HERE, Pair, THERE, lines, of_type},
    resets::refuse_on_loopback,
};

/// Any free port; loopback is not traced by a [`Pair`].
const LISTEN: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

/// A tracer with metrics, and where they are. `None` without root.
fn traced(arguments: &[&str]) -> Option<(Pair, Tracer, SocketAddr)> {
    let pair = Pair::new()?;
    on(&pair, || set_up("lo"));
    let tracer = pair.trace(&[&LISTEN, arguments].concat());
    let address = scrape::address(&tracer);
    Some((pair, tracer, address))
}

/// Does something on the host that is traced.
fn on<T: Send>(pair: &Pair, work: impl FnOnce() -> T + Send) -> T {
    pair.here.run(|| Ok(work())).expect("it can be entered")
}

/// The metrics as soon as they say that so many resets were seen and none of them waits.
fn settled(pair: &Pair, address: SocketAddr, resets: u64) -> Page {
    let mut page = None;
    let is_settled = || {
        let fetched = on(pair, || Page::fetch(address));
        let seen = fetched.sum("rst_tracer_resets_seen_total", &[]);
        let pending = fetched.sum("rst_tracer_resets_pending", &[]);
        page = Some(fetched);
        thread::sleep(Duration::from_millis(50));
        Ok((seen, pending) == (resets, 0))
    };
    let done = wait::until("all resets to be counted", is_settled);
    let page = page.expect("at least one");
    done.unwrap_or_else(|error| panic!("{error}: {}", page.text));
    page
}

/// Resets of every kind: told, filtered, too many of one connection, too many of none. How many.
fn mixed(pair: &Pair) -> u64 {
    const OF_NONE: u16 = 200;
    const OF_ONE: u32 = 60;
    let socket = pair.flooder();
    let send = |from: [u8; 4], tcp_header: Tcp| {
        let header = V4 { from, to: HERE, ..V4::default() };
        unistd::write(&socket, &tcp(tcp_header).in_v4(header).frame()).expect("sent");
    };
    for port in 0..OF_NONE {
        send(FLOODER, Tcp { from: 1000 + port, to: 80 + port % 2, ..rst() });
    }
    let (client, server) = pair.talks(1).pop().expect("a talk");
    let port = client.local_addr().expect("its own").port();
    // Out of the window: the connection lives on.
    let again = || Tcp { from: port, to: 80, seq: 1, ..rst() };
    for _ in 0..OF_ONE {
        send(THERE, again());
    }
    // The budget of a connection is for a second; the next one tells how many there were.
    thread::sleep(Duration::from_millis(1500));
    send(THERE, again());
    sockets::abort(client).expect("aborted");
    drop(server);
    u64::from(OF_NONE) + u64::from(OF_ONE) + 2
}

#[test]
fn every_reset_is_in_the_metrics_and_they_add_up() {
    let Some((pair, tracer, address)) = traced(&["--no-flow-rate", "20", "--port", "80"]) else {
        return;
    };
    let resets = mixed(&pair);
    let page = settled(&pair, address, resets);
    page.assert_balanced();
    let ended = tracer.interrupt();
    ended.assert_code(0);
    let (summary, lines) = (ended.summary(), lines(&ended));
    assert_eq!(summary.count("resets"), resets, "nothing else was sent");
    let became =
        |outcome: &str| page.sum("rst_tracer_resets_total", &[&format!("outcome=\"{outcome}\"")]);
    let repeated = page.sum("rst_tracer_resets_repeated_total", &[]);
    for (metric, name) in [
        (became("event"), "events"),
        (became("merged"), "further sightings"),
        (became("filtered"), "filtered"),
        (repeated, "repeated"),
        (became("suppressed") - repeated, "suppressed"),
        (became("lost"), "lost"),
        (page.sum("rst_tracer_packets_total", &[]), "segments"),
    ] {
        assert_eq!(metric, summary.count(name), "{name}: {}", page.text);
    }
    for some in ["event", "filtered", "suppressed"] {
        assert!(became(some) > 0, "no {some}: {}", page.text);
    }
    assert!(repeated > 0, "{}", page.text);
    let tracked = page.sum("rst_tracer_segments_tracked_total", &[]);
    let untracked = page.sum("rst_tracer_segments_untracked_total", &[]);
    assert!(tracked > 0 && untracked >= resets, "{}", page.text);
    let told = format!("; {tracked} segments tracked, {untracked} untracked; ");
    assert!(ended.said(&told), "{told}: {ended:#?}");

    let events = of_type(&lines, "rst");
    let count = events.len() as u64;
    for name in ["events_total", "verdicts_total", "settle_seconds_count"] {
        assert_eq!(page.sum(&format!("rst_tracer_{name}"), &[]), count, "{name}: {}", page.text);
    }
    for event in events {
        let same = |other: &&&Value| {
            ["cause", "severity", "direction"].iter().all(|key| other[key] == event[key])
        };
        let alike = of_type(&lines, "rst").iter().filter(same).count() as u64;
        let label = |(name, key): (&str, &str)| format!("{name}={}", event[key]);
        let same = ["direction", "class", "cause", "severity"].map(|key| label((key, key)));
        let labels = [&same[..], &[label(("iface", "interface"))]].concat();
        let told = page
            .sum("rst_tracer_events_total", &labels.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(told, alike, "{labels:?}: {}", page.text);
    }
    assert_eq!(page.sum("rst_tracer_interface_attached", &["iface=\"h0\""]), 2);
    assert_eq!(page.sum("rst_tracer_flow_table_size", &[]), 4096);
    for address in [FLOODER, HERE, THERE] {
        let address = std::net::IpAddr::from(address).to_string();
        assert!(!page.text.contains(&address), "an address is no label: {}", page.text);
    }
}

#[test]
fn an_interface_that_vanishes_is_attached_no_more() {
    let Some((pair, tracer, address)) = traced(&[]) else { return };
    on(&pair, || crate::net::delete(&crate::net::link("h0")));
    wait::until("it to be gone", || {
        let page = on(&pair, || Page::fetch(address));
        Ok(page.sum("rst_tracer_interface_attached", &[]) == 0)
    })
    .expect("gone");
    tracer.interrupt().assert_code(0);
}

#[test]
fn loopback_lacks_nothing() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&LISTEN);
        let address = scrape::address(&tracer);
        refuse_on_loopback(2);
        tracer.out.await_count(2);
        let page = Page::fetch(address);
        let attached = |direction| page.sum("rst_tracer_interface_attached", &[direction]);
        assert_eq!(attached("direction=\"egress\""), 1, "{}", page.text);
        assert!(!page.text.contains("mode=\"nothing\""), "no alert about that: {}", page.text);
        tracer.interrupt().assert_code(0);
    });
}
