//! More resets of no known connection than are handed over, and a ring for each CPU.

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use rst_tracer::source::live::rings::Cut;
use rst_tracer_common::flow::Stage;
use rst_tracer_tests::{
    frames::{CLIENT, Tcp, V4, flags::*, rst, tcp},
    kernel::{self, Kernel, OPTIONS, Options, Program, Ran, Record},
    skip::skipped,
};

use crate::talk::{CLIENT_ISN, Talk, counted, data, segment, with_flow};

/// Keeps the calling thread on one CPU.
fn stay_on(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).expect("a CPU");
    sched_setaffinity(Pid::from_raw(0), &set).expect("it may be chosen");
}

/// The CPUs that the calling thread may run on.
fn cpus() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).expect("its CPUs");
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).is_ok_and(|is_set| is_set)).collect()
}

#[test]
fn resets_of_no_connection_have_a_budget_and_those_of_others_none_of_it() {
    if !kernel::can_load() {
        return;
    }
    stay_on(cpus()[0]);
    for program in Program::ETHERNET {
        // Ten a second, twenty at once: less than one comes by while this runs.
        let mut kernel =
            Kernel::load(Options { no_flow_rate: 10, rings: Cut::one(1 << 20), ..OPTIONS });
        let mut talk = Talk::new(&mut kernel, program);
        talk.handshake();
        talk.client(data(CLIENT_ISN + 1, 5001, b"hello"));
        talk.kernel.count();
        for port in 1000..2000 {
            talk.kernel.feed(program, &tcp(Tcp { from: port, ..rst() }).v4().frame(), 0);
        }
        let all = talk.kernel.count()[usize::from(program.hook().0)];
        assert_eq!(all.rsts, 1000);
        assert!((21..=31).contains(&all.delivered), "{all:?}");
        assert_eq!(all.rsts, all.delivered + all.suppressed_no_flow);
        assert_eq!((all.suppressed, all.ring_full, all.tracked), (0, 0, 0));
        assert_eq!(talk.kernel.drain().len() as u64, all.delivered);
        let sources = talk.kernel.sources();
        let known = sources.get(&CLIENT.into()).copied().unwrap_or(0);
        assert!((500..=all.suppressed_no_flow).contains(&known), "{sources:?}");
        assert_eq!(sources.len(), 1);
        // In the middle of it a connection that is known is reset.
        let ran = talk.client(segment(RST, CLIENT_ISN + 6, 0));
        let record = with_flow(&ran);
        assert_eq!(Stage::of(&record.hot), Stage::PostPush);
        assert_eq!(counted(&ran, program).delivered, 1);
    }
}

#[test]
fn sources_are_forgotten_when_they_are_to_be() {
    if !kernel::can_load() {
        return;
    }
    let mut kernel = Kernel::load(Options { no_flow_rate: 1, ..OPTIONS });
    let frame = |last: u8, port: u16| {
        let header = V4 { from: [10, 9, 9, last], ..V4::default() };
        tcp(Tcp { from: port, ..rst() }).in_v4(header).frame()
    };
    let flood = |kernel: &mut Kernel, last: u8| {
        (0..200).for_each(|port| drop(kernel.feed(Program::XdpIngress, &frame(last, port), 0)));
        kernel.sources().into_keys().collect::<Vec<_>>()
    };
    assert_eq!(flood(&mut kernel, 1), [std::net::IpAddr::from([10, 9, 9, 1])]);
    kernel.forget_sources();
    assert!(kernel.sources().is_empty());
    assert_eq!(flood(&mut kernel, 2), [std::net::IpAddr::from([10, 9, 9, 2])]);
}

#[test]
fn a_reset_tells_how_many_before_it_were_only_counted() {
    if !kernel::can_load() {
        return;
    }
    let mut kernel = Kernel::load(OPTIONS);
    let mut talk = Talk::new(&mut kernel, Program::TcIngress);
    talk.handshake();
    for i in 0..20 {
        talk.server(segment(RST, 6000 + i, 0));
    }
    std::thread::sleep(std::time::Duration::from_millis(1200));
    let told = |ran: Ran| with_flow(&ran).flow.suppressed;
    assert_eq!(told(talk.server(segment(RST, 7000, 0))), 4);
    assert_eq!(told(talk.server(segment(RST, 7001, 0))), 0, "each is told once");
}

#[test]
fn one_cpu_that_floods_leaves_the_ring_of_another_alone() {
    if !kernel::can_load() {
        return;
    }
    let all = cpus();
    let [first, second, ..] = all[..] else {
        skipped("one_cpu_that_floods_leaves_the_ring_of_another_alone: there is one CPU only");
        return;
    };
    let count = u32::try_from(second + 1).expect("a number of CPUs");
    let mut kernel = Kernel::load(Options { rings: Cut { count, bytes: 4096 }, ..OPTIONS });
    let frame = |port: u16| tcp(Tcp { from: port, ..rst() }).v4().frame();
    stay_on(first);
    (1000..1100).for_each(|port| drop(kernel.feed(Program::XdpIngress, &frame(port), 0)));
    let flooded = kernel.count()[usize::from(Program::XdpIngress.hook().0)];
    assert!(flooded.ring_full > 0, "{flooded:?}");
    stay_on(second);
    kernel.feed(Program::XdpIngress, &frame(9), 0);
    let other = kernel.count()[usize::from(Program::XdpIngress.hook().0)];
    assert_eq!((other.delivered, other.ring_full), (1, 0));
    let records = kernel.drain();
    assert_eq!(records.len() as u64, flooded.delivered + 1);
    let last = records.iter().filter_map(|record| match record {
        Record::Rst(rst) => Some(rst.head.segment.src.port),
        _ => None,
    });
    assert!(last.into_iter().any(|port| port == 9));
}
