//! What rst-tracer costs on a device, beside what people use: frames, a stream, connections that are reset.
//!
//! In: the program, the object of the baselines. Out: a section of the report.

mod attached;
mod hosts;
mod idle;
mod live;
mod readings;
mod sender;
mod sockets;
mod tables;
mod taker;

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use self::{
    attached::Attached,
    hosts::Hosts,
    idle::Idle,
    readings::{Effort, Load, Reading, Readings, Round},
    sender::{Sender, Size},
    sockets::{Churn, Iperf},
    taker::Taker,
};
use crate::report::{Goal, Section};

/// What stands there while everybody's turn comes.
struct Bench<'a> {
    binary: &'a Path,
    baselines: &'a [u8],
    effort: Effort,
    hosts: Hosts,
    senders: Vec<Sender>,
    taker: Taker,
    iperf: Iperf,
    idle: Idle,
}

impl Bench<'_> {
    /// Attaches somebody and puts these loads on the device, one after the other.
    fn turn(&mut self, who: Attached, loads: &[Load], round: &mut Round) -> Result<()> {
        let running = who.start(&self.hosts, self.binary, self.baselines)?;
        self.hosts.set_gro(true)?;
        sender::open(&mut self.senders, &self.hosts)?;
        let (mut frames, mut resets) = (0, 0);
        for &load in loads.iter().filter(|load| load.is_for(who)) {
            self.hosts.set_gro(load.wants_gro(who))?;
            let (count, reading) = self.put(load)?;
            match load {
                Load::Frames(..) | Load::DropPath(_) | Load::Stray(_) => frames += count,
                Load::Churn(_) => resets += count,
                Load::Stream => {}
            }
            round.push((who, load, reading));
        }
        running.finish(frames, resets)
    }

    /// One load: how many frames, bytes or connections it came to, and what was read off.
    fn put(&mut self, load: Load) -> Result<(u64, Reading)> {
        let (hosts, idle, effort) = (&self.hosts, &self.idle, self.effort);
        match load {
            Load::Frames(size, count) => {
                let senders = &mut self.senders[..count];
                self.taker.during(hosts, || frames(senders, hosts, idle, size, effort.frames))
            }
            Load::DropPath(size) => {
                let senders = &mut self.senders[..1];
                self.taker.during(hosts, || frames(senders, hosts, idle, size, effort.frames))
            }
            Load::Stray(size) => frames(&mut self.senders[..1], hosts, idle, size, effort.frames),
            Load::Stream => {
                let ((bytes, rate), cpu) = idle.busy(|| self.iperf.stream(hosts, effort.stream))?;
                Ok((bytes, Reading { cpu: cpu / bytes as f64, rate }))
            }
            Load::Churn(how) => {
                let churn = || sockets::churn(hosts, how, effort.churn);
                let ((count, rate), cpu) = idle.busy(churn)?;
                Ok((count, Reading { cpu: cpu / count as f64, rate }))
            }
        }
    }
}

/// How often a load of frames is put on the device at most: frames are lost where the end of the cable that takes them
/// does not come to run, because somebody else has its CPU.
const TRIES: usize = 5;

/// Live frames from all these senders, of which nearly all arrive.
fn frames(
    senders: &mut [Sender],
    hosts: &Hosts,
    idle: &Idle,
    size: Size,
    time: Duration,
) -> Result<(u64, Reading)> {
    let mut lost = Vec::new();
    for _ in 0..TRIES {
        let (sent, arrived, reading) = try_frames(senders, hosts, idle, size, time)?;
        if arrived * 10 > sent * 9 {
            return Ok((arrived, reading));
        }
        lost.push(format!("{sent} frames were sent, only {arrived} arrived"));
    }
    bail!("{TRIES} times in a row: {}", lost.join("; "))
}

/// Live frames, of which some may be lost: how many were sent, how many arrived, and what was read off.
fn try_frames(
    senders: &mut [Sender],
    hosts: &Hosts,
    idle: &Idle,
    size: Size,
    time: Duration,
) -> Result<(u64, u64, Reading)> {
    let (start, before) = (Instant::now(), hosts.received()?);
    let (sent, cpu) = idle.busy(|| sender::send(senders, hosts, size, time))?;
    let (took, arrived) = (start.elapsed().as_secs_f64(), hosts.received()? - before);
    Ok((sent, arrived, Reading { cpu: cpu / arrived as f64, rate: arrived as f64 / took }))
}

/// Every load of a turn.
fn loads(senders: &[usize], sizes: &[Size]) -> Vec<Load> {
    let frames = sizes.iter().flat_map(|&size| senders.iter().map(move |&n| Load::Frames(size, n)));
    let drop_path = sizes.iter().map(|&size| Load::DropPath(size));
    let [refused, reset] = [Churn::Refused, Churn::Reset].map(Load::Churn);
    let rest = [Load::Stray(Size::Short), Load::Stream, refused, reset];
    frames.chain(drop_path).chain(rest).collect()
}

/// Measures everything on a device.
pub(crate) fn section(binary: &Path, baselines: &[u8], quick: bool) -> Result<Section> {
    ensure!(binary.is_file(), "{}: no such file (--binary)", binary.display());
    let effort = if quick { Effort::QUICK } else { Effort::WHOLE };
    let cpus = thread::available_parallelism()?.get();
    let senders: Vec<usize> = [1, 2, 4].into_iter().filter(|&senders| senders <= cpus).collect();
    let most = senders.last().copied().unwrap_or(1);
    let sizes: &[Size] = if quick { &[Size::Short] } else { &[Size::Short, Size::Full] };
    let loads = loads(&senders, sizes);
    let (live, live_goal) = live::measure(baselines, quick)?;

    let hosts = Hosts::new(most)?;
    let mut bench = Bench {
        binary,
        baselines,
        effort,
        senders: (0..most).map(|cpu| Sender::new(baselines, cpu)).collect::<Result<_>>()?,
        taker: Taker::new(baselines, &hosts)?,
        iperf: Iperf::start(&hosts)?,
        idle: Idle::new()?,
        hosts,
    };
    let all: Vec<Attached> = Attached::ALL.into_iter().filter(|who| who.is_there()).collect();
    let (mut readings, mut others) = (Readings::default(), Vec::new());
    for number in 0..effort.rounds {
        let mut round = Round::new();
        for turn in 0..all.len() {
            // Who follows whom changes from round to round.
            let who = all[(turn + number) % all.len()];
            let turn = bench.turn(who, &loads, &mut round);
            turn.with_context(|| format!("with {} attached", who.name()))?;
        }
        readings.0.push(round);
        others.push(bench.idle.others()?);
    }
    others.sort_by(f64::total_cmp);
    let mut tables = tables::all(&readings, &all, &loads);
    tables.push(live);
    let what = "the machine is quiet: % of its CPUs that others took between the rounds";
    let mut goals = vec![Goal::at_most(what, 2.0, others[others.len() / 2] * 100.0)];
    goals.extend(tables::goals(&readings));
    goals.push(live_goal);
    Ok(Section { text: tables::text(cpus, most), tables, goals, ..Section::default() })
}
