//! Live frames without a device between: the kernel makes a frame, the program sees it, the stack drops it.

use std::thread;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, unshare};
use rst_tracer::source::live::object::OBJECT;

use super::sender::CLIENTS;
use crate::{
    crowd::{Crowd, Order},
    frames::{Kind, Road},
    loaded::{Bench, Objects},
    report::{Goal, Table},
    resets::stay_on,
    rounds::{Measured, measure_with, open},
    subject::{Hook, Subject},
};

const COLUMNS: [&str; 7] = [
    "ns of CPU a frame",
    "empty",
    "parse only",
    "textbook",
    "rst-tracer",
    "recorder off",
    "rate × empty's",
];

/// A table, and what is hoped for.
pub(crate) fn measure(baselines: &[u8], quick: bool) -> Result<(Table, Goal)> {
    // In a thread of its own: its namespaces are left behind with it.
    thread::scope(|scope| {
        let measured = scope.spawn(|| alone(baselines, quick));
        measured.join().map_err(|_| anyhow::anyhow!("a run panicked"))?
    })
}

fn alone(baselines: &[u8], quick: bool) -> Result<(Table, Goal)> {
    let (rounds, count) = if quick { (3, 1 << 14) } else { (21, 1 << 18) };
    stay_on(0)?;
    let mut bench = Bench::load(&Objects { baselines, ours: OBJECT }, 1 << 16)?;
    let crowd = Crowd { flows: CLIENTS, order: Order::Uniform };
    let mut stands = open(&mut bench, Hook::Xdp, Road::V4, crowd)?;
    // A loopback that no program is attached to.
    unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
    let sequence: Vec<u32> = (0..CLIENTS).collect();
    let mut table =
        Table::new("Live frames, dropped by the stack without a device between", &COLUMNS);
    let mut rates = [0.0; 2];
    for (rate, kind) in rates.iter_mut().zip([Kind::Ack, Kind::Data]) {
        let run = |bench: &mut Bench, subject| {
            bench.run_live(subject, (kind, Road::V4), sequence.len(), count)
        };
        let measured = measure_with(&mut bench, &sequence, &mut stands, rounds, run)?;
        *rate = 1.0 / measured.times(Subject::Ours, Subject::Empty);
        add(&mut table, kind, &measured, *rate);
    }
    let what = "live frames, rate per core × the empty program's: pure ACK";
    Ok((table, Goal::at_least(what, 0.8, rates[0])))
}

fn add(table: &mut Table, kind: Kind, measured: &Measured, rate: f64) {
    let mut numbers = Subject::ALL.map(|subject| Some(measured.raw(subject))).to_vec();
    numbers.push(Some(rate));
    table.add(kind.name(), &numbers);
}
