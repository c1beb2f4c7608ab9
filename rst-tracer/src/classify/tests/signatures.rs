//! The tampering signatures, in both directions.

use crate::correlate::story::{ACK, Client, Packet, RST, Server, Story, Who};

/// A reset: whether it has the ACK flag, else what stands in its acknowledgment field.
type Shot = (bool, u32);

/// A story up to some point of the client's, then resets.
fn signature(from: Who, progress: usize, resets: &[Shot]) -> Option<String> {
    let mut story = Story::v4();
    story.syn().wait(5);
    if progress > 0 {
        story.syn_ack().wait(5).ack(Client).wait(5);
    }
    for _ in 1..progress {
        story.say(Client, b"words").wait(5);
    }
    for (i, (has_ack, ack)) in resets.iter().enumerate() {
        let flags = if *has_ack { RST | ACK } else { RST };
        let usual = story.packet(from, flags);
        let ack = if *has_ack { usual.ack } else { *ack };
        story.send(Packet { ack, ip_id: 500 + i as u16, window: 0, options: vec![], ..usual });
    }
    story.first().signature.map(Into::into)
}

#[test]
fn each_signature_is_named_in_both_directions() {
    const R: Shot = (false, 0);
    const R7: Shot = (false, 7);
    const R8: Shot = (false, 8);
    const RA: Shot = (true, 0);
    let rows: [(usize, &[Shot], &str); 16] = [
        (0, &[R], "SYN → RST"),
        (0, &[RA], "SYN → RST+ACK"),
        (0, &[R, RA], "SYN → RST;RST+ACK"),
        (1, &[R], "SYN;ACK → RST"),
        (1, &[R, R], "SYN;ACK → RST;RST"),
        (1, &[RA], "SYN;ACK → RST+ACK"),
        (1, &[RA, RA], "SYN;ACK → RST+ACK;RST+ACK"),
        (2, &[R], "PSH+ACK → RST"),
        (2, &[RA], "PSH+ACK → RST+ACK"),
        (2, &[R, RA], "PSH+ACK → RST;RST+ACK"),
        (2, &[RA, RA, RA], "PSH+ACK → RST+ACK;RST+ACK"),
        (2, &[R7, R7], "PSH+ACK → RST=RST"),
        (2, &[R7, R8], "PSH+ACK → RST≠RST"),
        (2, &[R7, R], "PSH+ACK → RST;RST0"),
        (3, &[R], "PSH+ACK;Data → RST"),
        (3, &[RA], "PSH+ACK;Data → RST+ACK"),
    ];
    for (progress, resets, name) in rows {
        for from in [Client, Server] {
            assert_eq!(signature(from, progress, resets).as_deref(), Some(name), "{from:?}");
        }
    }
}

#[test]
fn an_orderly_end_and_an_unseen_beginning_match_none() {
    let mut closed = Story::v4();
    closed.handshake().exchange().fin(Client).wait(1).abort(Server);
    assert_eq!(closed.first().signature, None);
    let mut late = Story::v4();
    late.exchange().abort(Server);
    assert_eq!(late.first().signature, None);
}

#[test]
fn a_further_reset_is_named_with_the_first_and_its_progress() {
    let mut story = Story::v4();
    story.handshake().say(Client, b"one").wait(5).abort(Server).wait(1);
    story.say(Client, b"two").wait(1).disown(Server);
    let told = story.told();
    assert!(told.iter().all(|e| e.signature.as_deref() == Some("PSH+ACK → RST;RST+ACK")));
}
