//! How many resets a second go all the way, and how long one takes.

mod kernel;
mod wire;

use std::{path::Path, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use nix::{
    sched::{CloneFlags, CpuSet, sched_setaffinity, unshare},
    unistd::Pid,
};

use crate::report::{Goal, Section, Table};
use kernel::{Ran, from_the_kernel};
use wire::{Hosts, latency, to_lines};

const TEXT: &str = "\
Resets of no known connection, every one handed over (`--no-flow-rate 0`). Above: one CPU runs the XDP program on a RST \
again and again, held to a rate by the clock, while another drains the rings into a counter, with a nap of a millisecond where \
there was nothing, as the tracer takes it. Below: a packet socket \
sends RSTs from ever other ports into a veth pair, held to a rate; `rst-tracer -o json:FILE --settle 0s` writes a line \
with a verdict for each. Lost: those that found the ring full, which are counted to the last one: sent = lines + lost, \
or the measurement fails. Latency: from the time of the frame in the kernel to the line's arrival at a reader of \
standard output, the reader's own wake-up included.";

/// Keeps the calling thread on one CPU, if there are so many.
pub(crate) fn stay_on(cpu: usize) -> Result<()> {
    let cpus = thread::available_parallelism()?.get();
    let mut set = CpuSet::new();
    set.set(cpu % cpus)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Measures how many resets go all the way, and how long one takes.
pub(crate) fn section(binary: &Path, quick: bool) -> Result<Section> {
    ensure!(binary.is_file(), "{}: no such file (--binary)", binary.display());
    let time = Duration::from_millis(if quick { 300 } else { 3000 });
    let (mut goals, mut floors) = (Vec::new(), Vec::new());

    let columns = ["ring MiB, all CPUs", "offered/s wanted", "offered/s", "delivered", "lost"];
    let mut kernel = Table::new("From the kernel to a counter, one CPU sends", &columns);
    let rates: &[f64] = if quick { &[0.5e6] } else { &[0.5e6, 1e6, 2e6, 5e6] };
    for ring in [8, 64] {
        for &rate in rates {
            // In a thread of its own: the namespace is left behind with it.
            let run = thread::spawn(move || -> Result<Ran> {
                unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
                from_the_kernel(ring, rate, time)
            });
            let run = run.join().map_err(|_| anyhow::anyhow!("a run panicked"))??;
            let numbers = [rate, run.offered, run.delivered as f64, run.lost as f64].map(Some);
            kernel.add(ring.to_string(), &numbers);
            if ring == 64 && rate == 0.5e6 {
                // The smoke run's fit into the ring, even if nobody reads for as long as it takes.
                let what = "lost at 0.5 M RST/s from one CPU, 64 MiB";
                floors.push(Goal::at_most(what, 0.0, run.lost as f64));
            }
            if (ring == 8 && rate == 2e6) || (ring == 64 && rate == 5e6) {
                let what = format!("lost at {} M RST/s from one CPU, {ring} MiB", rate / 1e6);
                goals.push(Goal::at_most(what, 0.0, run.lost as f64));
            }
        }
    }

    let hosts = Hosts::new()?;
    let columns = ["wanted/s", "sent/s", "lines", "lost"];
    let mut lines =
        Table::new("From the wire to JSON lines with verdicts, one CPU sends", &columns);
    let rates: &[f64] = if quick { &[20e3] } else { &[20e3, 50e3, 100e3, 200e3, 300e3] };
    for &rate in rates {
        let [sent, written, lost] = to_lines(&hosts, binary, rate, time)?;
        lines.add(format!("{rate:.0}"), &[sent, written, lost].map(Some));
        if rate == 20e3 {
            floors.push(Goal::at_most("lost at 20 k RST/s as JSON lines", 0.0, lost));
        }
        if rate == 300e3 {
            goals.push(Goal::at_most("lost at 300 k RST/s as JSON lines (four cores)", 0.0, lost));
        }
    }

    let columns = ["resets/s", "µs, median", "µs, 99th percentile", "µs, worst"];
    let mut late = Table::new("From the frame to the line at standard output", &columns);
    for rate in [100.0, 900.0] {
        let [median, p99, worst] = latency(&hosts, binary, rate, time.max(Duration::from_secs(1)))?;
        late.add(format!("{rate:.0}"), &[median, p99, worst].map(Some));
        if rate == 100.0 {
            // A look at the ring that nothing woke would come up to a second later.
            let what = "µs from frame to line, median, at 100/s";
            floors.push(Goal::at_most(what, 10e3, median));
        }
        if rate == 900.0 {
            goals.push(Goal::at_most(
                "µs from frame to line, 99th percentile, below 1,000/s",
                1e3,
                p99,
            ));
        }
    }
    let tables = vec![kernel, lines, late];
    Ok(Section { text: TEXT.to_owned(), tables, goals, floors, ..Section::default() })
}
