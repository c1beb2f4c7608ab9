//! Resets that nobody wanted to hear of are counted and not handed over; their connections are followed all the
//! same.

use rst_tracer_common::{
    wanted::{Net, Wanted},
    wire::Address,
};
use rst_tracer_tests::{
    frames::{CLIENT, SERVER_PORT, SERVER_V6, Tcp, flags::*, rst, tcp},
    kernel::{self, Kernel, OPTIONS, Options, Program},
};

use crate::talk::{CLIENT_ISN, SERVER_ISN, Talk, counted, data, segment, with_flow};

fn kernel(ports: &[u16], nets: &[Net]) -> Kernel {
    Kernel::load(Options { wanted: Wanted::new(ports, nets), ..OPTIONS })
}

#[test]
fn a_reset_of_another_port_is_counted_and_not_handed_over() {
    if !kernel::can_load() {
        return;
    }
    for (port, is_wanted) in [(SERVER_PORT, true), (SERVER_PORT + 1, false)] {
        let mut kernel = kernel(&[port], &[]);
        for program in Program::ETHERNET {
            kernel.reset();
            let mut talk = Talk::new(&mut kernel, program);
            talk.handshake();
            talk.client(data(CLIENT_ISN + 1, SERVER_ISN + 1, b"hello"));
            let ran = talk.client(segment(RST, CLIENT_ISN + 6, 0));
            let count = counted(&ran, program);
            assert_eq!(
                (count.rsts, count.delivered, count.filtered),
                match is_wanted {
                    true => (1, 1, 0),
                    false => (1, 0, 1),
                }
            );
            assert_eq!(ran.records.len(), usize::from(is_wanted));
            // What comes after a reset is told with it or not at all.
            let after = talk.server(data(SERVER_ISN + 1, CLIENT_ISN + 6, b"on"));
            assert_eq!(after.records.len(), usize::from(is_wanted));
        }
    }
}

#[test]
fn a_network_of_either_family_is_wanted_at_either_end() {
    if !kernel::can_load() {
        return;
    }
    let v4 = Net::new(Address::from_ip(CLIENT.into()), 32);
    let v6 = Net::new(Address::from_ip(SERVER_V6.into()), 64);
    let mut kernel = kernel(&[], &[v4, v6]);
    for program in Program::ETHERNET {
        kernel.reset();
        for frame in [tcp(rst()).v4().frame(), tcp(rst()).v6().frame()] {
            let ran = kernel.run(program, &frame);
            assert_eq!(ran.records.len(), 1, "{program:?}");
        }
        const SOURCE: usize = 14 + 12;
        let mut stranger = tcp(Tcp { from: 5, ..rst() }).v4().frame();
        stranger[SOURCE..SOURCE + 4].copy_from_slice(&[203, 0, 113, 1]);
        let ran = kernel.run(program, &stranger);
        assert_eq!((ran.records.len(), counted(&ran, program).filtered), (0, 1), "{program:?}");
    }
}

#[test]
fn a_connection_that_is_not_wanted_is_followed() {
    if !kernel::can_load() {
        return;
    }
    // What is wanted is one port of the client's, which only the last connection has.
    let mut kernel = kernel(&[40_000], &[]);
    let mut talk = Talk::new(&mut kernel, Program::ETHERNET[0]);
    talk.handshake();
    let ran = talk.client(segment(RST, CLIENT_ISN + 1, 0));
    let record = with_flow(&ran);
    assert_eq!(record.rst.head.segment.src.port, 40_000);
}
