//! A ring that nobody reads: what finds no room is counted, and the flow still remembers.

use rst_tracer::source::live::rings::Cut;
use rst_tracer_common::event::{Hook, Rst, RstWithFlow};
use rst_tracer_tests::{
    frames::{Tcp, flags::*, rst, tcp},
    kernel::{self, Kernel, OPTIONS, Options, Program},
};

use crate::talk::{CLIENT_ISN, SERVER_ISN, Talk, counted, segment};

const RING: u32 = 4096;

/// How many records of a type fit in the ring: each has a header of eight bytes, and the last byte
/// of the ring stays free.
const fn room_for<T>() -> u64 {
    (RING as u64 - 1) / (size_of::<T>() as u64 + 8)
}

#[test]
fn a_full_ring_is_counted_and_nothing_is_lost_from_the_sums() {
    if !kernel::can_load() {
        return;
    }
    let mut kernel = Kernel::load(Options { rings: Cut::one(RING), ..OPTIONS });
    for program in Program::ETHERNET {
        let frame = |port: u16| tcp(Tcp { from: port, ..rst() }).v4().frame();
        for port in 1000..1040 {
            let (verdict, left) = kernel.feed(program, &frame(port), 0);
            assert_eq!(verdict, program.verdict());
            assert!(left == frame(port));
        }
        let counted = kernel.count()[usize::from(program.hook().0)];
        assert_eq!((counted.rsts, counted.delivered), (40, room_for::<Rst>()));
        assert_eq!(counted.rsts, counted.delivered + counted.suppressed + counted.ring_full);
        assert_eq!(kernel.drain().len() as u64, counted.delivered);
        let again = kernel.run(program, &frame(1));
        assert_eq!(again.records.len(), 1, "once read, there is room again");
    }
    a_reset_that_found_no_room_is_noted(&mut kernel);
}

fn a_reset_that_found_no_room_is_noted(kernel: &mut Kernel) {
    let mut talk = Talk::new(kernel, Program::TcIngress);
    talk.handshake();
    let frame = talk.of_server(segment(RST, SERVER_ISN + 1, 0));
    for _ in 0..5 {
        talk.kernel.feed(Program::TcIngress, &frame, 0);
    }
    let late = talk.of_server(segment(ACK, SERVER_ISN + 1, CLIENT_ISN + 1));
    // Heads are smaller: fill what is left of the ring with them.
    for _ in 0..8 {
        talk.kernel.feed(Program::TcIngress, &late, 0);
    }
    let counters = talk.kernel.count()[usize::from(Hook::TC_INGRESS.0)];
    let fit = room_for::<RstWithFlow>();
    assert_eq!((counters.delivered, counters.ring_full), (fit, 5 - fit));
    assert_eq!(counters.aftermath + counters.aftermath_lost, 8);
    assert!(counters.aftermath_lost > 0, "{counters:?}");
    assert_eq!(talk.flow().expect("the flow").resets, 5);
    assert_eq!(talk.kernel.drain().len() as u64, counters.delivered + counters.aftermath);
    let ran = talk.server(segment(ACK, SERVER_ISN + 1, CLIENT_ISN + 1));
    assert_eq!(counted(&ran, Program::TcIngress).tracked, 1);
}
