//! The kernel programs on single frames: what they return, count, report and remember.
//!
//! `BPF_PROG_TEST_RUN` runs a program on a frame without any device seeing it. In: a program, a
//! frame, where it was seen. Out: the verdict, the counters' movement, the records of the ring.

use std::{
    collections::HashMap,
    fs::File,
    net::IpAddr,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use aya::{
    Ebpf,
    maps::{Array, MapData},
    programs::{Program as Loaded, TestRun, TestRunOptions, xdp::XdpMode},
};
use nix::sched::{CloneFlags, setns, unshare};
pub use rst_tracer::source::live::kernel::{Clock, Options, Recording};
use rst_tracer::source::live::{
    kernel::{self, CounterMap, Plain, SourceMap},
    object::OBJECT,
    rings::{Cut, Rings},
};
use rst_tracer_common::{
    event::{Counters, Head, Hook, Kind, Rst, RstWithFlow},
    flow::{Bucket, Flow, Keys, Recorder, SERVER_SETS, Servers, WAYS},
};
use zerocopy::{FromBytes, IntoBytes};

use crate::skip::skipped;

/// One of the programs of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Arrival at an Ethernet device, before the stack.
    XdpIngress,
    /// Arrival at a device without a link header, before the stack.
    XdpIngressL3,
    /// Arrival at an Ethernet device, in traffic control.
    TcIngress,
    /// Arrival at a device without a link header, in traffic control.
    TcIngressL3,
    /// Departure from an Ethernet device.
    TcEgress,
    /// Departure from a device without a link header.
    TcEgressL3,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::XdpIngress,
        Self::XdpIngressL3,
        Self::TcIngress,
        Self::TcIngressL3,
        Self::TcEgress,
        Self::TcEgressL3,
    ];
    /// Those for Ethernet.
    pub const ETHERNET: [Self; 3] = [Self::XdpIngress, Self::TcIngress, Self::TcEgress];
    /// Those for devices without a link header.
    pub const L3: [Self; 3] = [Self::XdpIngressL3, Self::TcIngressL3, Self::TcEgressL3];

    /// Its name in the object.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XdpIngress => "xdp_ingress",
            Self::XdpIngressL3 => "xdp_ingress_l3",
            Self::TcIngress => "tc_ingress",
            Self::TcIngressL3 => "tc_ingress_l3",
            Self::TcEgress => "tc_egress",
            Self::TcEgressL3 => "tc_egress_l3",
        }
    }

    /// Where it counts.
    pub const fn hook(self) -> Hook {
        match self {
            Self::XdpIngress | Self::XdpIngressL3 => Hook::XDP,
            Self::TcIngress | Self::TcIngressL3 => Hook::TC_INGRESS,
            Self::TcEgress | Self::TcEgressL3 => Hook::TC_EGRESS,
        }
    }

    /// What it returns for every frame: `XDP_PASS`, or `TCX_NEXT` (`TC_ACT_UNSPEC`).
    pub const fn verdict(self) -> i32 {
        if self.is_xdp() { 2 } else { -1 }
    }

    /// Whether the kernel runs it on this frame in a test. For traffic control it builds a socket
    /// buffer, and refuses one whose announced IP header is not whole.
    ///
    /// <https://github.com/torvalds/linux/blob/v6.18/net/bpf/test_run.c>
    pub fn can_be_tested_on(self, frame: &[u8]) -> bool {
        const ETHERNET: usize = 14;
        let ip_header = match frame.get(ETHERNET - 2..ETHERNET) {
            Some([0x08, 0x00]) => 20,
            Some([0x86, 0xdd]) => 40,
            Some(_) => 1,
            None => return false,
        };
        frame.len() >= if self.is_xdp() { ETHERNET } else { ETHERNET + ip_header }
    }

    /// Whether it runs before the stack.
    pub const fn is_xdp(self) -> bool {
        matches!(self, Self::XdpIngress | Self::XdpIngressL3)
    }
}

/// Loopback, which every network namespace has under this number.
pub const LOOPBACK: u32 = 1;

/// A record out of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A RST without a known flow.
    Rst(Box<Rst>),
    /// A RST and its flow.
    RstWithFlow(Box<RstWithFlow>),
    /// A segment after a RST.
    Aftermath(Box<Head>),
}

impl Record {
    /// Reads a record as the kernel wrote it; the length must be that of its kind.
    fn read(bytes: &[u8]) -> Self {
        let (head, _) = Head::read_from_prefix(bytes).expect("a record has a head");
        let read = match head.kind {
            Kind::RST => Rst::read_from_bytes(bytes).map(|r| Self::Rst(r.into())).ok(),
            Kind::RST_WITH_FLOW => {
                RstWithFlow::read_from_bytes(bytes).map(|r| Self::RstWithFlow(r.into())).ok()
            }
            Kind::AFTERMATH => Some(Self::Aftermath(head.into())),
            _ => None,
        };
        read.unwrap_or_else(|| panic!("{} bytes do not fit {:?}", bytes.len(), head.kind))
    }

    /// What every record begins with.
    pub fn head(&self) -> &Head {
        match self {
            Self::Rst(rst) => &rst.head,
            Self::RstWithFlow(record) => &record.rst.head,
            Self::Aftermath(head) => head,
        }
    }
}

/// What running a program on a frame did.
#[derive(Debug)]
pub struct Ran {
    /// What the program returned.
    pub verdict: i32,
    /// The frame as the program left it.
    pub frame: Vec<u8>,
    /// The records that came out of the ring.
    pub records: Vec<Record>,
    /// How far each hook's counters moved.
    pub counted: [Counters; Hook::COUNT],
}

/// The object, loaded, its tables within reach.
pub struct Kernel {
    ebpf: Ebpf,
    ring: Rings,
    counters: CounterMap,
    sources: SourceMap,
    counted: [Counters; Hook::COUNT],
    buckets: Array<MapData, Plain<Bucket>>,
    flows: Array<MapData, Plain<Flow>>,
    recorders: Array<MapData, Plain<Recorder>>,
    servers: Array<MapData, Plain<Servers>>,
    /// Whether a set of `servers` may have been written since the last reset.
    servers_seen: bool,
    /// Network namespaces made for this; each has an XDP program at its loopback.
    namespaces: Vec<File>,
}

/// The keys of every test: the places of flows can be known.
pub const KEYS: Keys =
    Keys([0x9e37_79b9, 0x85eb_ca6b, 0xc2b2_ae35, 0x27d4_eb2f, 0x1656_67b1, 0x2545_f491]);

/// Whether programs can be loaded here; says so on the terminal, past the test harness, if not.
pub fn can_load() -> bool {
    let can = nix::unistd::geteuid().is_root();
    if !can {
        let thread = std::thread::current();
        skipped(&format!("{}: needs root to load BPF", thread.name().unwrap_or("a test")));
    }
    can
}

impl Kernel {
    /// Loads the embedded object.
    pub fn load(options: Options) -> Self {
        // On a thread of its own: the namespaces are left behind with it.
        let loading = std::thread::spawn(move || Self::load_here(&options));
        loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn load_here(options: &Options) -> Self {
        let mut ebpf = kernel::load(OBJECT, options).expect("the object loads");
        let namespaces =
            Program::ALL.iter().filter_map(|program| load_program(&mut ebpf, *program)).collect();
        let counters = CounterMap::take(&mut ebpf).expect("counters");
        Self {
            ring: Rings::make(&mut ebpf, options.rings).expect("a ring"),
            counted: counters.read().expect("counters"),
            sources: SourceMap::take(&mut ebpf).expect("sources"),
            counters,
            buckets: take_array(&mut ebpf, "BUCKETS"),
            flows: take_array(&mut ebpf, "FLOWS"),
            recorders: take_array(&mut ebpf, "RECORDERS"),
            servers: take_array(&mut ebpf, "SERVERS"),
            servers_seen: true,
            ebpf,
            namespaces,
        }
    }

    /// Runs a program on a frame seen at loopback.
    pub fn run(&mut self, program: Program, frame: &[u8]) -> Ran {
        self.run_forwarded(program, frame, 0)
    }

    /// Runs a program on a frame that came in by interface `came_by` (traffic control only).
    pub fn run_forwarded(&mut self, program: Program, frame: &[u8], came_by: u32) -> Ran {
        let (verdict, frame) = self.feed(program, frame, came_by);
        Ran { verdict, frame, records: self.drain(), counted: self.count() }
    }

    /// Runs a program, and looks neither into the ring nor at the counters. Returns the verdict and
    /// the frame as the program left it.
    pub fn feed(&mut self, program: Program, frame: &[u8], came_by: u32) -> (i32, Vec<u8>) {
        self.servers_seen = true;
        // The device of a test run is loopback of the calling thread's namespace.
        setns(&self.namespaces[0], CloneFlags::CLONE_NEWNET).expect("the namespace");
        let mut frame_out = vec![0; frame.len()];
        let mut context = [0_u8; 44];
        const INGRESS_IFINDEX: usize = 36; // Of `struct __sk_buff`.
        context[INGRESS_IFINDEX..INGRESS_IFINDEX + 4].copy_from_slice(&came_by.to_ne_bytes());
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut frame_out),
            ctx_in: (came_by != 0).then_some(&context[..]),
            ..TestRunOptions::default()
        };
        let result = match self.ebpf.program(program.name()) {
            Some(Loaded::Xdp(xdp)) => xdp.test_run(options),
            Some(Loaded::SchedClassifier(tc)) => tc.test_run(options),
            _ => panic!("the object has no program {program:?}"),
        };
        let result = result.unwrap_or_else(|e| panic!("{program:?} on {}: {e:?}", hex(frame)));
        frame_out.truncate(result.data_size_out as usize);
        (result.return_value.cast_signed(), frame_out)
    }

    /// Everything that is in the ring.
    pub fn drain(&mut self) -> Vec<Record> {
        std::iter::from_fn(|| self.ring.take_one().map(|item| Record::read(&item))).collect()
    }

    /// How far the counters moved since the last call.
    pub fn count(&mut self) -> [Counters; Hook::COUNT] {
        let now = self.counters.read().expect("counters");
        let before = std::mem::replace(&mut self.counted, now);
        std::array::from_fn(|hook| minus(&now[hook], &before[hook]))
    }

    /// How many usual segments were taken in by the short way so far.
    pub fn usual(&self) -> u64 {
        self.counters.usual().expect("counters")
    }

    /// One less than the number of buckets.
    pub fn mask(&self) -> u32 {
        self.buckets.len() - 1
    }

    /// A bucket as it stands.
    pub fn bucket(&self, bucket: u32) -> Bucket {
        self.buckets.get(&bucket, 0).expect("a bucket").0
    }

    /// The flow in a way of a bucket.
    pub fn flow(&self, bucket: u32, way: u32) -> Flow {
        self.flows.get(&(bucket * WAYS + way), 0).expect("a flow").0
    }

    /// The flight recorder in a way of a bucket.
    pub fn recorder(&self, bucket: u32, way: u32) -> Recorder {
        self.recorders.get(&(bucket * WAYS + way), 0).expect("a recorder").0
    }

    /// The endpoints of a set that were seen to accept connections.
    pub fn servers(&self, set: u32) -> Servers {
        self.servers.get(&set, 0).expect("a set").0
    }

    /// Writes a bucket and its flows, as if they had come to be so.
    pub fn write(&mut self, bucket: u32, hot: &Bucket, flows: &[Flow; WAYS as usize]) {
        self.buckets.set(bucket, Plain(*hot), 0).expect("a bucket");
        for (way, flow) in (0..).zip(flows) {
            self.flows.set(bucket * WAYS + way, Plain(*flow), 0).expect("a flow");
        }
    }

    /// Forgets every flow and drops what is in the ring.
    pub fn reset(&mut self) {
        for bucket in 0..=self.mask() {
            self.write(bucket, &Bucket::default(), &Default::default());
            for way in 0..WAYS {
                let recorder = Plain(Recorder::default());
                self.recorders.set(bucket * WAYS + way, recorder, 0).expect("a recorder");
            }
        }
        if std::mem::take(&mut self.servers_seen) {
            for set in 0..SERVER_SETS {
                self.servers.set(set, Plain(Servers::default()), 0).expect("a set");
            }
        }
        self.drain();
        self.count();
    }

    /// Who was behind the resets that were only counted.
    pub fn sources(&self) -> HashMap<IpAddr, u64> {
        self.sources.read().expect("sources")
    }

    /// Forgets them.
    pub fn forget_sources(&mut self) {
        self.sources.clear().expect("sources");
    }

    /// The number by which the kernel knows a program.
    pub fn id(&self, program: Program) -> u32 {
        let loaded = self.ebpf.program(program.name()).expect("a program of the object");
        loaded.info().expect("its information").id()
    }

    /// How many instructions the verifier followed in a program; `None` before Linux 5.16.
    pub fn verified(&self, program: Program) -> Option<u32> {
        let loaded = self.ebpf.program(program.name()).expect("a program of the object");
        loaded.info().expect("its information").verified_instruction_count()
    }
}

/// What tests load with if they have no wish: a small table, so that its places get scarce.
pub const OPTIONS: Options = Options {
    flows: 64,
    rings: Cut::one(1 << 20),
    no_flow_rate: 0,
    wanted: None,
    tunnels: true,
    clock: Clock::Fine,
    recorder: Recording::On,
    keys: KEYS,
};

/// The one kernel of a test binary (loading takes seconds), with empty tables. `None` without root.
pub fn shared() -> Option<MutexGuard<'static, Kernel>> {
    static SHARED: OnceLock<Mutex<Kernel>> = OnceLock::new();
    if !can_load() {
        return None;
    }
    let kernel = SHARED.get_or_init(|| Mutex::new(Kernel::load(OPTIONS)));
    // A test that failed leaves nothing behind that `reset` does not clear.
    let mut kernel = kernel.lock().unwrap_or_else(PoisonError::into_inner);
    kernel.reset();
    Some(kernel)
}

/// Loads a program. While no device has an XDP program, each run waits 10 ms for the kernel to patch
/// it into its dispatcher and out again: so it gets the loopback of a namespace of its own.
fn load_program(ebpf: &mut Ebpf, program: Program) -> Option<File> {
    let loaded = match ebpf.program_mut(program.name()) {
        Some(Loaded::SchedClassifier(tc)) => tc.load().map(|()| None),
        Some(Loaded::Xdp(xdp)) => xdp.load().and_then(|()| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            let namespace = File::open("/proc/thread-self/ns/net").expect("the namespace");
            xdp.attach_to_if_index(LOOPBACK, XdpMode::Skb).map(|_| Some(namespace))
        }),
        _ => panic!("the object has no program {program:?}"),
    };
    loaded.unwrap_or_else(|error| panic!("{program:?}: {error:?}"))
}

fn take_array<T: Copy + FromBytes + IntoBytes + 'static>(
    ebpf: &mut Ebpf,
    name: &str,
) -> Array<MapData, Plain<T>> {
    let map = ebpf.take_map(name).unwrap_or_else(|| panic!("no map {name}"));
    Array::try_from(map).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn minus(now: &Counters, before: &Counters) -> Counters {
    let now: &[u64; size_of::<Counters>() / 8] = zerocopy::transmute_ref!(now);
    let before: &[u64; size_of::<Counters>() / 8] = zerocopy::transmute_ref!(before);
    let moved: [u64; size_of::<Counters>() / 8] =
        std::array::from_fn(|i| now[i].wrapping_sub(before[i]));
    zerocopy::transmute!(moved)
}

/// A frame as hexadecimal digits, to paste into a test.
pub fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}
