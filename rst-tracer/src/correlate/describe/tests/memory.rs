//! What the tracker remembers for the engine, as the engine reads it.

use crate::classify::{LastWords, Past};
use crate::correlate::story::{ACK, Client, FIN, PSH, Packet, Server, Story};

/// Asks about the past of the first reset.
fn ask<T>(story: &mut Story, question: impl Fn(&Past<'_>) -> T) -> T {
    let joined = story.joined();
    let state = joined.reset.flow.as_deref().unwrap();
    question(&Past::of(state, joined.reset.rst.head.side))
}

#[test]
fn an_alert_behind_data_is_the_servers_last_word() {
    let mut story = Story::v4();
    story.handshake().exchange().say(Server, &[21, 3, 3, 0, 2, 2, 80]).abort(Server);
    let alert = LastWords::TlsAlert { level: Some(2), description: Some(80) };
    let words = ask(&mut story, |past| (past.my_last_words(), past.their_last_words()));
    assert_eq!(words, (Some(alert), None));
}

#[test]
fn a_status_line_stays_the_last_word_behind_a_fin() {
    for with_fin in [true, false] {
        let mut story = Story::v4();
        story.handshake().say(Client, b"GET / HTTP/1.1\r\n\r\n").ack(Server);
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
        let flags = if with_fin { FIN | PSH | ACK } else { PSH | ACK };
        let answer = Packet { payload: answer, ..story.packet(Server, flags) };
        story.send(answer);
        if !with_fin {
            story.fin(Server);
        }
        story.abort(Client);
        let words = ask(&mut story, |past| past.their_last_words());
        assert_eq!(words, Some(LastWords::HttpStatus(400)));
    }
}

#[test]
fn words_that_more_followed_are_not_the_last() {
    let mut story = Story::v4();
    story.handshake().say(Server, b"HTTP/1.1 200 OK\r\n\r\n").say(Server, b"body").abort(Server);
    assert_eq!(ask(&mut story, |past| past.my_last_words()), None);
}

#[test]
fn the_timestamps_of_the_handshake_can_be_compared() {
    let mut story = Story::v4();
    story.syn();
    let sent = u32::from_be_bytes(story.packet(Client, ACK).options[4..8].try_into().unwrap());
    let mut answer = story.packet(Server, 2 | ACK);
    answer.options[8..12].copy_from_slice(&77_u32.to_be_bytes());
    story.send(answer).wait(1).disown(Client);
    let stamps = ask(&mut story, |past| (past.syn_tsval(), past.syn_ack_tsecr()));
    assert_eq!(stamps, (Some(sent), Some(77)));
}

#[test]
fn a_server_is_known_by_the_last_connection_that_it_accepted() {
    let mut story = Story::v4();
    story.handshake().wait(5000).abort(Server).abort(Client);
    let accepted_ago = story.joined().crowd.accepted_ago_ns.unwrap();
    assert!((5_000_000_000..5_030_000_000).contains(&accepted_ago), "{accepted_ago}");
    assert_eq!(story.joined().crowd.accepted_ago_ns, None, "the client accepted nothing");
}
