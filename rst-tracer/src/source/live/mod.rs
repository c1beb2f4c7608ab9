//! Where the running kernel is asked: the programs on the interfaces, their records and counters.
//!
//! In: which interfaces. Out: [`Record`]s in the order in which the kernel wrote them. Interfaces
//! that appear or vanish later are followed. Dropping it takes everything off again.

pub mod attach;
pub mod btf;
pub mod evidence;
pub mod kernel;
pub mod object;
pub mod rings;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use anyhow::{Context, Result};
use aya_log::EbpfLogger;
use rst_tracer_common::{
    event::{Counters, Hook},
    notice::Statements,
};
use tokio::io::{Interest, unix::AsyncFd};

use self::{
    attach::{Attached, Hooks, XdpMode},
    evidence::{Layout, Listening, Scope, StatementMap},
    rings::Rings,
};
use super::{Origin, Record};
use crate::{
    clock,
    correlate::Witnesses,
    exit::{Code, Failure},
    links::{self, Change, Choice, Link, Watch},
};

/// What to trace and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which interfaces.
    pub interfaces: Choice,
    /// Where XDP is used.
    pub xdp_mode: XdpMode,
    /// Sizes and keys of the kernel side.
    pub kernel: kernel::Options,
    /// Whose statements of the kernel are heard.
    pub scope: Scope,
    /// An object to load instead of the one inside this binary.
    pub object: Option<std::path::PathBuf>,
}

/// What a running trace woke up for.
#[derive(Debug)]
pub enum Wake {
    /// The ring buffer has records.
    Records,
    /// An interface appeared, changed or vanished.
    Change(Change),
}

/// What a look into the rings brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// How many records were handed over.
    pub records: usize,
    /// Whether it is worth looking again at once.
    pub may_have_more: bool,
}

/// A running trace.
pub struct Live {
    options: Options,
    rings: AsyncFd<Rings>,
    /// Records that were written while the last batch was read.
    held: Vec<Record>,
    counters: kernel::CounterMap,
    statements: Option<StatementMap>,
    /// Who is behind a flood.
    pub sources: kernel::SourceMap,
    layout: Layout,
    listening: Listening,
    hooks: Hooks,
    attached: BTreeMap<u32, Attached>,
    names: HashMap<u32, Arc<str>>,
    watch: Watch,
    /// Interfaces that could not be attached to.
    refused: BTreeSet<u32>,
    undecoded: u64,
    /// What the programs log, when somebody listens.
    kernel_log: Option<EbpfLogger<&'static dyn log::Log>>,
}

impl Live {
    /// Loads the programs and attaches them in the calling thread's network namespace. `say` gets
    /// one line per interface: what was attached and why.
    ///
    /// # Errors
    /// A [`Failure`] in the chain says what is missing and the exit code for it.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub fn start(options: Options, mut say: impl FnMut(String)) -> Result<Self> {
        // First, because a wrong name is found at once and by anybody.
        let watch = links::watch()?;
        let known: Vec<Link> = watch.known().cloned().collect();
        let selection = links::select(&options.interfaces, &known)?;
        object::check_permission()?;
        let layout = evidence::of_running_kernel();
        let netns = match options.scope {
            Scope::Host => None,
            Scope::Netns => own_netns(),
        };
        let mut ebpf = match &options.object {
            None => kernel::load_for(object::OBJECT, &options.kernel, &layout, netns)?,
            Some(path) => {
                let bytes = std::fs::read(path)
                    .with_context(|| format!("cannot read the BPF object {}", path.display()))?;
                kernel::load_for(&bytes, &options.kernel, &layout, netns)
                    .with_context(|| format!("cannot load the BPF object {}", path.display()))?
            }
        };
        let kernel_log = log::log_enabled!(log::Level::Debug)
            .then(|| EbpfLogger::init(&mut ebpf))
            .transpose()
            .context("the BPF object has no log")?;
        let counters = kernel::CounterMap::take(&mut ebpf)?;
        let statements = StatementMap::take(&mut ebpf);
        let sources = kernel::SourceMap::take(&mut ebpf)?;
        // Before the tracepoints: what finds no ring is lost.
        let rings = Rings::make(&mut ebpf, options.kernel.rings)?;
        // Before the interfaces: what is on the wire may have been said a moment earlier.
        let listening = evidence::listen(&mut ebpf, &layout);
        say(listening.to_string());
        let hooks = Hooks::new(ebpf)?;
        // SAFETY: the `AsyncFd` owns the rings, which keep their one open descriptor until dropped.
        let rings = unsafe { AsyncFd::register_with_interest(rings, Interest::READABLE) }
            .map_err(std::io::Error::from)?;
        let (attached, names) = Default::default();
        let mut live = Self {
            options,
            rings,
            held: Vec::new(),
            counters,
            statements,
            sources,
            layout,
            listening,
            hooks,
            attached,
            names,
            watch,
            refused: BTreeSet::new(),
            undecoded: 0,
            kernel_log,
        };
        for unknown in &selection.unknown {
            say(format!("not traced: {unknown}"));
        }
        let mut failures = Vec::new();
        for chosen in &selection.chosen {
            match live.attach(&chosen.link) {
                Ok(line) => say(line),
                Err(failure) => {
                    say(format!("{}: not traced: {failure}", chosen.link.name));
                    failures.push(failure);
                }
            }
        }
        if live.options.interfaces.strict
            && let Some(failure) = failures.pop()
        {
            return Err(failure.into());
        }
        for skipped in &selection.skipped {
            say(format!("{}: not traced: {}", skipped.link.name, skipped.reason));
        }
        if live.attached.is_empty() {
            let nothing = Failure::new(Code::FAILURE, "there is no interface to trace");
            return Err(failures.into_iter().next().unwrap_or(nothing).into());
        }
        Ok(live)
    }

    fn attach(&mut self, link: &Link) -> Result<String, Failure> {
        let attached = self.hooks.attach(link, self.options.xdp_mode)?;
        let mut line = attached.to_string();
        for note in &attached.notes {
            line.push_str(&format!("\n{}: {note}", attached.name));
        }
        self.attached.insert(link.index, attached);
        self.names.insert(link.index, link.name.as_str().into());
        Ok(line)
    }

    /// Waits for records or for a change of the interfaces. Cancel safe.
    ///
    /// # Errors
    /// Fails when the ring buffer or netlink cannot be read.
    pub async fn next(&mut self) -> Result<Wake> {
        tokio::select! {
            readable = self.rings.readable() => {
                readable?.clear_ready();
                Ok(Wake::Records)
            }
            change = self.watch.next() => change.map(Wake::Change),
        }
    }

    /// Hands over what the kernel wrote until now, up to `most` records of each ring, in the order in which it
    /// happened.
    pub fn drain(&mut self, most: usize, mut each: impl FnMut(Record)) -> Drained {
        if let Some(log) = &mut self.kernel_log {
            log.flush();
        }
        let epoch_ns = realtime_minus_monotonic_ns();
        let (names, undecoded) = (&self.names, &mut self.undecoded);
        let kernel = &self.layout.names;
        let mut batch = std::mem::take(&mut self.held);
        // What is written from now on may stand in a ring that was looked at while what led to it goes into one
        // that still will be: it waits for the next batch.
        let until = clock::monotonic_ns();
        let more_from = self.rings.get_mut().drain(most, |bytes| {
            let origin = |ifindex| Origin {
                interface: names.get(&ifindex).cloned(),
                file: None,
                frame: None,
                // Where it has no address, that is zero.
                is_ethernet: true,
            };
            let Some(record) = Record::decode(bytes, epoch_ns, kernel, origin) else {
                *undecoded += 1;
                return u64::MAX;
            };
            batch.push(record);
            batch[batch.len() - 1].time_ns()
        });
        // No time is later than that of the last record of a ring that was not read to its end.
        let until = more_from.map_or(until, |from| from.min(until));
        batch.sort_by_key(Record::time_ns);
        let ready = batch.partition_point(|record| record.time_ns() <= until);
        batch.drain(..ready).for_each(&mut each);
        // What is usual finds its room next time, too.
        batch.shrink_to(most);
        self.held = batch;
        Drained { records: ready, may_have_more: more_from.is_some() || !self.held.is_empty() }
    }

    /// Follows a change of the interfaces; the line says what was done, if anything.
    pub fn follow(&mut self, change: Change) -> Option<String> {
        match change {
            Change::Vanished(link) => {
                self.refused.remove(&link.index);
                self.attached.remove(&link.index)?;
                Some(format!("{}: gone, no longer traced", link.name))
            }
            Change::Appeared(link) | Change::Changed(link) => {
                if self.attached.contains_key(&link.index) {
                    self.names.insert(link.index, link.name.as_str().into());
                    return None;
                }
                if !self.wants(&link) {
                    return None;
                }
                match self.attach(&link) {
                    Ok(line) => {
                        self.refused.remove(&link.index);
                        Some(line)
                    }
                    // Said once, though tried again at every change of the interface.
                    Err(failure) => self
                        .refused
                        .insert(link.index)
                        .then(|| format!("{}: not traced: {failure}", link.name)),
                }
            }
        }
    }

    /// Whether an interface that appeared would have been chosen at the start.
    fn wants(&self, link: &Link) -> bool {
        let known: Vec<Link> = self.watch.known().cloned().collect();
        let choice = &self.options.interfaces;
        let is_meant = |pattern: &&String| glob_match::glob_match(pattern, &link.name);
        let patterns: Vec<String> = choice.patterns.iter().filter(is_meant).cloned().collect();
        if patterns.is_empty() && !choice.patterns.is_empty() {
            return false;
        }
        links::select(&Choice { patterns, ..choice.clone() }, &known)
            .is_ok_and(|selection| selection.chosen.iter().any(|c| c.link.index == link.index))
    }

    /// How many interfaces are traced now.
    pub fn traced(&self) -> usize {
        self.attached.len()
    }

    /// The interfaces that are traced now, by their present names.
    pub fn attached(&self) -> impl Iterator<Item = (&str, &Attached)> {
        let name = |index| self.names.get(index).map(|name| &**name);
        self.attached.iter().map(move |(index, it)| (name(index).unwrap_or(&it.name), it))
    }

    /// Whether some interface takes VLAN tags out of what arrives before it is seen.
    pub fn hides_vlan(&self) -> bool {
        self.attached.values().any(|attached| attached.hides_vlan)
    }

    /// Connections that the table has room for.
    pub fn table_size(&self) -> u32 {
        self.options.kernel.table_size()
    }

    /// Takes the programs off the interfaces; what they wrote can still be drained.
    pub fn detach(&mut self) {
        self.attached.clear();
    }

    /// What each hook counted.
    ///
    /// # Errors
    /// Fails when the kernel refuses to read the map.
    pub fn counters(&self) -> Result<[Counters; Hook::COUNT]> {
        self.counters.read()
    }

    /// How many segments took the short way.
    ///
    /// # Errors
    /// Fails when the kernel refuses to read the map.
    pub fn usual(&self) -> Result<u64> {
        self.counters.usual()
    }

    /// Which tracepoints are heard.
    pub fn witnesses(&self) -> Witnesses {
        self.listening.witnesses()
    }

    /// What became of the kernel's statements.
    ///
    /// # Errors
    /// Fails when the kernel refuses to read the map.
    pub fn statements(&self) -> Result<Statements> {
        self.statements.as_ref().map_or_else(|| Ok(Statements::default()), StatementMap::read)
    }

    /// Records that were not understood: the object and this agent disagree.
    pub fn undecoded(&self) -> u64 {
        self.undecoded
    }
}

/// Inode of the network namespace of the calling thread.
pub fn own_netns() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let inode = std::fs::metadata("/proc/thread-self/ns/net").ok()?.ino();
    u32::try_from(inode).ok()
}

/// What is to be added to CLOCK_MONOTONIC for nanoseconds since the Unix epoch. Read anew for
/// every batch: the wall clock may be set.
fn realtime_minus_monotonic_ns() -> u64 {
    clock::epoch_ns().wrapping_sub(clock::monotonic_ns())
}
