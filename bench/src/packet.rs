//! What one frame costs inside the kernel, by `BPF_PROG_TEST_RUN`.

use anyhow::Result;

use crate::{
    crowd::{Crowd, Order, Strangers},
    frames::{Kind, Road},
    report::{Goal, Section, Table},
    rounds::{Effort, Measured, Stands, measure, measure_new, open},
    subject::{Bench, Hook, Objects, Subject},
};

const TEXT: &str = "\
CPU time of one frame inside the kernel (`BPF_PROG_TEST_RUN`), medians over interleaved rounds; ratios are paired
by round. A feeding program writes another client into every frame and hands it on by a tail call; what that
takes is in every column, and in *empty* nothing else. Beside rst-tracer's own programs, which keep the flight
recorder:

- **empty**: nothing but the return;
- **parse only**: finds the TCP header over Ethernet and IPv4 or IPv6, and looks at the flags;
- **textbook**: an `LRU_HASH` with a key of 40 bytes, `bpf_ktime_get_ns` on every packet, one shared ring.

What is always new is of a client that none of them has met, and none meets again. Why such a SYN takes us as long as it
does: [the flow table](decisions/0003-flow-table.md).";

const COLUMNS: [&str; 8] = [
    "ns a frame",
    "empty",
    "parse only",
    "textbook",
    "rst-tracer",
    "net of empty",
    "× parse only",
    "× textbook",
];

/// Measures everything about single frames.
pub(crate) fn section(objects: &Objects<'_>, effort: Effort, quick: bool) -> Result<Section> {
    let mut goals = Vec::new();
    let mut tables = hot(objects, effort, &mut goals)?;
    tables.insert(1, crowds(objects, effort, quick, &mut goals)?);
    Ok(Section { text: TEXT.to_owned(), tables, goals, ..Section::default() })
}

fn add(table: &mut Table, what: String, measured: &Measured) {
    let raw = Subject::ALL.map(|subject| Some(measured.raw(subject)));
    let rest = [
        Some(measured.net(Subject::Ours)),
        Some(measured.times(Subject::Ours, Subject::Parse)),
        Some(measured.times(Subject::Ours, Subject::Textbook)),
    ];
    table.add(what, &[&raw[..], &rest[..]].concat());
}

/// One connection: every kind of frame, every hook. Then how large the programs are.
fn hot(objects: &Objects<'_>, effort: Effort, goals: &mut Vec<Goal>) -> Result<Vec<Table>> {
    let mut bench = Bench::load(objects, 1 << 16)?;
    let mut table = Table::new("One connection", &COLUMNS);
    let mut client = 0;
    let mut data = Vec::new();
    for hook in Hook::ALL {
        let v4 = Kind::ALL.map(|kind| (kind, Road::V4));
        for (kind, road) in
            v4.into_iter().chain([Road::V6, Road::V4Tagged].map(|r| (Kind::Data, r)))
        {
            // A connection of its own: elsewhere it would be a second sighting.
            client += 1;
            bench.write_sequence(&[client])?;
            for subject in [Subject::Textbook, Subject::Ours] {
                for opening in [Kind::Syn, Kind::SynAck, Kind::Ack] {
                    bench.rewind()?;
                    bench.run(subject, hook, (opening, road), 1, 1)?;
                }
            }
            let mut stands = Stands::default();
            let measured = measure(&mut bench, hook, (kind, road), &[client], &mut stands, effort)?;
            let what = format!("{}, {}, {}", kind.name(), road.name(), hook.name());
            add(&mut table, what, &measured);
            if kind == Kind::Data {
                data.push((hook, road, measured));
            }
        }
    }
    let of = |hook: Hook, road: Road| {
        let it = data.iter().find(|(h, r, _)| (*h, *r) == (hook, road));
        it.map(|(_, _, measured)| measured)
    };
    let ours = |measured: &Measured, beside| measured.times(Subject::Ours, beside);
    if let Some(v4) = of(Hook::Xdp, Road::V4) {
        let data = "data segment, one connection";
        let (parse, textbook) = (ours(v4, Subject::Parse), ours(v4, Subject::Textbook));
        goals.push(Goal::at_most(format!("{data}: × parse only"), 1.7, parse));
        goals.push(Goal::at_most(format!("{data}: × textbook"), 0.5, textbook));
    }
    // The processor may have changed its pace in between: each is taken by what doing nothing took beside it.
    let beside = |one: (Hook, Road), other: (Hook, Road)| {
        let (one, other) = (of(one.0, one.1)?, of(other.0, other.1)?);
        Some(ours(one, Subject::Empty) / ours(other, Subject::Empty))
    };
    let v6 = beside((Hook::Xdp, Road::V6), (Hook::Xdp, Road::V4));
    goals.extend(v6.map(|v6| Goal::at_most("IPv6 × IPv4, XDP ingress", 1.1, v6)));
    let egress = beside((Hook::TcEgress, Road::V4), (Hook::TcIngress, Road::V4));
    goals.extend(egress.map(|egress| Goal::at_most("egress × ingress, TC", 1.3, egress)));
    let mut sizes = Table::new("Programs", &["program", "instructions", "verified"]);
    for hook in Hook::ALL {
        for subject in Subject::ALL {
            let (verified, instructions) = bench.size(subject, hook)?;
            let program = format!("{}, {}", subject.name(), hook.name());
            sizes.add(program, &[instructions.map(f64::from), verified.map(f64::from)]);
        }
    }
    Ok(vec![table, sizes])
}

/// Many connections, IPv4, XDP.
fn crowds(
    objects: &Objects<'_>,
    effort: Effort,
    quick: bool,
    goals: &mut Vec<Goal>,
) -> Result<Table> {
    const HOOK: Hook = Hook::Xdp;
    let mut table = Table::new("Many connections", &COLUMNS);
    let counts: &[u32] = if quick { &[1_000] } else { &[1_000, 64_000, 1_000_000] };
    for &flows in counts {
        let slots = (flows * 4).next_power_of_two().clamp(1 << 16, 1 << 21);
        let mut bench = Bench::load(objects, slots)?;
        let everyone = Crowd { flows, order: Order::Uniform };
        let mut stands = open(&mut bench, HOOK, Road::V4, everyone)?;
        for order in [Order::Trains, Order::Zipf, Order::Uniform] {
            let sequence = Crowd { flows, order }.sequence(effort.sequence);
            let what = (Kind::Data, Road::V4);
            let measured = measure(&mut bench, HOOK, what, &sequence, &mut stands, effort)?;
            let what = format!("data segment, {flows} flows, {}", order.name());
            let goal = match order {
                Order::Trains => Some(0.5),
                Order::Uniform if flows > 1_000 => Some(0.65),
                _ => None,
            };
            let textbook = measured.times(Subject::Ours, Subject::Textbook);
            let goal =
                goal.map(|at_most| Goal::at_most(format!("{what}: × textbook"), at_most, textbook));
            goals.extend(goal);
            add(&mut table, what, &measured);
        }
        let new = [
            (Kind::Syn, "SYN", Strangers::CALLERS),
            (Kind::Rst, "RST without a flow", Strangers::RESETTERS),
        ];
        for (kind, name, strangers) in new {
            let measured = measure_new(&mut bench, HOOK, (kind, Road::V4), strangers, effort)?;
            let what = format!("{name}, always new, beside {flows} flows");
            if kind == Kind::Syn && flows > 1_000 {
                let textbook = measured.times(Subject::Ours, Subject::Textbook);
                goals.push(Goal::at_most(format!("{what}: × textbook"), 0.4, textbook));
            }
            add(&mut table, what, &measured);
        }
    }
    Ok(table)
}
