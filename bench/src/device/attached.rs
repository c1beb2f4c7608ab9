//! Who is attached to the device while something is measured, from the start to the end.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::RingBuf,
    programs::{Program, TcAttachType, XdpMode},
};
use rst_tracer_tests::tracer::Tracer;

use super::hosts::{DEVICE, Hosts};
use crate::{child, loaded::load_program};

/// Resets and nothing else, for whoever takes libpcap's filters.
const FILTER: &str = "tcp[tcpflags] & tcp-rst != 0";
/// As many connections as rst-tracer remembers by default.
const FLOWS: u32 = 1 << 16;

/// Who is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attached {
    Nothing,
    Empty,
    Textbook,
    TextbookTc,
    Ours,
    OursNative,
    OursGeneric,
    Tcpdump,
    Tshark,
}

impl Attached {
    pub(crate) const ALL: [Self; 9] = [
        Self::Nothing,
        Self::Empty,
        Self::Textbook,
        Self::TextbookTc,
        Self::Ours,
        Self::OursNative,
        Self::OursGeneric,
        Self::Tcpdump,
        Self::Tshark,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Empty => "empty, native XDP",
            Self::Textbook => "textbook, native XDP",
            Self::TextbookTc => "textbook, traffic control",
            Self::Ours => "rst-tracer, default (traffic control)",
            Self::OursNative => "rst-tracer, native XDP",
            Self::OursGeneric => "rst-tracer, generic XDP",
            Self::Tcpdump => "tcpdump",
            Self::Tshark => "tshark",
        }
    }

    /// Whether this machine has it.
    pub(crate) fn is_there(self) -> bool {
        match self {
            Self::Tcpdump => child::is_there("tcpdump"),
            Self::Tshark => child::is_there("tshark"),
            _ => true,
        }
    }

    /// Whether the device runs an XDP program itself.
    pub(crate) const fn is_native(self) -> bool {
        matches!(self, Self::Empty | Self::Textbook | Self::OursNative)
    }

    /// Attaches it; returns when it sees everything.
    pub(crate) fn start(self, hosts: &Hosts, binary: &Path, baselines: &[u8]) -> Result<Running> {
        let trace = |mode: &[&str], ingress: &str| {
            let mut command = Command::new(binary);
            command.args(["trace", "-i", DEVICE]).args(mode);
            hosts.here.run(|| {
                let tracer = Tracer::spawn_into(command.stdin(Stdio::null()), Stdio::null());
                tracer.await_ready();
                let said = tracer.err.so_far();
                let begin = format!("{DEVICE}: ingress {ingress}");
                ensure!(said.iter().any(|line| line.starts_with(&begin)), "no {begin:?}: {said:?}");
                Ok(Running::Tracer(tracer))
            })
        };
        let listen = |program: &str, arguments: &[&str], ready: &str| {
            let mut command = Command::new(program);
            command.args(["-i", DEVICE, "-w", "/dev/null"]).args(arguments).stdin(Stdio::null());
            hosts.here.run(|| {
                let listener = Tracer::spawn_into(&mut command, Stdio::null());
                listener.err.await_line(program, |line| line.starts_with(ready));
                Ok(Running::Listener(listener))
            })
        };
        match self {
            Self::Nothing => Ok(Running::Nothing),
            Self::Empty => hosts.here.run(|| attach(baselines, "xdp_empty")),
            Self::Textbook => hosts.here.run(|| attach(baselines, "xdp_textbook")),
            Self::TextbookTc => hosts.here.run(|| attach(baselines, "tc_textbook")),
            Self::Ours => trace(&[], "tcx"),
            Self::OursNative => trace(&["--xdp-mode", "native"], "native XDP"),
            Self::OursGeneric => trace(&["--xdp-mode", "generic"], "generic XDP"),
            Self::Tcpdump => listen("tcpdump", &[FILTER], "tcpdump: listening on"),
            Self::Tshark => {
                let tshark = listen("tshark", &["-f", FILTER], "Capturing on");
                // It says so a little before it does.
                thread::sleep(Duration::from_millis(100));
                tshark
            }
        }
    }
}

/// Attached until this is dropped.
pub(crate) enum Running {
    Nothing,
    Programs { _ebpf: Box<Ebpf>, _reader: Reader },
    Tracer(Tracer),
    Listener(Tracer),
}

impl Running {
    /// Ends it; it must have seen what was sent.
    pub(crate) fn finish(self, frames: u64, resets: u64) -> Result<()> {
        match self {
            Self::Nothing | Self::Programs { .. } => {}
            Self::Tracer(tracer) => {
                let ended = tracer.interrupt();
                ensure!(ended.status.success(), "rst-tracer failed: {:?}", ended.err);
                let summary = ended.summary();
                let (segments, seen) = (summary.count("segments"), summary.count("resets"));
                ensure!(segments >= frames, "{frames} frames, rst-tracer saw {segments} segments");
                ensure!(seen >= resets, "{resets} resets, rst-tracer saw {seen}");
            }
            Self::Listener(listener) => {
                // dumpcap counts what it has read, and reads four times a second; tcpdump also counts what it has not.
                thread::sleep(Duration::from_millis(300));
                let ended = listener.interrupt();
                ensure!(ended.status.success(), "the listener failed: {:?}", ended.err);
                let counts = ended.err.iter().filter_map(|line| {
                    let (number, what) = line.split_once(' ')?;
                    what.starts_with("packet").then(|| number.parse::<u64>().ok())?
                });
                let seen = counts.max().unwrap_or(0);
                ensure!(seen > 0 || resets == 0, "{resets} resets, none was seen: {:?}", ended.err);
            }
        }
        Ok(())
    }
}

/// Attaches one of the baselines to the device, at traffic control both ways.
fn attach(baselines: &[u8], name: &str) -> Result<Running> {
    let mut ebpf = EbpfLoader::new()
        .map_max_entries("TABLE", FLOWS)
        .load(baselines)
        .context("loading the baselines")?;
    load_program(&mut ebpf, name)?;
    match ebpf.program_mut(name) {
        Some(Program::Xdp(xdp)) => {
            xdp.attach(DEVICE, XdpMode::Driver)?;
        }
        Some(Program::SchedClassifier(tc)) => {
            tc.attach(DEVICE, TcAttachType::Ingress)?;
            tc.attach(DEVICE, TcAttachType::Egress)?;
        }
        _ => bail!("the object has no program {name}"),
    }
    let reports = RingBuf::try_from(ebpf.take_map("REPORTS").context("no map REPORTS")?)?;
    Ok(Running::Programs { _ebpf: Box::new(ebpf), _reader: Reader::start(reports) })
}

/// The least that whoever reports resets needs: somebody who takes the reports.
pub(crate) struct Reader {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    fn start(mut reports: RingBuf<aya::maps::MapData>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !theirs.load(Ordering::Relaxed) {
                while reports.next().is_some() {}
                thread::sleep(Duration::from_millis(1));
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
