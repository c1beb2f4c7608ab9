//! What was read off, as tables and goals.

use super::{
    attached::Attached,
    readings::{Load, Readings},
    sender::{CLIENTS, Size},
    sockets::Churn,
};
use crate::report::{Goal, Table};

/// What was measured and how.
pub(crate) fn text(cpus: usize, senders: usize) -> String {
    format!(
        "\
A veth pair between two network namespaces; at one end of it somebody is attached, into the other one go frames and \
connections. Everybody is attached once a round and given every load, in turns; numbers are medians over the rounds, \
what is compared is paired by round. rst-tracer is the program itself with its defaults, its lines to /dev/null; \
*default* is traffic control, both ways, which `--xdp-mode auto` chooses on a veth. The empty and the textbook program \
are those of the part about a frame inside the kernel, the textbook's reports taken by a thread every millisecond. \
tcpdump and tshark capture with the filter `tcp[tcpflags] & tcp-rst != 0` to /dev/null.

CPU time is that of the whole machine: what a process of the class SCHED_IDLE on each of the {cpus} CPUs did not get. \
So the sender, the kernel's own threads and the program are in it, and so is everything else that runs: the machine \
has to be quiet, and the first thing to look at below is whether it was.

Frames are live frames (`BPF_F_TEST_XDP_LIVE_FRAMES`), data segments of {CLIENTS} connections a sender that take turns, \
opened before by their own handshakes; 1, 2 and 4 senders, as far as there are CPUs, so here at most {senders}, each on \
a CPU of its own with a queue of its own at the watched end. A classifier behind every hook that somebody is attached \
to takes them (`TC_ACT_STOLEN`), so their fate is the same with everybody. GRO is on, because a veth without it and \
without native XDP takes no such frames; generic XDP switches it off, which spares these frames, no two of which GRO \
can merge, some work. *Drop path* is one sender with GRO off: rst-tracer returns XDP_PASS always, as \
do the empty and the textbook program here, and the next step is the end of the frame; between them a packet buffer is \
made, which is in everybody's time and brings the ratio nearer to 1 than an XDP_DROP would, so what was added stands \
beside it. *Dropped by the stack* is without that classifier: the frames are addressed to another host, and the stack \
drops them first thing; rst-tracer listens to the kernel's tracepoint of drops, which these all reach. Live frames \
without a device are fed as in the part about a frame inside the kernel, but each is a frame of its own that goes on \
into the stack, as from loopback, and is dropped there, with nobody at that tracepoint.

iperf3: one stream of a second, GRO as the veth has it by itself. With native XDP a veth loses its segmentation \
offload, whatever the program. Churn: connections from half of the CPUs, one after the other; *refused* asks a closed \
port, *reset* opens one, accepts it and resets it, in one thread. Each reset becomes a line of rst-tracer's."
    )
}

const COLUMNS: [&str; 5] =
    ["attached", "ns of CPU a frame", "more than nothing", "× nothing", "M frames/s"];
const DROP_PATH: [&str; 5] =
    ["attached", "ns of CPU a frame", "more than empty", "× empty", "M frames/s"];
const SOCKETS: [&str; 8] = [
    "attached",
    "iperf3 Gb/s",
    "× nothing",
    "ms of CPU a GB",
    "refused/s",
    "× nothing",
    "reset/s",
    "× nothing",
];

/// The tables, of whoever was attached and what was loaded.
pub(crate) fn all(readings: &Readings, whoever: &[Attached], loads: &[Load]) -> Vec<Table> {
    let mut tables = Vec::new();
    for &load in loads {
        let (title, columns, beside) = match load {
            Load::Frames(size, 1) => {
                (format!("{}, one sender", size.name()), COLUMNS, Attached::Nothing)
            }
            Load::Frames(size, senders) => {
                (format!("{}, {senders} senders", size.name()), COLUMNS, Attached::Nothing)
            }
            Load::DropPath(size) => {
                (format!("{}, drop path", size.name()), DROP_PATH, Attached::Empty)
            }
            Load::Stray(size) => {
                (format!("{}, dropped by the stack", size.name()), COLUMNS, Attached::Nothing)
            }
            Load::Stream | Load::Churn(_) => continue,
        };
        let mut table = Table::new(&capital(&title), &columns);
        println!("{}", table.title);
        for &who in whoever {
            let Some(cpu) = readings.cpu(who, load) else { continue };
            let added = readings.added(who, beside, load).map(|added| added * 1e9);
            let times = readings.times(who, beside, load);
            let rate = readings.rate(who, load).map(|rate| rate / 1e6);
            table.add(who.name(), &[Some(cpu * 1e9), added, times, rate]);
        }
        tables.push(table);
    }
    tables.push(sockets(readings, whoever));
    tables
}

fn sockets(readings: &Readings, whoever: &[Attached]) -> Table {
    let mut table = Table::new("Connections", &SOCKETS);
    for &who in whoever {
        let rate = |load, unit: f64| readings.rate(who, load).map(|rate| rate / unit);
        let share = |load| readings.share(who, Attached::Nothing, load);
        let [refused, reset] = [Churn::Refused, Churn::Reset].map(Load::Churn);
        let numbers = [
            rate(Load::Stream, 1e9),
            share(Load::Stream),
            readings.cpu(who, Load::Stream).map(|cpu| cpu * 1e12),
            rate(refused, 1.0),
            share(refused),
            rate(reset, 1.0),
            share(reset),
        ];
        table.add(who.name(), &numbers);
    }
    table
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What is hoped for, as far as it was measured.
pub(crate) fn goals(readings: &Readings) -> Vec<Goal> {
    let ours = Attached::Ours;
    let frames = Load::Frames(Size::Short, 1);
    let added = |who| readings.added(who, Attached::Nothing, frames);
    let beside_tcpdump = |who| Some(added(who)? / added(Attached::Tcpdump)?);
    let share = |load| readings.share(ours, Attached::Nothing, load);
    let what = "CPU added to a frame of 64 bytes × what tcpdump's filter adds";
    let drop = readings.times(Attached::OursNative, Attached::Empty, Load::DropPath(Size::Short));
    [
        beside_tcpdump(ours).map(|n| Goal::at_most(format!("{what}: default"), 0.5, n)),
        beside_tcpdump(Attached::OursNative)
            .map(|n| Goal::at_most(format!("{what}: native XDP"), 0.5, n)),
        drop.map(|n| Goal::at_most("veth drop path, 64 bytes, native XDP: × empty", 1.12, n)),
        share(Load::Stream).map(|n| Goal::at_least("iperf3, default: × nothing attached", 0.93, n)),
        share(Load::Churn(Churn::Refused))
            .map(|n| Goal::at_least("churn, refused, default: × nothing attached", 0.93, n)),
        share(Load::Churn(Churn::Reset))
            .map(|n| Goal::at_least("churn, reset, default: × nothing attached", 0.93, n)),
    ]
    .into_iter()
    .flatten()
    .collect()
}
