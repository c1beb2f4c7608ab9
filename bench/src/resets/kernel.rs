//! From the kernel to a counter inside this process, at a rate that the kernel's test run is held to.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use aya::{
    TestRun,
    programs::{Program, TestRunOptions, XdpMode},
};
use rst_tracer::source::live::{
    kernel::{self, CounterMap},
    object::OBJECT,
    rings::{Cut, Rings},
};
use rst_tracer_tests::frames::{rst, tcp};

use super::stay_on;

/// Between two looks into the rings that were empty.
const NAP: Duration = Duration::from_millis(1);

/// What a run of the kernel's program came to.
pub(super) struct Ran {
    pub(super) offered: f64,
    pub(super) delivered: u64,
    pub(super) lost: u64,
}

/// Runs the XDP program at a rate, from one CPU, while another drains the rings.
pub(super) fn from_the_kernel(ring_mib: u32, rate: f64, time: Duration) -> Result<Ran> {
    let options = kernel::Options::all_told(1 << 16, Cut::for_this_host(ring_mib << 20))?;
    let mut ours = kernel::load(OBJECT, &options)?;
    let counters = CounterMap::take(&mut ours)?;
    let mut rings = Rings::make(&mut ours, options.rings)?;
    let Some(Program::Xdp(xdp)) = ours.program_mut("xdp_ingress") else {
        bail!("no program xdp_ingress")
    };
    xdp.load()?;
    // While no device has an XDP program, each run waits for the kernel to patch it into its dispatcher.
    const LOOPBACK: u32 = 1;
    xdp.attach_to_if_index(LOOPBACK, XdpMode::Skb).context("attaching to loopback")?;
    let xdp = &*xdp;
    let frame = tcp(rst()).v4().frame();
    let is_over = AtomicBool::new(false);
    let mut delivered = 0;
    let (sent, took) = thread::scope(|scope| {
        let producer = scope.spawn(|| -> Result<(u64, Duration)> {
            stay_on(0)?;
            // A millisecond's worth at once, or what is due.
            let start = Instant::now();
            let mut sent = 0_u64;
            while start.elapsed() < time {
                let due = (start.elapsed().as_secs_f64() * rate) as u64;
                let batch = due.saturating_sub(sent).min((rate / 1e3) as u64 + 1) as u32;
                if batch == 0 {
                    std::hint::spin_loop();
                    continue;
                }
                let options = TestRunOptions {
                    data_in: Some(&frame),
                    repeat: batch,
                    ..TestRunOptions::default()
                };
                xdp.test_run(options)?;
                sent += u64::from(batch);
            }
            let took = start.elapsed();
            is_over.store(true, Ordering::Release);
            Ok((sent, took))
        });
        stay_on(1)?;
        loop {
            let was_over = is_over.load(Ordering::Acquire);
            let before = delivered;
            rings.drain(4096, |_| {
                delivered += 1;
                0
            });
            if delivered == before {
                if was_over {
                    break;
                }
                // As the tracer does in a flood. Who looks all the time takes the ring's positions from the producer.
                thread::sleep(NAP);
            }
        }
        producer.join().map_err(|_| anyhow::anyhow!("the producer panicked"))?
    })?;
    let counted = counters.read()?;
    let lost = counted.iter().map(|hook| hook.ring_full).sum();
    ensure!(sent == delivered + lost, "{sent} sent, {delivered} delivered, {lost} lost");
    Ok(Ran { offered: sent as f64 / took.as_secs_f64(), delivered, lost })
}
