//! What `rst-tracer` costs while it runs: how soon it sees something, and what it takes while nothing happens.
//!
//! In a network namespace made for it, at the loopback there.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::{
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};
use rst_tracer::demo::{netns::Netns, topology::raise};

use crate::{
    child,
    report::{Goal, Section, Table},
};

const TEXT: &str = "\
`rst-tracer --settle 0s` at the loopback of a network namespace made for it, beside `tcpdump` with a filter for resets.
Until the first line: from the start of the program, while every millisecond a socket asks for a closed port, to the
first line of its output; with rst-tracer that is the reset explained, and until then the kernel has verified its
programs, which is most of the CPU time. Idle: CPU time of all threads while no packet comes. Memory: what is resident of the program, its
libraries, stacks and heap; what is mapped of the kernel's maps, the connection table and the rings, stands beside it.";

const COLUMNS: [&str; 7] = [
    "program",
    "ms to the first line",
    "slowest",
    "of CPU time",
    "CPU % when idle",
    "MiB resident",
    "MiB of maps resident",
];

/// Who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    Ours,
    Tcpdump,
}

impl Listener {
    const ALL: [Self; 2] = [Self::Ours, Self::Tcpdump];

    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "rst-tracer",
            Self::Tcpdump => "tcpdump",
        }
    }

    /// Starts it in the namespace of the calling thread.
    fn start(self, binary: &Path) -> Result<Running> {
        let mut command = match self {
            Self::Ours => Command::new(binary),
            Self::Tcpdump => Command::new("tcpdump"),
        };
        command.args(match self {
            Self::Ours => &["-i", "lo", "--settle", "0s"][..],
            Self::Tcpdump => &["-l", "-n", "-i", "lo", "tcp[tcpflags] & tcp-rst != 0"],
        });
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("starting {}", self.name()))?;
        let output = child.stdout.take().context("its output is a pipe")?;
        Ok(Running(child, BufReader::new(output)))
    }
}

/// A program that ends with this value, and what it writes: without a reader it would end by itself.
struct Running(Child, BufReader<ChildStdout>);

impl Running {
    /// Waits for the first line of its output, while resets are provoked.
    fn first_line(&mut self) -> Result<()> {
        let is_over = AtomicBool::new(false);
        let mut line = String::new();
        thread::scope(|scope| {
            scope.spawn(|| provoke(&is_over));
            let read = self.1.read_line(&mut line);
            is_over.store(true, Ordering::Relaxed);
            read
        })?;
        ensure!(!line.is_empty(), "it ended without a word");
        Ok(())
    }

    /// CPU time of all its threads so far, in seconds.
    fn cpu(&self) -> Result<f64> {
        let clock = clock_getcpuclockid(Pid::from_raw(self.0.id() as i32))?;
        Ok(Duration::from(clock_gettime(clock)?).as_secs_f64())
    }

    /// Bytes that are resident of everything but the kernel's maps, and of those.
    fn memory(&self) -> Result<[u64; 2]> {
        let path = format!("/proc/{}/smaps", self.0.id());
        Ok(resident(&fs::read_to_string(&path).with_context(|| format!("reading {path}"))?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks for a closed port again and again.
fn provoke(is_over: &AtomicBool) {
    const CLOSED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);
    while !is_over.load(Ordering::Relaxed) {
        let _ = TcpStream::connect(CLOSED);
        thread::sleep(Duration::from_millis(1));
    }
}

/// What `smaps` says is resident: of all but the kernel's maps, and of those.
fn resident(smaps: &str) -> [u64; 2] {
    let mut bytes = [0; 2];
    let mut is_map = false;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("Rss:") => {
                let kilobytes: u64 = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
                bytes[usize::from(is_map)] += kilobytes << 10;
            }
            // The line that a mapping begins with: addresses, and at its end a name.
            Some(first) if !first.ends_with(':') => is_map = line.contains("bpf-map"),
            _ => {}
        }
    }
    bytes
}

/// Measures the program that runs all the time.
pub(crate) fn section(binary: &Path, quick: bool) -> Result<Section> {
    ensure!(binary.is_file(), "{}: no such file (--binary)", binary.display());
    let (starts, idle) =
        if quick { (2, Duration::from_secs(2)) } else { (15, Duration::from_secs(20)) };
    let mut table = Table::new("Beside tcpdump", &COLUMNS);
    let (mut goals, mut floors) = (Vec::new(), Vec::new());
    let netns = Netns::new("bench")?;
    raise(&netns, "lo", &[])?;
    for listener in Listener::ALL {
        if listener == Listener::Tcpdump && !child::is_there("tcpdump") {
            continue;
        }
        let until_first = netns.run(|| {
            let one = |_| {
                let start = Instant::now();
                let mut running = listener.start(binary)?;
                running.first_line()?;
                Ok((start.elapsed().as_secs_f64() * 1e3, running.cpu()? * 1e3))
            };
            (0..starts).map(one).collect::<Result<Vec<(f64, f64)>>>()
        })?;
        let (mut until_first, mut busy): (Vec<f64>, Vec<f64>) = until_first.into_iter().unzip();
        until_first.sort_by(f64::total_cmp);
        busy.sort_by(f64::total_cmp);
        let (median, slowest) = (until_first[starts / 2], until_first[starts - 1]);
        let (cpu, [resident, maps]) = netns.run(|| {
            let mut running = listener.start(binary)?;
            running.first_line()?;
            // What the start leaves to be done is not idleness.
            thread::sleep(Duration::from_secs(2));
            let before = running.cpu()?;
            let start = Instant::now();
            thread::sleep(idle);
            let share = (running.cpu()? - before) / start.elapsed().as_secs_f64();
            Ok((share * 100.0, running.memory()?))
        })?;
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let memory = [mebibytes(resident), mebibytes(maps)];
        if listener == Listener::Ours {
            // A smoke run measures a program that is not optimised, for two seconds, while others keep the CPUs busy.
            // The soonest start: what else the machine does can only make it later.
            let (share, mebibytes, start) =
                if quick { (5.0, 27.0, 2_000.0) } else { (0.5, 16.0, 800.0) };
            floors.push(Goal::at_most("ms of CPU until the first line", start, busy[0]));
            if !quick {
                let soonest = until_first[0];
                floors.push(Goal::at_most("ms from the start to the first line", 500.0, soonest));
            }
            floors.push(Goal::at_most("CPU % when idle", share, cpu));
            floors.push(Goal::at_most("MiB resident beside maps", mebibytes, memory[0]));
            goals.push(Goal::at_most("ms from the start to the first line", 300.0, median));
            goals.push(Goal::at_most("CPU % when idle", 0.1, cpu));
            goals.push(Goal::at_most("MiB resident beside maps", 30.0, memory[0]));
        }
        let numbers = [median, slowest, busy[starts / 2], cpu, memory[0], memory[1]].map(Some);
        table.add(listener.name(), &numbers);
    }
    Ok(Section { text: TEXT.to_owned(), tables: vec![table], goals, floors, ..Section::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_resident_of_maps_is_told_apart() {
        let smaps = "\
7f0000000000-7f0000200000 rw-s 00000000 00:0e 1035   anon_inode:bpf-map\n\
Size:               2048 kB\nRss:                  64 kB\nVmFlags: rd wr sh\n\
7f0000400000-7f0000500000 rw-p 00000000 00:00 0 \n\
Size:               1024 kB\nRss:                   8 kB\n\
7fff00000000-7fff00021000 rw-p 00000000 00:00 0      [stack]\nRss:                   4 kB\n";
        assert_eq!(resident(smaps), [12 << 10, 64 << 10]);
    }
}
