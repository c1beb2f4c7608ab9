//! `cargo xtask bench`: what rst-tracer costs, beside what people use.

mod agent;
mod child;
mod crowd;
mod device;
mod floors;
mod frames;
mod loaded;
mod packet;
mod random;
mod replay;
mod report;
mod resets;
mod rounds;
mod subject;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use rst_tracer::source::live::object::OBJECT;

use crate::{
    loaded::Objects,
    report::{Report, Section},
    rounds::Effort,
};

/// Measures rst-tracer beside what people use.
#[derive(Parser)]
struct Arguments {
    /// What is measured, if not everything; may be given more than once.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// The object of the baselines, for the parts `packet` and `device`.
    #[arg(long)]
    baselines: Option<PathBuf>,
    /// The object that is measured, if not the prebuilt one.
    #[arg(long)]
    object: Option<PathBuf>,
    /// The program that is measured, a release build, for all other parts.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// A directory of captures that the part `replay` reads too.
    #[arg(long)]
    captures: Option<PathBuf>,
    /// A smoke run: few rounds, few flows. It fails where a floor is broken, as any run does.
    #[arg(long)]
    quick: bool,
    /// The commit that is measured.
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// Where what is measured is kept, part by part, as JSON.
    #[arg(long, requires = "markdown")]
    json: Option<PathBuf>,
    /// Where the same goes for people.
    #[arg(long, requires = "json")]
    markdown: Option<PathBuf>,
}

/// A part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One frame inside the kernel
    Packet,
    /// Capture files
    Replay,
    /// The program that runs all the time
    Agent,
    /// Resets on their way to a line
    Resets,
    /// A device with traffic
    Device,
}

impl Part {
    /// Their names in the report, with their titles, in its order.
    const TITLES: [(&'static str, &'static str); 5] = [
        ("packet", "A frame inside the kernel"),
        ("replay", "A capture file"),
        ("agent", "The program that runs all the time"),
        ("resets", "Resets on their way to a line"),
        ("device", "A device with traffic"),
    ];

    const fn name(self) -> &'static str {
        Self::TITLES[self as usize].0
    }

    fn measure(self, arguments: &Arguments) -> Result<Section> {
        let quick = arguments.quick;
        let binary =
            || arguments.binary.as_deref().context("which program is measured? --binary FILE");
        let baselines =
            || read(arguments.baselines.as_deref().context("beside what? --baselines FILE")?);
        match self {
            Self::Packet => {
                let effort = if quick { Effort::QUICK } else { Effort::WHOLE };
                let baselines = baselines()?;
                let ours = arguments.object.as_deref().map(read).transpose()?;
                let ours = ours.as_deref().unwrap_or(OBJECT);
                packet::section(&Objects { baselines: &baselines, ours }, effort, quick)
            }
            Self::Replay => replay::section(binary()?, arguments.captures.as_deref(), quick),
            Self::Agent => agent::section(binary()?, quick),
            Self::Resets => resets::section(binary()?, quick),
            Self::Device => device::section(binary()?, &baselines()?, quick),
        }
    }
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // In one line, and without a backtrace: whoever reads the end of a log is to find it there.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let machine = machine()?;
    let kernel = nix::sys::utsname::uname()?.release().to_string_lossy().into_owned();
    let all = Part::value_variants();
    let parts = if arguments.part.is_empty() { all } else { &arguments.part };
    let mut broken = Vec::new();
    for part in parts {
        let section = part.measure(arguments)?;
        let once_more = || Ok(part.measure(arguments)?.floors);
        broken.extend(floors::broken(&section.floors, once_more)?);
        let (machine, kernel, commit) = (machine.clone(), kernel.clone(), arguments.commit.clone());
        let section = Section { machine, kernel, commit, ..section };
        if let (Some(json), Some(markdown)) = (&arguments.json, &arguments.markdown) {
            // After every part: one that fails later loses nothing.
            let mut report = Report::read(json)?;
            report.sections.insert(part.name().to_owned(), section);
            write(json, &(serde_json::to_string_pretty(&report)? + "\n"))?;
            write(markdown, &report.markdown(&Part::TITLES))?;
        }
    }
    ensure!(broken.is_empty(), "worse than it may be:\n  {}", broken.join("\n  "));
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
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
