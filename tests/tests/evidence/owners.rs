//! Whose a socket is: nobody inherits an owner, and a task that ends says how.

use rst_tracer::{
    demo::{sockets, truth::Side},
    source::live::evidence::Scope,
};
use rst_tracer_common::{
    notice::{Point, notice_trait},
    wire::Endpoint,
};
use rst_tracer_tests::laboratory::child::Holder;

use crate::{LOOPBACKS, Pair, ear::Ear, in_laboratory, listener, on_server, pair};

#[test]
fn an_accepted_socket_inherits_no_owner() {
    in_laboratory(|lab| {
        let ear = Ear::open(lab.host(Side::Server), Scope::Netns);
        let ends: Vec<[Endpoint; 2]> = on_server(lab, || {
            let listener = listener(LOOPBACKS[0]);
            // Sockets that connected give their memory back to the kernel, accepted ones get it.
            let mut ends = Vec::new();
            for _ in 0..200 {
                let Pair { client, server, at } = pair(&listener);
                sockets::abort(client).expect("to abort");
                drop(server);
                let Pair { client, server, at: second } = pair(&listener);
                sockets::abort(server).expect("to abort");
                drop(client);
                ends.extend([at, [second[1], second[0]]]);
            }
            ends
        });
        let heard = ear.close();
        let mut sockets_of = [std::collections::HashSet::new(), std::collections::HashSet::new()];
        for (number, [sender, receiver]) in ends.into_iter().enumerate() {
            let told = heard.only(Point::SEND_RESET, sender, receiver);
            let connected = number % 2 == 0;
            assert_eq!(told.has(notice_trait::OWNER), connected, "number {number}: {told:#?}");
            sockets_of[usize::from(connected)].insert(told.wire.socket);
        }
        let [accepted, connected] = sockets_of;
        let reused = accepted.intersection(&connected).count();
        println!("{reused} addresses were those of a socket that connected and of an accepted one");
    });
}

#[test]
fn a_task_that_is_killed_says_by_which_signal() {
    in_laboratory(|lab| {
        let ear = Ear::open(lab.host(Side::Server), Scope::Netns);
        let [killed, ended] = on_server(lab, || {
            [true, false].map(|is_killed| {
                let Pair { client, server, at } = pair(&listener(LOOPBACKS[0]));
                sockets::say(&client, b"nobody reads this").expect("to send");
                sockets::await_unread(&server).expect("to arrive");
                let holder = Holder::of(vec![server.into()]).expect("a process");
                if is_killed { holder.kill() } else { holder.end() }.expect("an end");
                sockets::await_end(&client).ok();
                at
            })
        });
        let heard = ear.close();
        for ([client, server], signal) in [(killed, Some(9)), (ended, None)] {
            let told = heard.only(Point::SEND_RESET, server, client);
            assert!(told.has(notice_trait::EXITING), "{told:#?}");
            assert_eq!(told.killed_by(), signal);
            assert_ne!(told.wire.task.pid, std::process::id());
            assert!(told.wire.task.comm.starts_with(b"cat\0"));
        }
    });
}
