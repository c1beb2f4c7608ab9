//! A verdict goes out when nothing can change it.

use proptest::prelude::*;
use rst_tracer_common::event::Hook;

use super::{on_the_client, on_the_server, rules};
use crate::correlate::{
    Rules,
    story::{Client, Packet, Server},
};

#[test]
fn what_the_own_kernel_explains_goes_out_soon() {
    let mut story = on_the_server();
    story.handshake().abort(Server).kernel_aborts(Server, "TCP_KEEPALIVE_TIMEOUT");
    assert!(story.wait(90).due().is_empty());
    assert_eq!(story.wait(10).due().len(), 1);
}

#[test]
fn what_comes_in_waits_for_what_proves_or_refutes_it() {
    let mut story = on_the_client();
    story.handshake().abort(Server).kernel_believes(Server);
    // A tenth longer than a second: what is sent again after one must be in time.
    assert!(story.wait(1090).due().is_empty());
    assert_eq!(story.wait(10).due().len(), 1);
}

#[test]
fn what_the_kernel_gives_no_reason_for_waits() {
    for reason in ["", "NOT_SPECIFIED"] {
        let mut story = on_the_server();
        story.handshake().abort(Server).kernel_aborts(Server, reason);
        assert!(story.wait(990).due().is_empty());
    }
}

#[test]
fn many_closed_at_once_wait_to_see_whether_the_port_refuses() {
    let mut story = on_the_server();
    story.handshake().abort(Server).kernel_aborts(Server, "TCP_ABORT_ON_CLOSE");
    story.another_client(50_001).handshake().abort(Server);
    story.kernel_aborts(Server, "TCP_ABORT_ON_CLOSE");
    assert!(story.wait(300).due().is_empty());
    story.another_client(50_002).syn().disown(Server);
    let joined = story.wait(900).due();
    assert_eq!(joined.len(), 2);
    assert!(joined.iter().all(|joined| joined.crowd.refused_later));
    assert!(joined.iter().all(|joined| joined.crowd.of_endpoint == 1));
}

#[test]
fn a_reject_goes_out_soon_when_the_kernel_dropped_its_trigger() {
    let mut story = on_the_server();
    story.syn().reject(Server).kernel_drops(Client, "NETFILTER_DROP");
    assert_eq!(story.wait(100).due().len(), 1);
}

#[test]
fn a_storm_on_one_connection_is_seen_by_each_of_its_resets_up_to_a_bound() {
    const STORM: usize = 3_000;
    let mut story = on_the_client();
    story.handshake().exchange();
    for _ in 0..STORM {
        story.abort(Server);
    }
    story.wait(1_100);
    let joined = story.due();
    let told: usize = joined.len();
    assert!(told > 100, "{told}");
    let later: Vec<usize> = joined.iter().map(|joined| joined.later_resets.len()).collect();
    assert_eq!(later.iter().max(), Some(&32));
    assert_eq!(later[0], 32, "the first sees what came right behind it");
    assert_eq!(later[told - 3..], [2, 1, 0]);
    let times = |joined: &crate::correlate::Joined| {
        joined.later_resets.iter().map(|rst| rst.head.time_ns).collect::<Vec<_>>()
    };
    assert!(joined.iter().all(|joined| times(joined).is_sorted()));
    assert_eq!(times(&joined[0])[0], joined[1].reset.rst.head.time_ns);
}

#[test]
fn when_the_clock_goes_back_nothing_waits_for_that_time_again() {
    let mut story = on_the_client();
    story.at(3_600_000_000_000);
    story.handshake().abort(Server);
    story.at(1_000_000_000);
    story.another_client(50_001).handshake().abort(Server);
    assert_eq!(story.due().len(), 1, "it has waited in vain");
    assert_eq!(story.wait(1_100).due().len(), 1);
}

#[test]
fn a_settled_reset_overtakes_one_that_waits_and_all_are_counted() {
    let mut story = on_the_server();
    story.handshake().abort(Server).wait(1);
    story.another_client(50_001).handshake().abort(Server);
    story.kernel_aborts(Server, "TCP_KEEPALIVE_TIMEOUT");
    let port = |joined: &crate::correlate::Joined| joined.reset.rst.head.segment.dst.port;
    assert_eq!(story.wait(200).due().iter().map(port).collect::<Vec<_>>(), [50_001]);
    assert_eq!(story.counts(), (1, 0, 0));
    assert_eq!(story.wait(900).due().iter().map(port).collect::<Vec<_>>(), [51_234]);
    assert_eq!(story.counts(), (0, 0, 0));
}

#[test]
fn a_second_sighting_makes_no_second_event() {
    let mut story = on_the_server();
    story.handshake();
    let abort = story.packet(Server, 0x14);
    story.send(abort.clone()).kernel_aborts(Server, "TCP_KEEPALIVE_TIMEOUT");
    story.wait(20).seen_at(Hook::TC_EGRESS, 7, &abort);
    let joined = story.wait(100).due();
    assert_eq!((joined.len(), joined[0].sightings.len()), (1, 1));
    assert_eq!(story.counts(), (0, 1, 0));
}

#[test]
fn without_settling_a_reset_waits_only_where_it_may_be_seen_again() {
    let at_once = |one_interface| {
        let rules = Rules { settle_ns: 0, merge_ns: 50_000_000, one_interface, ..rules() };
        let mut story = on_the_server().by(rules);
        story.handshake().abort(Server);
        story.wait(1).due().len()
    };
    assert_eq!((at_once(true), at_once(false)), (1, 0));
}

#[test]
fn no_more_wait_than_may() {
    let mut story = on_the_server().by(Rules { most: 2, ..rules() });
    story.handshake();
    for n in 0..5 {
        let abort = story.packet(Server, 0x14);
        story.send(Packet { ip_id: n, ..abort });
        story.due();
        assert!(story.counts().0 <= 2);
    }
}

#[test]
fn the_clock_of_a_capture_may_jump_and_the_order_stays() {
    let mut story = on_the_server();
    let now = 1_700_000_000_000_000_000;
    story.at(now + 5_000_000_000).syn().disown(Server);
    story.another_client(50_001).at(now).syn().disown(Server);
    let clients: Vec<_> = story.told().iter().map(|event| event.dst.port).collect();
    assert_eq!(clients, [51_234, 50_001]);
}

proptest! {
    #[test]
    fn every_reset_goes_out_once_whatever_the_kernel_says(
        steps in proptest::collection::vec((0_u8..9, 0_u16..4), 1..120),
    ) {
        let mut story = on_the_server().by(Rules { most: 16, ..rules() });
        let (mut seen, mut out) = (0, 0);
        for (step, client) in steps {
            story.another_client(50_000 + client);
            let reset = match step {
                0 => story.syn().disown(Server),
                1 => story.handshake().abort(Server),
                2 => story.syn().kernel_answers(Server, "NO_SOCKET").disown(Server),
                _ => match step {
                    3 => story.kernel_aborts(Server, "TCP_STATE"),
                    4 => story.kernel_aborts(Server, "TCP_KEEPALIVE_TIMEOUT"),
                    5 => story.kernel_believes(Client),
                    6 => story.syn().kernel_drops(Client, "NETFILTER_DROP"),
                    _ => story.wait(u64::from(step) * 10 + 1),
                },
            };
            reset.wait(1);
            seen += u64::from(step < 3);
            out += story.due().len() as u64;
            let (pending, merged, _) = story.counts();
            prop_assert_eq!(seen, out + pending + merged);
            prop_assert!(pending <= 16);
        }
        out += story.all().len() as u64;
        let (pending, merged, _) = story.counts();
        prop_assert_eq!((pending, seen), (0, out + merged));
    }
}
