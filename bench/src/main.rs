//! `cargo xtask bench`: what rst-tracer costs, beside what people use.

mod crowd;
mod frames;
mod report;
mod rounds;
mod subject;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use rst_tracer::source::live::object::OBJECT;

use crate::{
    crowd::{Crowd, Order, strangers},
    frames::{Kind, Road},
    report::{Report, Row, Size, Table},
    rounds::{Effort, Stands, measure, open},
    subject::{Bench, Hook, Objects, Subject},
};

/// Measures rst-tracer beside what people use.
#[derive(Parser)]
struct Arguments {
    /// The object of the baselines.
    #[arg(long)]
    baselines: PathBuf,
    /// The object that is measured, if not the prebuilt one.
    #[arg(long)]
    object: Option<PathBuf>,
    /// A smoke run: few rounds, few flows.
    #[arg(long)]
    quick: bool,
    /// The commit that is measured.
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// Where the report goes.
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Where the same goes as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    let ours = arguments.object.as_deref().map(read).transpose()?;
    let objects = Objects {
        baselines: &read(&arguments.baselines)?,
        ours: ours.as_deref().unwrap_or(OBJECT),
    };
    let effort = if arguments.quick { Effort::QUICK } else { Effort::WHOLE };
    let (hot, sizes) = hot(&objects, effort)?;
    let crowds = crowds(&objects, effort, arguments.quick)?;
    let report = Report {
        machine: machine()?,
        kernel: nix::sys::utsname::uname()?.release().to_string_lossy().into_owned(),
        commit: arguments.commit,
        tables: vec![hot, crowds],
        sizes,
    };
    if let Some(path) = &arguments.markdown {
        write(path, &report.markdown())?;
    }
    if let Some(path) = &arguments.json {
        write(path, &serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Processor and number of CPUs.
fn machine() -> Result<String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").context("reading /proc/cpuinfo")?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |line| line.trim_start_matches(['\t', ':', ' ']));
    Ok(format!("{model}, {} CPUs", std::thread::available_parallelism()?))
}

/// One connection: every kind of frame, every hook.
fn hot(objects: &Objects<'_>, effort: Effort) -> Result<(Table, Vec<Size>)> {
    let mut bench = Bench::load(objects, 1 << 16)?;
    let mut rows = Vec::new();
    let mut client = 0;
    let mut one = |hook: Hook, kind: Kind, road: Road, rows: &mut Vec<Row>| -> Result<()> {
        // A connection of its own: elsewhere it would be a second sighting.
        client += 1;
        bench.write_sequence(&[client])?;
        for subject in [Subject::Textbook, Subject::Ours] {
            for opening in [Kind::Syn, Kind::SynAck, Kind::Ack] {
                bench.rewind()?;
                bench.run(subject, hook, (opening, road), 1, 1)?;
            }
        }
        let measured =
            measure(&mut bench, hook, (kind, road), &[client], &mut Stands::default(), effort)?;
        let row = Row::of(format!("{}, {}, {}", kind.name(), road.name(), hook.name()), &measured);
        println!("{}", row.line());
        rows.push(row);
        Ok(())
    };
    for hook in Hook::ALL {
        for kind in Kind::ALL {
            one(hook, kind, Road::V4, &mut rows)?;
        }
        for road in [Road::V6, Road::V4Tagged] {
            one(hook, Kind::Data, road, &mut rows)?;
        }
    }
    let mut sizes = Vec::new();
    for hook in Hook::ALL {
        for subject in Subject::ALL {
            let (verified, instructions) = bench.size(subject, hook)?;
            let program = format!("{}, {}", subject.name(), hook.name());
            sizes.push(Size { program, verified, instructions });
        }
    }
    Ok((Table { title: "One connection".to_owned(), rows }, sizes))
}

/// Many connections, IPv4, XDP.
fn crowds(objects: &Objects<'_>, effort: Effort, quick: bool) -> Result<Table> {
    const HOOK: Hook = Hook::Xdp;
    let mut rows = Vec::new();
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
            rows.push(Row::of(format!("data segment, {flows} flows, {}", order.name()), &measured));
            println!("{}", rows[rows.len() - 1].line());
        }
        for (kind, name) in [(Kind::Syn, "SYN"), (Kind::Rst, "RST without a flow")] {
            let sequence = strangers(effort.sequence);
            let what = (kind, Road::V4);
            let measured = measure(&mut bench, HOOK, what, &sequence, &mut stands, effort)?;
            rows.push(Row::of(format!("{name}, always new, beside {flows} flows"), &measured));
            println!("{}", rows[rows.len() - 1].line());
        }
    }
    Ok(Table { title: "Many connections".to_owned(), rows })
}
