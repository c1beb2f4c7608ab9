//! The programs that are measured, loaded, and the program that feeds them.
//!
//! In: the object of the baselines, how many flows there are to be. Out: how long one frame takes a subject,
//! measured inside the kernel by `BPF_PROG_TEST_RUN`.

use std::fs::File;

use anyhow::{Context, Result, bail};
use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, MapData, ProgramArray, RingBuf},
    programs::{Program, ProgramFd, TestRun, TestRunAttrs, TestRunOptions, xdp::XdpMode},
};
use nix::{
    sched::{CloneFlags, unshare},
    time::{ClockId, clock_gettime},
};
use rst_tracer::source::live::{
    kernel::{self, Options, Recording},
    rings::{Cut, Rings},
};

use crate::{
    frames::{Kind, PAYLOAD, Road, frame},
    subject::{Hook, Subject},
};

/// `Rotation` of the feeding program.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rotation {
    pub(crate) at: u32,
    pub(crate) mask: u32,
    pub(crate) ip: u32,
    pub(crate) is_v6: u32,
    pub(crate) is_back: u32,
    pub(crate) step: u32,
    pub(crate) lap: u32,
    pub(crate) seq: u32,
    pub(crate) is_on: u32,
}

// SAFETY: plain integers.
unsafe impl Pod for Rotation {}

/// Loopback of a namespace of our own.
const LOOPBACK: u32 = 1;
/// Live frames that the kernel hands on at once: as many as a driver takes from its queue.
pub(crate) const LIVE_BATCH: u32 = 64;
/// How many places the sequence of clients has.
pub(crate) const MOST: usize = 1 << 21;

/// The kernel objects.
pub(crate) struct Objects<'a> {
    /// What is measured beside.
    pub(crate) baselines: &'a [u8],
    /// rst-tracer's.
    pub(crate) ours: &'a [u8],
}

/// Everything loaded.
pub(crate) struct Bench {
    baselines: Ebpf,
    ours: Ebpf,
    unrecorded: Ebpf,
    rotation: Array<MapData, Rotation>,
    sequence: Array<MapData, u32>,
    xdp_subject: ProgramArray<MapData>,
    tc_subject: ProgramArray<MapData>,
    reports: RingBuf<MapData>,
    rings: [Rings; 2],
    /// Keeps the network namespace.
    _namespace: File,
}

impl Bench {
    /// Loads everything for a table of `slots` flows, in a network namespace of the calling thread's own.
    pub(crate) fn load(objects: &Objects<'_>, slots: u32) -> Result<Self> {
        let mut baselines = EbpfLoader::new()
            .map_max_entries("TABLE", slots)
            .load(objects.baselines)
            .context("loading the baselines")?;
        let options = Options::all_told(slots, Cut::one(8 << 20))?;
        let mut ours = kernel::load(objects.ours, &options)?;
        let mut unrecorded =
            kernel::load(objects.ours, &Options { recorder: Recording::Off, ..options.clone() })?;
        unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
        let namespace = File::open("/proc/thread-self/ns/net")?;
        for subject in Subject::ALL {
            for hook in Hook::ALL {
                let object = of(subject, &mut baselines, &mut ours, &mut unrecorded);
                load_program(object, hook.program(subject))?;
            }
        }
        for feeder in ["xdp_rotate", "tc_rotate"] {
            load_program(&mut baselines, feeder)?;
        }
        if let Some(Program::Xdp(xdp)) = baselines.program_mut("xdp_rotate") {
            // While no device has an XDP program, each run waits for the kernel to patch it into its
            // dispatcher and out again.
            xdp.attach_to_if_index(LOOPBACK, XdpMode::Skb).context("attaching to loopback")?;
        }
        let reports = RingBuf::try_from(baselines.take_map("REPORTS").context("no map REPORTS")?)?;
        let rings =
            [Rings::make(&mut ours, options.rings)?, Rings::make(&mut unrecorded, options.rings)?];
        Ok(Self {
            rotation: Array::try_from(baselines.take_map("ROTATION").context("no ROTATION")?)?,
            sequence: Array::try_from(baselines.take_map("SEQUENCE").context("no SEQUENCE")?)?,
            xdp_subject: ProgramArray::try_from(
                baselines.take_map("XDP_SUBJECT").context("no XDP_SUBJECT")?,
            )?,
            tc_subject: ProgramArray::try_from(
                baselines.take_map("TC_SUBJECT").context("no TC_SUBJECT")?,
            )?,
            reports,
            rings,
            baselines,
            ours,
            unrecorded,
            _namespace: namespace,
        })
    }

    /// Writes which client comes when; the length is a power of two.
    pub(crate) fn write_sequence(&mut self, clients: &[u32]) -> Result<()> {
        anyhow::ensure!(clients.len().is_power_of_two() && clients.len() <= MOST);
        for (at, client) in (0..).zip(clients) {
            self.sequence.set(at, client, 0)?;
        }
        Ok(())
    }

    /// Feeds a subject `count` frames of the first `clients` of the sequence, and says how many nanoseconds
    /// of CPU time one took.
    pub(crate) fn run(
        &mut self,
        subject: Subject,
        hook: Hook,
        what: (Kind, Road),
        clients: usize,
        count: u32,
    ) -> Result<f64> {
        let options = TestRunOptions { repeat: count, ..TestRunOptions::default() };
        self.run_with(options, subject, hook, what, clients)
    }

    /// The same with live frames at XDP, which go on into the stack as if loopback of the calling thread's
    /// namespace had received them. No program may be attached there: it would see them again.
    pub(crate) fn run_live(
        &mut self,
        subject: Subject,
        what: (Kind, Road),
        clients: usize,
        count: u32,
    ) -> Result<f64> {
        let attrs = TestRunAttrs::new().xdp_live_frames(LIVE_BATCH);
        let options = TestRunOptions { repeat: count, attrs, ..TestRunOptions::default() };
        self.run_with(options, subject, Hook::Xdp, what, clients)
    }

    fn run_with(
        &mut self,
        options: TestRunOptions<'_>,
        subject: Subject,
        hook: Hook,
        what: (Kind, Road),
        clients: usize,
    ) -> Result<f64> {
        let (kind, road) = what;
        let (at, seq) = self.stands()?;
        let rotation = Rotation {
            at,
            mask: clients as u32 - 1,
            ip: road.ip(),
            is_v6: u32::from(road == Road::V6),
            is_back: u32::from(kind.is_back()),
            // A flow is met again after as many frames as there are clients, and has gone on by then.
            step: match kind {
                Kind::Data => (PAYLOAD as u32 / clients as u32).max(1),
                _ => 0,
            },
            lap: 0,
            seq: if seq == 0 || kind != Kind::Data { kind.seq() } else { seq },
            is_on: 1,
        };
        self.rotation.set(0, rotation, 0)?;
        self.choose(subject, hook)?;
        let bytes = frame(kind, road);
        let count = options.repeat;
        let options = TestRunOptions { data_in: Some(&bytes), ..options };
        let start = cpu_ns()?;
        let feeder = if hook == Hook::Xdp { "xdp_rotate" } else { "tc_rotate" };
        match self.baselines.program(feeder) {
            Some(Program::Xdp(xdp)) => xdp.test_run(options)?,
            Some(Program::SchedClassifier(tc)) => tc.test_run(options)?,
            _ => bail!("no program {feeder}"),
        };
        let took = cpu_ns()? - start;
        // Nobody reads what was reported, but the next frames are to find room.
        while self.reports.next().is_some() {}
        for rings in &mut self.rings {
            while rings.take_one().is_some() {}
        }
        Ok(took as f64 / f64::from(count))
    }

    /// Which place of the sequence comes next, and the sequence number of the last frame.
    pub(crate) fn stands(&self) -> Result<(u32, u32)> {
        let rotation = self.rotation.get(&0, 0)?;
        Ok((rotation.at, rotation.seq))
    }

    /// Goes back to where a subject stood, so that every subject sees the same frames.
    pub(crate) fn stand(&mut self, (at, seq): (u32, u32)) -> Result<()> {
        Ok(self.rotation.set(0, Rotation { at, seq, ..Rotation::default() }, 0)?)
    }

    /// Goes back to the beginning.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        self.stand((0, 0))
    }

    fn object(&self, subject: Subject) -> &Ebpf {
        of(subject, &self.baselines, &self.ours, &self.unrecorded)
    }

    fn choose(&mut self, subject: Subject, hook: Hook) -> Result<()> {
        let object = of(subject, &self.baselines, &self.ours, &self.unrecorded);
        let fd = fd_of(object, hook.program(subject))?;
        let subjects = if hook == Hook::Xdp { &mut self.xdp_subject } else { &mut self.tc_subject };
        Ok(subjects.set(0, fd, 0)?)
    }

    /// How many instructions the verifier followed in a subject's program, and how many it has.
    pub(crate) fn size(&self, subject: Subject, hook: Hook) -> Result<(Option<u32>, Option<u32>)> {
        let program = self
            .object(subject)
            .program(hook.program(subject))
            .context("a program of the object")?;
        let info = program.info()?;
        Ok((info.verified_instruction_count(), info.size_translated().map(|bytes| bytes / 8)))
    }
}

/// The object that holds a subject.
fn of<T>(subject: Subject, baselines: T, ours: T, unrecorded: T) -> T {
    match subject {
        Subject::Ours => ours,
        Subject::Unrecorded => unrecorded,
        Subject::Empty | Subject::Parse | Subject::Textbook => baselines,
    }
}

pub(crate) fn load_program(of: &mut Ebpf, name: &str) -> Result<()> {
    let loaded = match of.program_mut(name) {
        // Both ways of traffic control share the baselines.
        Some(Program::Xdp(xdp)) if xdp.fd().is_ok() => Ok(()),
        Some(Program::SchedClassifier(tc)) if tc.fd().is_ok() => Ok(()),
        Some(Program::Xdp(xdp)) => xdp.load(),
        Some(Program::SchedClassifier(tc)) => tc.load(),
        _ => bail!("the object has no program {name}"),
    };
    loaded.with_context(|| format!("loading {name}"))
}

fn fd_of<'a>(of: &'a Ebpf, name: &str) -> Result<&'a ProgramFd> {
    Ok(match of.program(name) {
        Some(Program::Xdp(xdp)) => xdp.fd()?,
        Some(Program::SchedClassifier(tc)) => tc.fd()?,
        _ => bail!("the object has no program {name}"),
    })
}

fn cpu_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}
