//! `rst-tracer replay` beside what people find resets in capture files with.

mod template;
mod traffic;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    child::{self, Took},
    report::{Goal, Section, Table},
};
use traffic::{Size, Written};

const TEXT: &str = "\
A capture file from its first byte to its last, medians over interleaved rounds. The files are in the page cache, the
output goes to `/dev/null`. Generated ones have a hundred thousand connections, of which an eighth is open at once:
handshakes, requests and responses, a quarter over IPv6, closed by FINs or, one in eight, by a reset. Times are CPU
time, the kernel's included, because the machine is shared; each of the three programs is busy in one thread alone.
Memory is the most that was resident at once. Beside `rst-tracer replay`, which remembers each connection and explains
each reset:

- **tcpdump** `-n -r FILE 'tcp[tcpflags] & tcp-rst != 0'`, which looks at each packet alone, and at IPv4 only;
- **tshark** `-n -r FILE -Y tcp.flags.reset==1 -T fields -e frame.number`, in the first round only, and not for the
  large file, which takes it minutes: what it needs for a packet does not become less.";

const NO_SURICATA: &str = "\n\nSuricata, which follows connections too, is not here: it is not installed, and this distribution has no package.";

/// How often each program reads a file.
const ROUNDS: usize = 7;

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Ours,
    Tcpdump,
    Tshark,
}

impl Reader {
    const ALL: [Self; 3] = [Self::Ours, Self::Tcpdump, Self::Tshark];

    fn command(self, binary: &Path, file: &Path) -> Command {
        let program = match self {
            Self::Ours => binary,
            Self::Tcpdump => Path::new("tcpdump"),
            Self::Tshark => Path::new("tshark"),
        };
        let mut command = Command::new(program);
        match self {
            Self::Ours => command.arg("replay").arg(file),
            Self::Tcpdump => {
                command.args(["-n", "-r"]).arg(file).arg("tcp[tcpflags] & tcp-rst != 0")
            }
            Self::Tshark => {
                let rest = ["-Y", "tcp.flags.reset==1", "-T", "fields", "-e", "frame.number"];
                command.args(["-n", "-r"]).arg(file).args(rest)
            }
        };
        command
    }
}

/// What the rounds over one file brought: medians, none of a program that cannot read it or is not there.
type Medians = [Option<Took>; Reader::ALL.len()];

/// Reads a file by turns; `tshark`: in so many rounds.
fn measure(binary: &Path, file: &Path, rounds: usize, tshark: usize) -> Result<Medians> {
    let mut all: [Vec<Took>; Reader::ALL.len()] = Default::default();
    for round in 0..rounds {
        for turn in 0..Reader::ALL.len() {
            let reader = Reader::ALL[(turn + round) % Reader::ALL.len()];
            let mut command = reader.command(binary, file);
            let is_there = child::is_there(&command.get_program().to_string_lossy());
            if is_there && (reader != Reader::Tshark || round < tshark) {
                all[reader as usize].extend(child::run(&mut command)?);
            }
        }
    }
    Ok(all.map(median))
}

fn median(all: Vec<Took>) -> Option<Took> {
    let middle = |of: fn(&Took) -> f64| {
        let mut values: Vec<f64> = all.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    Some(Took {
        seconds: middle(|took| took.seconds)?,
        cpu: middle(|took| took.cpu)?,
        memory: middle(|took| took.memory)?,
    })
}

const COLUMNS: [&str; 9] = [
    "file",
    "MB",
    "packets/s rst-tracer",
    "tcpdump",
    "tshark",
    "time × tcpdump",
    "speed × tshark",
    "MiB rst-tracer",
    "tcpdump",
];

fn add(table: &mut Table, what: String, bytes: u64, packets: Option<u64>, medians: &Medians) {
    let [ours, tcpdump, tshark] = medians;
    let speed = |took: &Option<Took>| Some(packets? as f64 / took.as_ref()?.cpu);
    let memory = |took: &Option<Took>| Some(took.as_ref()?.memory / f64::from(1 << 20));
    let ratio =
        |one: &Option<Took>, other: &Option<Took>| Some(one.as_ref()?.cpu / other.as_ref()?.cpu);
    let numbers = [
        Some(bytes as f64 / 1e6),
        speed(ours),
        speed(tcpdump),
        speed(tshark),
        ratio(ours, tcpdump),
        ratio(tshark, ours),
        memory(ours),
        memory(tcpdump),
        memory(tshark),
    ];
    table.add(what, &numbers);
}

/// Measures generated captures, and those in a directory.
pub(crate) fn section(binary: &Path, captures: Option<&Path>, quick: bool) -> Result<Section> {
    ensure!(binary.is_file(), "{}: no such file (--binary)", binary.display());
    let columns = [&COLUMNS[..], &["tshark"]].concat();
    let mut table = Table::new("Generated captures", &columns);
    let (mut goals, mut floors) = (Vec::new(), Vec::new());
    let directory = Directory::make()?;
    let (rounds, sizes): (_, &[u32]) =
        if quick { (1, &[20_000, 100_000]) } else { (ROUNDS, &[1_000_000, 10_000_000]) };
    let flows = if quick { 2_000 } else { 100_000 };
    let mut memory = Vec::new();
    for &segments in sizes {
        let file = directory.0.join(format!("{segments}.pcap"));
        let written = traffic::write(&file, Size { segments, flows })?;
        check(binary, &file, written)?;
        let medians = measure(binary, &file, rounds, usize::from(segments <= 1_000_000))?;
        fs::remove_file(&file)?;
        let what = format!(
            "{} segments of {} connections, {} resets",
            written.segments, written.flows, written.resets
        );
        add(&mut table, what, written.bytes, Some(written.segments.into()), &medians);
        let [ours, tcpdump, tshark] = medians;
        let Some(ours) = ours else { continue };
        memory.push(ours.memory);
        let of = format!("{segments} segments");
        if let Some(tshark) = tshark {
            let times = tshark.cpu / ours.cpu;
            let speed = |least| Goal::at_least(format!("{of}: speed × tshark"), least, times);
            goals.push(speed(10.0));
            // Of so small a file most is the program's start; a smoke run's is not optimised.
            floors.push(speed(match (quick, segments) {
                (true, ..50_000) => 4.0,
                (true, _) => 10.0,
                (false, _) => 30.0,
            }));
        }
        if let Some(tcpdump) = tcpdump {
            let times = ours.cpu / tcpdump.cpu;
            let time = |most| Goal::at_most(format!("{of}: time × tcpdump"), most, times);
            goals.push(time(2.0));
            if !quick {
                floors.push(time(3.5));
            }
        }
    }
    if let [small, large] = memory[..] {
        let what = format!("memory for {} segments × that for {}", sizes[1], sizes[0]);
        let growth = |most| Goal::at_most(what.clone(), most, large / small);
        goals.push(growth(1.1));
        floors.push(growth(1.4));
    }
    let mut tables = vec![table];
    if let Some(captures) = captures {
        tables.push(real(binary, captures, rounds, &columns)?);
    }
    let suricata = if child::is_there("suricata") { "" } else { NO_SURICATA };
    Ok(Section { text: format!("{TEXT}{suricata}"), tables, goals, floors, ..Section::default() })
}

/// Every reset that was written is found.
fn check(binary: &Path, file: &Path, written: Written) -> Result<()> {
    let output = Reader::Ours.command(binary, file).output().context("starting rst-tracer")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let Written { segments, resets, .. } = written;
    let wanted = format!("summary: {segments} segments, {resets} resets: {resets} events,");
    ensure!(said.contains(&wanted), "rst-tracer was to find {resets} resets, and said: {said}");
    Ok(())
}

/// Captures under a directory, as they are, all of them together; what one of the programs cannot read is left out.
fn real(binary: &Path, directory: &Path, rounds: usize, columns: &[&str]) -> Result<Table> {
    let mut table = Table::new("Captures from elsewhere", columns);
    let mut files = Vec::new();
    find(directory, &mut files).with_context(|| format!("reading {}", directory.display()))?;
    files.sort();
    let (mut count, mut bytes, mut packets) = (0, 0, 0);
    let mut sums: Medians = Default::default();
    for file in files {
        let medians = measure(binary, &file, rounds.min(3), 1)?;
        let is_read = |reader: &Reader| {
            let program =
                reader.command(binary, &file).get_program().to_string_lossy().into_owned();
            medians[*reader as usize].is_some() == child::is_there(&program)
        };
        let Some(frames) = frames(&file).filter(|_| Reader::ALL.iter().all(is_read)) else {
            continue;
        };
        count += 1;
        bytes += fs::metadata(&file)?.len();
        packets += frames;
        for (sum, one) in sums.iter_mut().zip(medians) {
            let Some(one) = one else { continue };
            let before = sum.unwrap_or_default();
            *sum = Some(Took {
                seconds: before.seconds + one.seconds,
                cpu: before.cpu + one.cpu,
                memory: before.memory.max(one.memory),
            });
        }
    }
    let what = format!("{count} files with {packets} packets, one by one");
    add(&mut table, what, bytes, Some(packets), &sums);
    Ok(table)
}

/// Every capture under a directory.
fn find(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if let Some("pcap" | "pcapng" | "cap") = path.extension().and_then(|e| e.to_str()) {
            files.push(path);
        }
    }
    Ok(())
}

/// How many packets a capture has; none if it cannot be read to its end.
fn frames(file: &Path) -> Option<u64> {
    let mut capture =
        rst_tracer::source::capture::Capture::open(fs::File::open(file).ok()?).ok()?;
    let mut frames = 0;
    while capture.next().ok()?.is_some() {
        frames += 1;
    }
    Some(frames)
}

/// A directory in the target directory that goes with this value.
struct Directory(PathBuf);

impl Directory {
    fn make() -> Result<Self> {
        let program = std::env::current_exe().context("asking where this program is")?;
        let target = program.parent().context("a program is in a directory")?;
        let path = target.join(format!("bench-captures-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
