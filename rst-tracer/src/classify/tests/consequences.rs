//! How much attention a reset deserves and whose fault it is: what its context changes.

use rst_tracer_common::{
    event::Hook,
    notice::{Point, notice_trait},
};

use super::{both, expect, sane};
use crate::{
    classify::consequence_in_words,
    correlate::story::{
        ACK, Packet, RST, Story,
        Who::{Client, Server},
    },
    event::{AtFault, Cause, Effect, RstEvent, Severity},
};

fn meaning(event: &RstEvent) -> (Severity, AtFault) {
    (event.severity, event.at_fault)
}

/// A story that is told where segments leave.
fn here() -> Story {
    let mut story = Story::v4();
    (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
    story
}

#[test]
fn a_client_that_gives_up_late_deserves_a_look() {
    for (ms, severity) in [(100, Severity::Info), (3000, Severity::Low)] {
        let mut story = Story::v4();
        story.syn().wait(ms).syn_ack().wait(1).disown(Client);
        let event = expect(&mut story, Cause::ClientGaveUp);
        assert_eq!((event.severity, event.at_fault), (severity, AtFault::Nobody), "{ms} ms");
    }
}

#[test]
fn a_client_that_waited_long_for_an_answer_blames_the_server() {
    let told = |ms| {
        let mut story = Story::v4();
        story.handshake().exchange().say(Client, b"GET /slow HTTP/1.1\r\n\r\n").wait(1);
        story.ack(Server).wait(ms).abort(Client);
        let event = expect(&mut story, Cause::ClientCancel);
        (event.severity, event.at_fault)
    };
    assert_eq!(told(50), (Severity::Info, AtFault::Nobody));
    assert_eq!(told(9000), (Severity::Medium, AtFault::Server));
}

#[test]
fn an_abort_that_throws_its_own_data_away_is_its_senders_fault() {
    for mut story in both() {
        story.handshake().exchange().say(Server, b"the end of it").wait(500).abort(Server);
        let event = expect(&mut story, Cause::Linger0Close);
        assert_eq!((event.severity, event.at_fault), (Severity::Low, AtFault::Server));
    }
    for mut story in both() {
        story.handshake().exchange().say(Server, b"on its way").wait(5).abort(Server);
        let event = expect(&mut story, Cause::Linger0Close);
        assert_eq!((event.severity, event.at_fault), (Severity::Info, AtFault::Nobody));
    }
}

#[test]
fn a_forged_reset_that_nobody_believed_did_no_harm() {
    for (beyond, effect) in [(1000, Effect::Challenged), (0x5000_0000, Effect::Ignored)] {
        let mut story = Story::v4();
        story.handshake().exchange();
        let usual = story.packet(Server, RST | ACK);
        let seq = usual.seq.wrapping_add(beyond);
        story.send(Packet {
            seq,
            window: 0,
            options: vec![],
            ttl: 50,
            ip_id: 1,
            df: false,
            ..usual
        });
        if effect == Effect::Challenged {
            story.wait(10).ack(Client);
        }
        story.wait(10).exchange();
        let event = expect(&mut story, Cause::BlindResetAttempt);
        assert_eq!(event.effect, effect);
        assert_eq!(meaning(&event), (Severity::Low, AtFault::Network));
    }
}

#[test]
fn a_firewall_that_cuts_a_connection_in_use_deserves_more_than_one_that_refuses() {
    let mut refused = Story::v4().with_tos(0x20);
    refused.syn().wait(5).reject(Server);
    let event = expect(&mut refused, Cause::HostFirewallReject);
    assert_eq!(meaning(&event), (Severity::Low, AtFault::Server));

    let mut cut = here();
    cut.handshake().exchange().say(Client, b"more").reject(Server);
    cut.kernel_drops(Client, "NETFILTER_DROP");
    let event = expect(&mut cut, Cause::HostFirewallReject);
    assert_eq!(meaning(&event), (Severity::Medium, AtFault::Server));
}

#[test]
fn a_process_that_was_asked_to_end_did_not_crash() {
    for (signal, severity) in [(11, Severity::High), (9, Severity::High), (15, Severity::Medium)] {
        let mut story = here();
        story.handshake().exchange().abort(Server);
        let mut notice = story.statement(Point::SEND_RESET, Server, "TCP_ABORT_ON_CLOSE");
        notice.wire.traits |= notice_trait::SOCKET | notice_trait::EXITING;
        notice.wire.exit_code = signal;
        notice.state = Some("CLOSE".into());
        story.hear(notice);
        let event = expect(&mut story, Cause::ProcessCrashOrKill);
        assert_eq!(meaning(&event), (severity, AtFault::Server), "signal {signal}");
    }
}

#[test]
fn lost_answers_to_probes_are_the_networks_fault_and_unseen_probes_nobodys() {
    // As many probes as are needed, each answered here.
    let mut answered = Story::v4();
    answered.handshake().exchange().wait(1000);
    for _ in 0..3 {
        answered.probe(Client).wait(1).ack(Server).wait(999);
    }
    answered.abort(Client);
    let event = expect(&mut answered, Cause::KeepaliveTimeout);
    assert_eq!(meaning(&event), (Severity::Medium, AtFault::Network));

    let mut silent = Story::v4();
    silent.handshake().exchange().wait(1000).probe(Client).wait(1000).probe(Client).wait(1000);
    let event = expect(silent.abort(Client), Cause::KeepaliveTimeout);
    assert_eq!(meaning(&event), (Severity::Medium, AtFault::Unknown));

    // The kernel says so, and none was seen: nothing says that answers were lost.
    let mut unseen = here();
    unseen.handshake().exchange().abort(Server).kernel_aborts(Server, "TCP_KEEPALIVE_TIMEOUT");
    let event = sane(unseen.first());
    assert_eq!(event.cause, Cause::KeepaliveTimeout);
    assert_eq!(meaning(&event), (Severity::Medium, AtFault::Unknown));
}

#[test]
fn the_words_of_a_cause_say_what_its_context_changes() {
    assert_eq!(consequence_in_words(Cause::ClosedPort), ["severity low, at fault: unknown"]);
    // Nobody believed one that is called so, and the table does not pretend otherwise.
    let blind = consequence_in_words(Cause::BlindResetAttempt);
    assert_eq!(blind, ["severity low, at fault: the network"]);
    let cancel = consequence_in_words(Cause::ClientCancel);
    assert_eq!(cancel[0], "severity info, at fault: nobody");
    assert!(cancel[1].starts_with("severity medium, at fault: the server if "), "{cancel:?}");
    let keepalive = consequence_in_words(Cause::KeepaliveTimeout);
    assert!(keepalive[1].starts_with("severity medium, at fault: the network if "));
}
