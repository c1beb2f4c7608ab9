//! The first words of a side, and those that may turn out to be its last.

use crate::world::*;

const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// What is kept of the server's words, if nothing was said since.
fn last_words(world: &mut World) -> Option<Vec<u8>> {
    let side = world.them();
    let facts = world.flow().facts[side];
    let last = facts.words_len > 0 && facts.words_end == world.hot().seq_end[side];
    last.then(|| facts.words[..usize::from(facts.words_len)].to_vec())
}

#[test]
fn an_alert_and_a_status_line_are_kept_as_last_words() {
    for (words, kept) in [
        (&ALERT[..], &ALERT[..]),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"HTTP/1.1 400 Bad"),
        (b"HTTP/1.0 200", b"HTTP/1.0 200"),
    ] {
        let mut world = World::new();
        world.handshake();
        world.server_says(ACK, S + 1, C + 1, b"what was said before");
        world.server_says(ACK, S + 21, C + 1, words);
        assert_eq!(last_words(&mut world).as_deref(), Some(kept));
    }
}

#[test]
fn other_words_are_not_kept() {
    for words in [&b"HELO mail.example"[..], &[21, 2, 0, 0, 0, 0, 0], &ALERT[..6], b"H", &[21]] {
        let mut world = World::new();
        world.handshake();
        world.server_says(ACK, S + 1, C + 1, words);
        assert_eq!(last_words(&mut world), None, "{}", words.escape_ascii());
    }
}

#[test]
fn what_is_said_afterwards_makes_them_no_longer_last() {
    let mut world = World::new();
    world.handshake();
    world.server_says(ACK, S + 1, C + 1, &ALERT);
    world.server_says(ACK, S + 8, C + 1, b"more");
    assert_eq!(last_words(&mut world), None);
    world.server_says(ACK, S + 1, C + 1, &ALERT);
    assert_eq!(last_words(&mut world), None, "said once more, they stand where they stood");
    world.server_says(ACK, S + 12, C + 1, &ALERT);
    assert!(last_words(&mut world).is_some());
}

#[test]
fn an_acknowledgment_and_a_retransmission_leave_them_the_last() {
    let mut world = World::new();
    world.handshake();
    world.server_says(ACK, S + 1, C + 1, b"before");
    world.server_says(ACK, S + 7, C + 1, &ALERT);
    world.server(ACK, S + 14, C + 1, 0);
    world.server_says(ACK, S + 1, C + 1, b"before");
    world.client(ACK, C + 1, S + 14, 0);
    assert!(last_words(&mut world).is_some());
}

#[test]
fn the_next_connection_of_the_two_ends_begins_without_words() {
    let mut world = World::new();
    world.handshake();
    world.server_says(ACK, S + 1, C + 1, &ALERT);
    world.server(RST, S + 8, 0, 0);
    world.client(SYN, C + 9000, 0, 0);
    let side = world.them();
    assert_eq!(world.flow().facts[side].words_len, 0);
}
