//! Data as TCP sends it: headers in one buffer, and what is said in others.

use std::{
    fs::File,
    io::{Seek, Write},
    net::IpAddr,
    process::Command,
};

use rst_tracer::{
    demo::{lab::Lab, sockets, truth::Side},
    source::live::evidence::Scope,
};
use rst_tracer_common::{flow::HEAD, wire::Seq};

use crate::{LOOPBACKS, Pair, ear::Ear, in_laboratory, listener, on_server, pair};

const FIRST: &[u8; HEAD] = b"the first words.";
const LAST: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\r\n";
/// Bytes that are sent at once, and segments of one byte after them.
const AT_ONCE: usize = 40_000;
const SMALL: usize = 200;

#[test]
fn data_behind_the_buffer_of_the_headers_takes_the_short_way_and_its_words_are_kept() {
    in_laboratory(|lab| {
        for by_device in ["on", "off"] {
            on_server(lab, || {
                let mut segment = Command::new("ethtool");
                let segment = segment.args(["-K", "lo", "tso", by_device, "gso", by_device]);
                assert!(segment.status().expect("ethtool is installed").success());
            });
            for ip in LOOPBACKS {
                for from_file in [false, true] {
                    talk(lab, ip, from_file);
                }
            }
        }
    });
}

fn talk(lab: &Lab, ip: IpAddr, from_file: bool) {
    let ear = Ear::open(lab.host(Side::Server), Scope::Netns);
    let server_at = on_server(lab, || {
        let Pair { client, server, at } = pair(&listener(ip));
        server.set_nodelay(true).expect("an option");
        let much = [&FIRST[..], &vec![b'.'; AT_ONCE - HEAD]].concat();
        if from_file {
            let mut file: File = tempfile::tempfile().expect("a file");
            file.write_all(&much).and_then(|()| file.rewind()).expect("written");
            // This is sendfile(2).
            std::io::copy(&mut file, &mut &server).expect("sent");
        } else {
            sockets::say(&server, &much).expect("sent");
        }
        sockets::hear(&client, &much).expect("heard");
        for _ in 0..SMALL {
            // One by one, or TCP would join them.
            sockets::say(&server, b".").expect("sent");
            sockets::hear(&client, b".").expect("heard");
        }
        sockets::say(&server, LAST).expect("sent");
        sockets::hear(&client, LAST).expect("heard");
        sockets::abort(server).expect("aborted");
        at[1]
    });
    let heard = ear.close();
    let what = format!("{ip}, from a file: {from_file}");
    let is_it = |reset: &&rst_tracer::source::Reset| reset.rst.head.segment.src == server_at;
    let reset = heard.resets().find(is_it).expect("the reset");
    let (rst, side) = (&reset.rst, usize::from(reset.rst.head.side));
    assert_eq!(rst.frame[12..14], if ip.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] }, "{what}");
    let flow = reset.flow.as_ref().expect("its connection");
    let facts = &flow.flow.facts[side];
    assert_eq!((&facts.head, facts.head_len), (FIRST, HEAD as u8), "{what}");
    assert_eq!((&facts.words[..], facts.words_len), (&LAST[..HEAD], HEAD as u8), "{what}");
    assert_eq!(facts.words_end, flow.hot.seq_end[side], "{what}");
    let said = (AT_ONCE + SMALL + LAST.len()) as u64;
    assert_eq!(flow.hot.counts[side].bytes, said, "{what}");
    assert_eq!(flow.hot.seq_end[side], facts.isn + 1 + said as u32, "{what}");
    assert_ne!(facts.isn, Seq(0));
    assert!(heard.usual >= SMALL as u64 / 2, "{what}: {} took the short way", heard.usual);
}
