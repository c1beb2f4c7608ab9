//! Loading the object with the sizes and keys of this run, and reading its counters.

use std::{collections::HashMap, net::IpAddr};

use anyhow::Context;
use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, MapData, PerCpuArray, PerCpuValues},
    util::KernelVersion,
};
use clap::ValueEnum;
use rst_tracer_common::{
    event::{Counters, Hook},
    flood::{SOURCES, Source, Sources},
    flow::{Keys, WAYS},
    wanted::Wanted,
};
use zerocopy::{FromBytes, IntoBytes};

use super::{
    evidence::{Globals, Layout},
    object,
    rings::Cut,
};
use crate::exit::{Code, Failure};

/// What can be chosen at load.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections that are remembered; rounded up to a power of two.
    pub flows: u32,
    /// How the memory for records on their way is cut.
    pub rings: Cut,
    /// How many resets of no known connection a CPU hands over in a second; 0: all of them.
    pub no_flow_rate: u32,
    /// Which resets are handed over, if not all.
    pub wanted: Option<Wanted>,
    /// Whether one level of encapsulation is looked into.
    pub tunnels: bool,
    /// How exact the times of segments are.
    pub clock: Clock,
    /// Whether segments amid a connection are recorded.
    pub recorder: Recording,
    /// Keys of the flow identity. Secret, or collisions can be provoked.
    pub keys: Keys,
}

impl Options {
    /// What a trace has by itself, but that every reset of no known connection is handed over.
    ///
    /// # Errors
    /// When the kernel has no random numbers to give.
    pub fn all_told(flows: u32, rings: Cut) -> std::io::Result<Self> {
        let (wanted, clock, recorder) = Default::default();
        let keys = random_keys()?;
        Ok(Self { flows, rings, no_flow_rate: 0, wanted, tunnels: true, clock, recorder, keys })
    }

    /// Connections that the table has room for.
    pub fn table_size(&self) -> u32 {
        self.buckets() * WAYS
    }

    fn buckets(&self) -> u32 {
        self.flows.div_ceil(WAYS).max(1).next_power_of_two()
    }
}

/// How exact the times of segments are. Those of handshakes, ends, resets and of the first sixteen segments of a
/// connection always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Clock {
    /// Segments amid a busy connection share the time of the kernel's timer tick
    #[default]
    Coarse,
    /// Every segment has its own, which takes longer than all else that is done for it
    Fine,
}

/// Which segments the flight recorder keeps. Those of handshakes, ends, resets, the first sixteen of a connection and
/// whatever is odd always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Recording {
    /// The last sixteen, whatever they are
    #[default]
    On,
    /// Not those amid a connection, which takes half the time where there are many: after them, events have no
    /// `recent`, and causes that the last segments tell are less sure or remain unknown
    Off,
}

/// Keys that nobody can know.
///
/// # Errors
/// Fails when the kernel has no random numbers to give.
pub fn random_keys() -> std::io::Result<Keys> {
    let mut bytes = [0; 24];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    let mut keys = Keys::default();
    for (key, chunk) in keys.0.iter_mut().zip(bytes.chunks_exact(4)) {
        *key = chunk.iter().fold(0, |key, &byte| key << 8 | u32::from(byte));
    }
    Ok(keys)
}

/// Creates the maps and relocates the programs; they are loaded one by one when needed.
///
/// # Errors
/// A [`Failure`] that says what the kernel lacks.
pub fn load(bytes: &[u8], options: &Options) -> Result<Ebpf, Failure> {
    load_for(bytes, options, &Layout::default(), None)
}

/// The same, with what the tracepoint programs must know: of this kernel, and whose statements are
/// wanted (`None`: those of every network namespace).
///
/// # Errors
/// As [`load`].
pub fn load_for(
    bytes: &[u8],
    options: &Options,
    layout: &Layout,
    netns: Option<u32>,
) -> Result<Ebpf, Failure> {
    let globals = Globals::new(layout, netns);
    object::lift_memlock_limit();
    let (buckets, places) = (options.buckets(), options.table_size());
    let (mask, tunnels) = (buckets - 1, u32::from(options.tunnels));
    let has_multi_buffer_xdp = has_multi_buffer_xdp();
    let has_buff_len = u32::from(has_multi_buffer_xdp);
    let older = (!has_multi_buffer_xdp).then(|| object::without_frags(bytes));
    let no_flow_cost_ns = 1_000_000_000 / u64::from(options.no_flow_rate.max(1));
    let no_flow_cost_ns = if options.no_flow_rate == 0 { 0 } else { no_flow_cost_ns };
    let has_filter = u32::from(options.wanted.is_some());
    let recorder = u32::from(options.recorder == Recording::On);
    let fine_clock = u32::from(options.clock == Clock::Fine);
    let mut loader = EbpfLoader::new();
    globals.set(&mut loader);
    let mut ebpf = loader
        .override_global("KEYS", &options.keys.0, true)
        .override_global("MASK", &mask, true)
        .override_global("TUNNELS", &tunnels, true)
        .override_global("FINE_CLOCK", &fine_clock, true)
        .override_global("RECORDER", &recorder, true)
        .override_global("HAS_FILTER", &has_filter, true)
        .override_global("RING_COUNT", &options.rings.count, true)
        .override_global("NO_FLOW_COST_NS", &no_flow_cost_ns, true)
        .override_global("HAS_BUFF_LEN", &has_buff_len, true)
        .override_global(aya_log::LEVEL, &log_level(), false)
        .map_max_entries("BUCKETS", buckets)
        .map_max_entries("FLOWS", places)
        .map_max_entries("RECORDERS", places)
        .map_max_entries("RINGS", options.rings.count)
        .load(older.as_deref().unwrap_or(bytes))
        .map_err(|error| object::explain_load(&error))?;
    if let Some(wanted) = options.wanted {
        want(&mut ebpf, wanted)?;
    }
    Ok(ebpf)
}

/// Tells the programs which resets are wanted.
fn want(ebpf: &mut Ebpf, wanted: Wanted) -> Result<(), Failure> {
    let map = ebpf.map_mut("WANTED").ok_or_else(|| not_ours("WANTED"))?;
    let mut map: Array<_, Plain<Wanted>> = map.try_into().map_err(|_| not_ours("WANTED"))?;
    let refused = |error| Failure::new(Code::FAILURE, format!("cannot set the filter: {error}"));
    map.set(0, Plain(wanted), 0).map_err(refused)
}

/// What the programs log, by aya's numbers. They speak of single malformed frames only, at debug
/// level; the verifier removes the calls when nobody listens.
fn log_level() -> u8 {
    if log::log_enabled!(log::Level::Debug) { log::Level::Debug as u8 } else { 0 }
}

/// XDP frames of several buffers, and the helper that knows their length, came with 5.18.
///
/// <https://github.com/torvalds/linux/commit/0165cc817075>
fn has_multi_buffer_xdp() -> bool {
    KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(5, 18, 0))
}

/// A plain type of the shared crate as a map's value.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Plain<T>(pub T);

// SAFETY: valid for any bytes (`FromBytes`), without padding (`IntoBytes`).
unsafe impl<T: Copy + FromBytes + IntoBytes + 'static> Pod for Plain<T> {}

/// The counters of every hook, all CPUs together.
pub struct CounterMap(PerCpuArray<MapData, Plain<Counters>>);

impl CounterMap {
    /// Takes the map out of the object.
    ///
    /// # Errors
    /// A [`Failure`] when the object has no such map: it is not ours.
    pub fn take(ebpf: &mut Ebpf) -> Result<Self, Failure> {
        let map = ebpf.take_map("COUNTERS").ok_or_else(|| not_ours("COUNTERS"))?;
        PerCpuArray::try_from(map).map(Self).map_err(|_| not_ours("COUNTERS"))
    }

    /// What each hook counted so far.
    ///
    /// # Errors
    /// Fails when the kernel refuses to read the map.
    pub fn read(&self) -> anyhow::Result<[Counters; Hook::COUNT]> {
        let mut sums = [Counters::default(); Hook::COUNT];
        for (index, sum) in (0..).zip(&mut sums) {
            for per_cpu in self.0.get(&index, 0)?.iter() {
                sum.add(&per_cpu.0);
            }
            sum.tell_usual();
        }
        Ok(sums)
    }

    /// How many of the segments were usual ones, which take the short way.
    ///
    /// # Errors
    /// Fails when the kernel refuses to read the map.
    pub fn usual(&self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for index in 0..Hook::COUNT as u32 {
            sum += self.0.get(&index, 0)?.iter().map(|per_cpu| per_cpu.0.usual).sum::<u64>();
        }
        Ok(sum)
    }
}

/// Who was behind the resets that were only counted.
pub struct SourceMap(PerCpuArray<MapData, Plain<Sources>>);

impl SourceMap {
    /// Takes the map out of the object.
    ///
    /// # Errors
    /// A [`Failure`] when the object has no such map: it is not ours.
    pub fn take(ebpf: &mut Ebpf) -> Result<Self, Failure> {
        let map = ebpf.take_map("SOURCES").ok_or_else(|| not_ours("SOURCES"))?;
        PerCpuArray::try_from(map).map(Self).map_err(|_| not_ours("SOURCES"))
    }

    /// Addresses, and at least how many of those resets came in the name of each.
    ///
    /// # Errors
    /// Fails when the kernel refuses to read the map.
    pub fn read(&self) -> anyhow::Result<HashMap<IpAddr, u64>> {
        let mut sums = HashMap::new();
        for per_cpu in self.0.get(&0, 0)?.iter() {
            for source in per_cpu.0.slots.iter().filter(|source| source.count > 0) {
                *sums.entry(source.address.to_ip()).or_default() += u64::from(source.count);
            }
        }
        Ok(sums)
    }

    /// Forgets them.
    ///
    /// # Errors
    /// Fails when the kernel refuses to write the map.
    pub fn clear(&mut self) -> anyhow::Result<()> {
        let nobody = Plain(Sources { slots: [Source::default(); SOURCES] });
        let cpus = self.0.get(&0, 0)?.len();
        let nobody = PerCpuValues::try_from(vec![nobody; cpus]).context("one value per CPU")?;
        Ok(self.0.set(0, nobody, 0)?)
    }
}

pub(super) fn not_ours(map: &str) -> Failure {
    Failure::new(
        Code::CONFIG,
        format!("the BPF object has no map {map}: it was not built from this version's sources"),
    )
}
