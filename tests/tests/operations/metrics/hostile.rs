//! Clients that are slow, confused or hostile.

use std::{
    io::Write,
    net::TcpListener,
    time::{Duration, Instant},
};

use rst_tracer::demo::sockets;
use rst_tracer_tests::{
    scrape::{self, Page},
    tracer::{Tracer, command},
};

use super::{on, settled, traced};
use crate::{net::set_up, pair::Pair};

/// A request and how the answer to it begins.
fn wrong() -> [(Vec<u8>, &'static str); 8] {
    let long = |length| [b"GET /".as_slice(), &vec![b'a'; length]].concat();
    [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "HTTP/1.1 404 "),
        (b"GET /metrics/../../etc/passwd HTTP/1.1\r\n\r\n".to_vec(), "HTTP/1.1 404 "),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\nsome=body".to_vec(), "HTTP/1.1 405 "),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".to_vec(), "HTTP/1.1 400 "),
        (b"\0\xff\xfe\n\n".to_vec(), "HTTP/1.1 400 "),
        (b"GET /metrics HTTP/1.1\r\nHost: half a requ".to_vec(), "HTTP/1.1 408 "),
        (long(10_000), "HTTP/1.1 431 "),
        (long(500_000), "HTTP/1.1 431 "),
    ]
}

#[test]
fn who_asks_wrongly_is_told_so_and_disturbs_nothing() {
    let Some((pair, tracer, address)) = traced(&[]) else { return };
    let talks = pair.talks(wrong().len());
    on(&pair, || {
        // They say nothing, and stay.
        let _silent = [(); 3].map(|()| scrape::connect(address));
        for ((request, status), (client, _)) in wrong().into_iter().zip(talks) {
            let answer = scrape::ask(address, &request);
            let begin = String::from_utf8_lossy(&request[..request.len().min(40)]).into_owned();
            let answer = answer.unwrap_or_else(|error| panic!("{begin:?}: {error}"));
            assert!(answer.starts_with(status), "{begin:?}: {answer}");
            sockets::abort(client).expect("aborted");
        }
        // Asks, and does not stay to hear it.
        for _ in 0..20 {
            let mut client = scrape::connect(address);
            client.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("sent");
            sockets::abort(client).expect("aborted");
        }
        assert_eq!(scrape::get(address, "/healthz"), "ok\n");
    });
    let count = wrong().len();
    let page = settled(&pair, address, count as u64);
    page.assert_balanced();
    let ended = tracer.interrupt();
    ended.assert_code(0);
    assert_eq!(ended.out.len(), count);
}

#[test]
fn who_says_nothing_holds_nobody_up() {
    let Some((pair, tracer, address)) = traced(&[]) else { return };
    on(&pair, || {
        // More than one comes between two scrapes; each may stay for a second.
        let _silent = [(); 5].map(|()| scrape::connect(address));
        let begin = Instant::now();
        assert_eq!(scrape::get(address, "/healthz"), "ok\n");
        let took = begin.elapsed();
        assert!(took < Duration::from_millis(700), "{took:?}");
    });
    tracer.interrupt().assert_code(0);
}

#[test]
fn who_hears_nothing_does_not_hold_it_up_forever() {
    let Some((pair, tracer, address)) = traced(&[]) else { return };
    on(&pair, || {
        let begin = Instant::now();
        let mut deaf = scrape::connect(address);
        deaf.write_all(&b"GET /metrics HTTP/1.1\r\n\r\n".repeat(1000)).expect("sent");
        assert!(!Page::fetch(address).text.is_empty());
        assert!(begin.elapsed().as_secs() < 10, "others wait {:?}", begin.elapsed());
    });
    tracer.interrupt().assert_code(0);
}

#[test]
fn an_address_that_is_taken_is_an_error_before_anything_is_attached() {
    let Some(pair) = Pair::new() else { return };
    on(&pair, || {
        set_up("lo");
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("its address").to_string();
        let arguments = ["trace", "-i", "h0", "--metrics-listen", &address];
        let ended = Tracer::spawn(&mut command(&arguments)).wait();
        ended.assert_code(1);
        let why = format!("cannot serve metrics at {address}: Address already in use");
        assert!(ended.said(&why), "{ended:#?}");
        assert!(!ended.said("h0: ingress"), "{ended:#?}");

        let arguments = ["trace", "--metrics-listen", "192.0.2.77:9100"];
        let ended = Tracer::spawn(&mut command(&arguments)).wait();
        ended.assert_code(1);
        assert!(ended.said("cannot serve metrics at 192.0.2.77:9100: Cannot assign"), "{ended:#?}");
    });
}
