//! Listening to the kernel's own tracepoints: what it says about the resets that it sends, believes
//! and drops.
//!
//! In: the loaded object and the kernel's BTF. Out: who can be heard, each tracepoint apart: one
//! that this kernel lacks or refuses costs certainty, not the trace.

mod layout;

use std::fmt;

use anyhow::Result;
use aya::{
    Ebpf, EbpfLoader,
    maps::{MapData, PerCpuArray},
    programs::ProgramError,
};
use clap::ValueEnum;
use rst_tracer_common::{
    notice::{Point, Statements},
    places::{Arguments, Drops, Places},
};

pub use self::layout::{Layout, Names};
use super::{btf::Btf, kernel::Plain, object};
use crate::{
    correlate::{SendReset, Witnesses},
    exit::{Code, Failure},
};

/// Whose statements are heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// Every network namespace of this host: containers are part of it
    #[default]
    Host,
    /// Only the network namespace that the tracer stands in
    Netns,
}

/// A tracepoint, and whether it is heard.
#[derive(Debug)]
pub struct Heard {
    /// Its name.
    pub name: &'static str,
    /// Why not.
    pub refusal: Option<String>,
}

/// Who is heard. Dropping the object that it came from ends that.
#[derive(Debug)]
pub struct Listening {
    points: [Heard; Point::COUNT],
    says_why: bool,
}

/// What BTF says about the running kernel; what cannot be read is as if it were not there, with a
/// warning.
pub fn of_running_kernel() -> Layout {
    let btf = Btf::of_running_kernel().unwrap_or_else(|error| {
        log::warn!("the kernel's evidence cannot be had: {error:#}");
        None
    });
    Layout::of(btf.as_ref())
}

/// The globals of the programs, as the loader wants them.
pub(super) struct Globals {
    places: [u32; size_of::<Places>() / 4],
    drops: [u32; size_of::<Drops>() / 4],
    arguments: [u32; size_of::<Arguments>() / 4],
    netns: u32,
}

impl Globals {
    /// Of this kernel, for the statements of one network namespace or of all.
    pub(super) fn new(layout: &Layout, netns: Option<u32>) -> Self {
        Self {
            places: zerocopy::transmute!(layout.places),
            drops: zerocopy::transmute!(layout.drops),
            arguments: zerocopy::transmute!(layout.arguments),
            netns: netns.unwrap_or(0),
        }
    }

    /// Sets them.
    pub(super) fn set<'a>(&'a self, loader: &mut EbpfLoader<'a>) {
        loader
            .override_global("PLACES", &self.places, true)
            .override_global("DROPS", &self.drops, true)
            .override_global("ARGUMENTS", &self.arguments, true)
            .override_global("NETNS", &self.netns, true);
    }
}

/// Loads and attaches a program for each tracepoint.
pub fn listen(ebpf: &mut Ebpf, layout: &Layout) -> Listening {
    each(ebpf, layout, |program| program.attach().map(drop))
}

/// Loads a program for each tracepoint, and attaches none.
pub fn load(ebpf: &mut Ebpf, layout: &Layout) -> Listening {
    each(ebpf, layout, |_| Ok(()))
}

fn each(
    ebpf: &mut Ebpf,
    layout: &Layout,
    attach: impl Fn(&mut aya::programs::BtfTracePoint) -> Result<(), ProgramError>,
) -> Listening {
    let types = aya::Btf::from_sys_fs();
    let mut points = Point::NAMES.map(|name| Heard { name, refusal: None });
    for (point, lack) in points.iter_mut().zip(&layout.lacks) {
        let name = point.name;
        let mut attempt = || -> Result<(), String> {
            if let Some(lack) = lack {
                return Err(lack.clone());
            }
            let types = types.as_ref().map_err(|error| error.to_string())?;
            let program = ebpf.program_mut(name).ok_or("the object has no such program")?;
            let program: &mut aya::programs::BtfTracePoint =
                program.try_into().map_err(|error: ProgramError| error.to_string())?;
            let tried = program.load(name, types).and_then(|()| attach(program));
            tried.map_err(|error| match object::explain_program(name, &error) {
                // What is missing is said once, of the programs that nothing works without.
                Failure { code: Code::NO_PERMISSION, .. } => "not permitted".into(),
                Failure { message, .. } => message,
            })
        };
        point.refusal = attempt().err();
    }
    Listening { points, says_why: layout.arguments.why_sent != 0 }
}

impl Listening {
    /// Every tracepoint.
    pub fn points(&self) -> &[Heard] {
        &self.points
    }

    fn hears(&self, point: Point) -> bool {
        self.points.get(usize::from(point.0)).is_some_and(|point| point.refusal.is_none())
    }

    /// Whose silence means something.
    pub fn witnesses(&self) -> Witnesses {
        // The change that gave it a reason also made it speak where there is no full socket
        // (Linux 6.10).
        let send_reset = match (self.hears(Point::SEND_RESET), self.says_why) {
            (false, _) => SendReset::Never,
            (true, false) => SendReset::FullSockets,
            (true, true) => SendReset::Always,
        };
        Witnesses {
            send_reset,
            receive_reset: self.hears(Point::RECEIVE_RESET),
            states: self.hears(Point::LISTENER),
            drops: self.hears(Point::DROP),
        }
    }
}

impl fmt::Display for Listening {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (heard, refused): (Vec<_>, Vec<_>) =
            self.points.iter().partition(|point| point.refusal.is_none());
        let names: Vec<&str> = heard.iter().map(|point| point.name).collect();
        match names.as_slice() {
            [] => write!(f, "kernel evidence: none")?,
            names => write!(f, "kernel evidence: {}", names.join(", "))?,
        }
        if self.hears(Point::SEND_RESET) && !self.says_why {
            write!(f, " (without reasons: Linux 6.10 has them)")?;
        }
        for point in refused {
            let why = point.refusal.as_deref().unwrap_or_default();
            write!(f, "; no {}: {why}", point.name)?;
        }
        Ok(())
    }
}

/// What became of the statements, all CPUs together.
pub(super) struct StatementMap(PerCpuArray<MapData, Plain<Statements>>);

impl StatementMap {
    /// Takes the map out of the object; `None`: it has no such map.
    pub(super) fn take(ebpf: &mut Ebpf) -> Option<Self> {
        PerCpuArray::try_from(ebpf.take_map("STATEMENTS")?).ok().map(Self)
    }

    /// What was counted so far.
    ///
    /// # Errors
    /// Fails when the kernel refuses to read the map.
    pub(super) fn read(&self) -> Result<Statements> {
        let mut sum = Statements::default();
        for per_cpu in self.0.get(&0, 0)?.iter() {
            sum.add(&per_cpu.0);
        }
        Ok(sum)
    }
}
