//! What the sender's kernel told, against the same bytes without it.

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use rst_tracer_common::event::Hook;
use rst_tracer_common::notice::{Point, notice_trait};

use super::{expect, sane};
use crate::correlate::story::{ACK, Client, FIN, PSH, Packet, SYN, Server, Story};
use crate::correlate::{Rules, Scene, SendReset, Witnesses, describe};
use crate::event::{AtFault, Basis, Cause, Origin, Process, RstEvent};

/// A story that is told where segments leave.
fn here() -> Story {
    let mut story = Story::v4();
    (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
    story
}

/// The cause of a reset of a living socket of the server, after request and answer.
fn told(reason: &'static str) -> Cause {
    let mut story = here();
    story.handshake().exchange().abort(Server).kernel_aborts(Server, reason);
    let event = sane(story.first());
    assert_eq!(event.basis, Basis::WireKernel, "{event:#?}");
    assert!(event.evidence[0].text.contains(reason), "{event:#?}");
    event.cause
}

#[test]
fn one_form_on_the_wire_is_many_causes_by_the_kernels_reason() {
    assert_eq!(told("TCP_ABORT_ON_CLOSE"), Cause::ClosedWithUnreadData);
    assert_eq!(told("TCP_ABORT_ON_MEMORY"), Cause::OrphanOrMemoryPressure);
    assert_eq!(told("TCP_KEEPALIVE_TIMEOUT"), Cause::KeepaliveTimeout);
    assert_eq!(told("TCP_DISCONNECT_WITH_DATA"), Cause::RstAfterFin);
    assert_eq!(told("MPTCP_RST_ERESOURCE"), Cause::MptcpResource);
    assert_eq!(told("MPTCP_RST_EMIDDLEBOX"), Cause::MptcpProtocol);
}

#[test]
fn a_client_that_leaves_old_words_unread_misses_no_answer() {
    let told = |asks_again: bool| {
        let mut story = here();
        story.handshake().say(Client, b"hello").wait(5).say(Server, b"tickets").wait(5);
        if asks_again {
            story.say(Client, b"bye").wait(5).ack(Server).wait(5);
        }
        story.abort(Client).kernel_aborts(Client, "TCP_ABORT_ON_CLOSE");
        sane(story.first()).cause
    };
    assert_eq!((told(true), told(false)), (Cause::ClosedWithUnreadData, Cause::ClientCancel));
}

#[test]
fn two_alike_at_the_end_of_a_tls_handshake_are_tickets_and_no_answer() {
    let hello = [&[0x16, 0x03, 0x01][..], &[0; 300]].concat();
    let told = |lens: [usize; 2], gap_ms: u64| {
        let mut story = here();
        story.handshake().say(Client, &hello).wait(5).say(Server, &hello).wait(5);
        story.say(Client, &[0x17; 80]).say(Client, &[0x17; 37]).wait(5);
        story
            .say(Server, &vec![0x17; lens[0]])
            .wait(gap_ms)
            .say(Server, &vec![0x17; lens[1]])
            .wait(5);
        story.abort(Client).kernel_aborts(Client, "TCP_ABORT_ON_CLOSE");
        sane(story.first()).cause
    };
    assert_eq!(told([255, 255], 0), Cause::ClosedWithUnreadData);
    for (lens, gap_ms) in [([255, 255], 40), ([255, 610], 0), ([1400, 1400], 0)] {
        assert_eq!(told(lens, gap_ms), Cause::ClientCancel, "{lens:?} {gap_ms}");
    }
}

#[test]
fn a_socket_destroyed_in_its_state_was_destroyed_from_outside() {
    let mut story = here();
    story.handshake().exchange().abort(Server);
    let mut notice = story.statement(Point::SEND_RESET, Server, "TCP_STATE");
    notice.wire.traits |= notice_trait::SOCKET;
    notice.state = Some("ESTABLISHED".into());
    story.hear(notice);
    assert!(expect(&mut story, Cause::AdminKill).confidence.percent() >= 95);
}

#[test]
fn a_socket_without_a_file_was_never_accepted() {
    let mut story = here();
    story.handshake().abort(Server).kernel_aborts(Server, "TCP_STATE");
    let event = expect(&mut story, Cause::RestartWithPendingConnections);
    assert!(event.confidence.percent() >= 95);
}

#[test]
fn a_socket_closed_by_a_dying_process_names_the_signal() {
    let mut story = here();
    story.handshake().exchange().abort(Server);
    let mut notice = story.statement(Point::SEND_RESET, Server, "TCP_ABORT_ON_CLOSE");
    notice.wire.traits |= notice_trait::SOCKET | notice_trait::EXITING;
    notice.wire.exit_code = 9;
    notice.state = Some("CLOSE".into());
    story.hear(notice);
    let event = expect(&mut story, Cause::ProcessCrashOrKill);
    assert!(event.evidence.iter().any(|e| e.text.contains("SIGKILL")), "{event:#?}");
}

#[test]
fn a_refused_syn_that_no_socket_waited_for_met_a_closed_port() {
    let mut story = here();
    story.syn().kernel_answers(Server, "NO_SOCKET").disown(Server);
    let event = expect(&mut story, Cause::ClosedPort);
    assert!(event.confidence.percent() >= 95 && event.origin == Origin::Endpoint);
}

#[test]
fn many_ports_that_refuse_one_client_answer_a_scan_whatever_the_kernel_says() {
    let mut story = here();
    for port in 1..=25 {
        story.another_server(port).syn().kernel_answers(Server, "NO_SOCKET").disown(Server);
    }
    let told: Vec<Cause> = story.told().iter().map(|event| event.cause).collect();
    assert_eq!((told[0], told[24]), (Cause::ClosedPort, Cause::ScanResponse), "{told:?}");
}

#[test]
fn a_listener_that_refuses_the_last_ack_has_a_full_queue() {
    let mut story = here();
    story.handshake().kernel_answers(Server, "INVALID_SYN").disown(Server);
    assert!(expect(&mut story, Cause::AcceptQueueOverflow).confidence.percent() >= 95);
}

#[test]
fn where_tcp_would_have_spoken_its_silence_and_a_drop_show_the_filter() {
    let witnesses = Witnesses {
        send_reset: SendReset::Always,
        receive_reset: true,
        drops: true,
        ..Witnesses::default()
    };
    let mut story = here().by(Rules { witnesses, ..Rules::default() });
    (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
    story.handshake().exchange().say(Client, b"more").reject(Server);
    story.kernel_drops(Client, "NETFILTER_DROP");
    let event = expect(&mut story, Cause::HostFirewallReject);
    assert_eq!(event.origin, Origin::HostFirewall);
    assert!(event.confidence.percent() >= 95, "{event:#?}");
}

#[test]
fn without_such_a_witness_silence_says_nothing() {
    let mut story = here();
    story.handshake().exchange().say(Client, b"more").reject(Server);
    assert!(sane(story.first()).confidence.percent() < 95);
}

#[test]
fn silence_after_a_loss_of_statements_proves_nothing() {
    let witnesses = Witnesses {
        send_reset: SendReset::Always,
        receive_reset: true,
        drops: true,
        ..Witnesses::default()
    };
    let told = |is_lost: bool| {
        let mut story = here().by(Rules { witnesses, ..Rules::default() });
        (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
        story.handshake().exchange().abort(Server);
        if is_lost {
            story.lose_statements();
        }
        sane(story.first())
    };
    let silent = told(false);
    assert_eq!(silent.cause, Cause::InjectedReset, "{silent:#?}");
    assert_eq!(silent.basis, Basis::WireKernel);
    let lossy = told(true);
    assert_eq!(lossy.cause, Cause::Linger0Close, "{lossy:#?}");
    assert_eq!(lossy.basis, Basis::Wire);
}

#[test]
fn a_syn_that_no_socket_had_sent_is_a_programs_and_one_that_gave_up_is_known() {
    let witnesses = Witnesses { states: true, ..Witnesses::default() };
    let told = |gave_up: bool| {
        let mut story = here().by(Rules { witnesses, ..Rules::default() });
        (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
        story.syn().wait(5).syn_ack();
        let mut notice =
            story.about_last(story.statement(Point::SEND_RESET, Client, "NO_SOCKET"), Server);
        if gave_up {
            notice.wire.traits |= notice_trait::STATE_BEFORE;
            notice.state_before = Some("SYN_SENT".into());
        }
        story.hear(notice).disown(Client);
        sane(story.first()).cause
    };
    assert_eq!((told(false), told(true)), (Cause::ScannerProbe, Cause::ClientGaveUp));
}

#[test]
fn a_filters_drop_shows_the_filter_where_tcp_would_not_have_spoken() {
    let mut story = here();
    (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
    story.syn().wait(1).reject(Server).kernel_drops(Client, "NETFILTER_DROP");
    let event = expect(&mut story, Cause::HostFirewallReject);
    assert!(event.confidence.percent() >= 95, "{event:#?}");
}

#[test]
fn a_filter_that_rejects_what_its_own_host_sends_is_the_hosts() {
    let (send_reset, drops) = (SendReset::Always, true);
    let witnesses = Witnesses { send_reset, drops, ..Witnesses::default() };
    let told = |own: [u8; 4], drops: bool| {
        let mut story = here().by(Rules { witnesses, ..Rules::default() });
        (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
        story.handshake().exchange().say(Client, b"more").wait(1).reject(Server);
        if drops {
            story.kernel_drops(Client, "NETFILTER_DROP");
        }
        let addresses = Some(Arc::new(HashSet::from([IpAddr::from(own)])));
        let event = sane(describe(&story.joined(), &Scene { addresses, ..Scene::default() }));
        (event.cause, event.origin == Origin::HostFirewall, event.at_fault)
    };
    let (client, router) = ([10, 0, 1, 5], [10, 0, 1, 1]);
    for drops in [true, false] {
        let own = told(client, drops);
        assert_eq!(own, (Cause::HostFirewallReject, true, AtFault::Client), "{drops}");
        let forwarded = told(router, drops);
        assert_eq!(forwarded, (Cause::NetworkFirewallReject, false, AtFault::Network), "{drops}");
    }
}

#[test]
fn without_reasons_the_state_of_the_socket_tells() {
    let told = |state: &'static str, inode: u64| {
        let mut story = here();
        story.handshake().exchange().abort(Server);
        let mut notice = story.statement(Point::SEND_RESET, Server, "");
        notice.wire.traits |= notice_trait::SOCKET;
        notice.wire.inode = inode;
        notice.state = Some(state.into());
        story.hear(notice);
        sane(story.first()).cause
    };
    assert_eq!(told("ESTABLISHED", 7), Cause::AdminKill);
    assert_eq!(told("CLOSE", 0), Cause::RestartWithPendingConnections);
    assert_eq!(told("CLOSE", 7), Cause::Linger0Close, "the wire decides");
}

#[test]
fn what_was_said_tells_why_data_was_left_unread() {
    let told = |client: &[u8], server: &[u8], closer| {
        let mut story = here();
        story.handshake().say(Client, client).wait(2).say(Server, server).wait(2);
        story.abort(closer).kernel_aborts(closer, "TCP_ABORT_ON_CLOSE");
        sane(story.first()).cause
    };
    let (get, ssh) = (&b"GET / HTTP/1.1\r\n"[..], &b"SSH-2.0-OpenSSH_9.2\r\n"[..]);
    assert_eq!(told(get, ssh, Server), Cause::ProtocolMismatch);
    let (hello, goodbye) = (&b"\x16\x03\x01\x00\x05\x01"[..], &b"\x15\x03\x03\x00\x02\x01\x00"[..]);
    assert_eq!(told(hello, b"\x16\x03\x03\x00\x05\x02", Client), Cause::ClientCancel);
    let mut story = here();
    story.handshake().say(Client, hello).wait(2).say(Server, b"\x16\x03\x03\x00\x05\x02").wait(2);
    story
        .say(Server, goodbye)
        .fin(Server)
        .abort(Client)
        .kernel_aborts(Client, "TCP_ABORT_ON_CLOSE");
    expect(&mut story, Cause::TlsCloseThenRst);
}

#[test]
fn an_old_segment_behind_the_end_is_told_from_a_late_one() {
    let told = |is_old: bool| {
        let mut story = here();
        story.handshake();
        let old = story.packet(Client, PSH | ACK);
        story.exchange().fin(Server).wait(5).ack(Client).fin(Client).wait(5).ack(Server).wait(50);
        let last = story.packet(Server, ACK);
        if is_old {
            story.send(Packet { payload: b"request".to_vec(), ..old }).send(last);
        } else {
            // Its FIN again, as if the ACK of it had been lost.
            let fin = Packet { flags: FIN | ACK, seq: last.seq.wrapping_sub(1), ..last };
            story.send(fin);
        }
        story.kernel_answers(Client, "NO_SOCKET").disown(Client);
        sane(story.first()).cause
    };
    assert_eq!((told(true), told(false)), (Cause::StraySegment, Cause::RstAfterFin));
}

/// What `pid` does to its own call to the other host, `ms` after another process got a reset from there as
/// a server.
fn passed_on(pid: u32, name: &str, ms: u64) -> RstEvent {
    passed_on_after(b"hello", pid, name, ms)
}

fn passed_on_after(asked: &[u8], pid: u32, name: &str, ms: u64) -> RstEvent {
    let mut story = Story::v4();
    (story.hook, story.ifindex) = (Hook::XDP, 2);
    story.handshake().exchange().abort(Client);
    let mut believed = story.statement(Point::RECEIVE_RESET, Client, "");
    believed.wire.traits |= notice_trait::SOCKET;
    story
        .hear_of(believed, Some(Process::bare(7, "proxy".to_owned())))
        .wait(ms)
        .another_client(50_001);
    let syn = story.packet(Server, SYN);
    let answer = |story: &Story| story.packet(Client, SYN | ACK);
    story.hook = Hook::TC_EGRESS;
    story.send(syn);
    let syn_ack = answer(&story);
    story.send(syn_ack).ack(Server);
    if !asked.is_empty() {
        story.say(Server, asked);
    }
    story.wait(1).say(Client, b"hello to you").wait(1).ack(Server).abort(Server);
    let mut sent = story.statement(Point::SEND_RESET, Server, "TCP_STATE");
    sent.wire.traits |= notice_trait::SOCKET;
    sent.wire.inode = 5;
    sent.state = Some("CLOSE".into());
    story.hear_of(sent, Some(Process::bare(pid, name.to_owned())));
    let is_told = |event: &RstEvent| event.evidence.iter().any(|it| it.id == "kernel_reason");
    sane(story.told().into_iter().find(is_told).unwrap())
}

#[test]
fn a_process_that_ends_one_leg_when_the_other_was_reset_is_a_proxy() {
    let event = passed_on(7, "proxy", 5);
    assert_eq!(event.cause, Cause::ProxyAbort, "{event:#?}");
    assert!(event.evidence[0].text.contains("passes on"));
    assert_eq!(passed_on(8, "another", 5).cause, Cause::Linger0Close);
    assert_eq!(passed_on(7, "proxy", 500).cause, Cause::Linger0Close, "too long ago");
}

#[test]
fn a_program_that_is_nothing_but_a_proxy_ends_legs_for_others() {
    let event = passed_on(8, "haproxy", 500);
    assert_eq!(event.cause, Cause::ProxyAbort, "{event:#?}");
    assert!(event.confidence.percent() < 80, "it may have reasons of its own");
    assert_eq!(passed_on_after(b"", 8, "haproxy", 500).cause, Cause::LbHealthCheck);
}
