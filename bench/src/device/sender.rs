//! Senders of live frames: a CPU each, clients of its own each, all of them out of the far end of the cable.
//!
//! In: the object of the baselines, whose feeding program writes another client into every frame; as its subject stands
//! a program that sends. Out: frames, as fast as they are taken.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use aya::{
    Ebpf, EbpfLoader, TestRun,
    maps::{Array, MapData, ProgramArray},
    programs::{Program, TestRunAttrs, TestRunOptions, XdpMode},
};
use rst_tracer::demo::{netns::Netns, topology};

use super::hosts::Hosts;
use crate::{
    frames::{Kind, PAYLOAD, Road, SHORT_PAYLOAD, frame, short},
    loaded::{LIVE_BATCH, Rotation, load_program},
    resets::stay_on,
};

/// Connections of each sender, which take turns frame by frame.
pub(crate) const CLIENTS: u32 = 1024;
/// Frames between two looks at the clock; each connection has as many of them.
const CHUNK: u32 = 1 << 14;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Frames of 64 bytes.
    Short,
    /// Segments of 1,448 bytes.
    Full,
}

impl Size {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Short => "frames of 64 bytes",
            Self::Full => "segments of 1,448 bytes",
        }
    }

    fn frame(self) -> Vec<u8> {
        match self {
            Self::Short => short(),
            Self::Full => frame(Kind::Data, Road::V4),
        }
    }

    const fn payload(self) -> u32 {
        match self {
            Self::Short => SHORT_PAYLOAD as u32,
            Self::Full => PAYLOAD as u32,
        }
    }
}

/// `struct xdp_md`.
#[repr(C)]
struct Metadata {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

/// One of them.
pub(crate) struct Sender {
    cpu: usize,
    ebpf: Ebpf,
    rotation: Array<MapData, Rotation>,
    _subject: ProgramArray<MapData>,
    _sequence: Array<MapData, u32>,
    _aside: Netns,
}

impl Sender {
    /// The sender of a CPU.
    pub(crate) fn new(baselines: &[u8], cpu: usize) -> Result<Self> {
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("TABLE", 1 << 10)
            .load(baselines)
            .context("loading the baselines")?;
        load_program(&mut ebpf, "xdp_rotate")?;
        load_program(&mut ebpf, "xdp_send")?;
        let mut sequence = Array::try_from(ebpf.take_map("SEQUENCE").context("no map SEQUENCE")?)?;
        for at in 0..CLIENTS {
            sequence.set(at, cpu as u32 * CLIENTS + at, 0)?;
        }
        let mut subject =
            ProgramArray::try_from(ebpf.take_map("XDP_SUBJECT").context("no map XDP_SUBJECT")?)?;
        let Some(Program::Xdp(send)) = ebpf.program("xdp_send") else { bail!("no xdp_send") };
        subject.set(0, send.fd()?, 0)?;
        // While no device has the program, each run waits for the kernel to patch it into its dispatcher.
        let aside = Netns::new("aside")?;
        topology::connect((&aside, "a0"), (&aside, "a1"))?;
        let Some(Program::Xdp(rotate)) = ebpf.program_mut("xdp_rotate") else {
            bail!("no xdp_rotate")
        };
        aside.run(|| rotate.attach("a0", XdpMode::Driver).context("attaching the sender aside"))?;
        let rotation = Array::try_from(ebpf.take_map("ROTATION").context("no map ROTATION")?)?;
        Ok(Self { cpu, ebpf, rotation, _subject: subject, _sequence: sequence, _aside: aside })
    }

    /// Which frames are sent from now on, and how far a connection moves from one to its next. Data goes on where it
    /// was.
    fn prepare(&mut self, kind: Kind, lap: u32) -> Result<()> {
        let seq = match kind {
            Kind::Data => self.rotation.get(&0, 0)?.seq,
            _ => kind.seq(),
        };
        let rotation = Rotation {
            at: 0,
            mask: CLIENTS - 1,
            ip: Road::V4.ip(),
            is_v6: 0,
            is_back: u32::from(kind.is_back()),
            step: 0,
            lap,
            seq,
            is_on: 1,
        };
        Ok(self.rotation.set(0, rotation, 0)?)
    }

    fn send(&self, bytes: &[u8], count: u32, far: u32) -> Result<()> {
        let context = Metadata {
            data: 0,
            data_end: bytes.len() as u32,
            data_meta: 0,
            ingress_ifindex: far,
            rx_queue_index: 0,
            egress_ifindex: 0,
        };
        // SAFETY: plain integers without padding.
        let context = unsafe {
            std::slice::from_raw_parts((&raw const context).cast::<u8>(), size_of_val(&context))
        };
        let Some(Program::Xdp(rotate)) = self.ebpf.program("xdp_rotate") else {
            bail!("no xdp_rotate")
        };
        rotate.test_run(TestRunOptions {
            data_in: Some(bytes),
            ctx_in: Some(context),
            repeat: count,
            attrs: TestRunAttrs::new().xdp_live_frames(LIVE_BATCH),
            ..TestRunOptions::default()
        })?;
        Ok(())
    }

    /// Opens all its connections, as their client and as their server.
    fn open(&mut self, far: u32) -> Result<()> {
        for kind in [Kind::Syn, Kind::SynAck, Kind::Ack] {
            self.prepare(kind, 0)?;
            self.send(&frame(kind, Road::V4), CLIENTS, far)?;
        }
        Ok(())
    }
}

/// Opens every connection of these senders, one sender after the other.
pub(crate) fn open(senders: &mut [Sender], hosts: &Hosts) -> Result<()> {
    hosts.there.run(|| senders.iter_mut().try_for_each(|sender| sender.open(hosts.far)))
}

/// Sends data segments from all these senders at once for a time; how many were sent.
pub(crate) fn send(
    senders: &mut [Sender],
    hosts: &Hosts,
    size: Size,
    time: Duration,
) -> Result<u64> {
    let bytes = size.frame();
    let bytes = &bytes;
    let one = |sender: &mut Sender| -> Result<u64> {
        hosts.there.run(|| {
            stay_on(sender.cpu)?;
            sender.prepare(Kind::Data, size.payload())?;
            let (start, mut sent) = (Instant::now(), 0);
            while start.elapsed() < time {
                sender.send(bytes, CHUNK, hosts.far)?;
                sent += u64::from(CHUNK);
            }
            Ok(sent)
        })
    };
    thread::scope(|scope| {
        let senders: Vec<_> =
            senders.iter_mut().map(|sender| scope.spawn(move || one(sender))).collect();
        let ends = senders
            .into_iter()
            .map(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?);
        ends.sum()
    })
}
