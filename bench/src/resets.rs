//! How many resets a second go all the way, and how long one takes.
//!
//! From the kernel to a counting sink inside this process, at a rate that the kernel's test run is held to; and from
//! the wire to lines of the real program, at a rate that a packet socket is held to.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::IpAddr,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};
use aya::{
    TestRun,
    programs::{Program, TestRunOptions, XdpMode},
};
use nix::{
    sched::{CloneFlags, CpuSet, sched_setaffinity, unshare},
    sys::signal::{Signal, kill},
    unistd::{self, Pid},
};
use rst_tracer::{
    demo::{netns::Netns, packet, topology},
    source::live::{
        kernel::{self, CounterMap, Options},
        object::OBJECT,
        rings::{Cut, Rings},
    },
};
use rst_tracer_tests::frames::{Tcp, V4, rst, tcp};

use crate::report::{Goal, Section, Table};

const TEXT: &str = "\
Resets of no known connection, every one handed over (`--no-flow-rate 0`). Above: one CPU runs the XDP program on a RST \
again and again, held to a rate by the clock, while another drains the rings into a counter, with a nap of a millisecond where \
there was nothing, as the tracer takes it. Below: a packet socket \
sends RSTs from ever other ports into a veth pair, held to a rate; `rst-tracer -o json:FILE --settle 0s` writes a line \
with a verdict for each. Lost: those that found the ring full, which are counted to the last one: sent = lines + lost, \
or the measurement fails. Latency: from the time of the frame in the kernel to the line's arrival at a reader of \
standard output, the reader's own wake-up included.";

/// Between two looks into the rings that were empty.
const NAP: Duration = Duration::from_millis(1);

/// What a run of the kernel's program came to.
struct Ran {
    offered: f64,
    delivered: u64,
    lost: u64,
}

/// Keeps the calling thread on one CPU, if there are so many.
pub(crate) fn stay_on(cpu: usize) -> Result<()> {
    let cpus = thread::available_parallelism()?.get();
    let mut set = CpuSet::new();
    set.set(cpu % cpus)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Runs the XDP program at a rate, from one CPU, while another drains the rings.
fn from_the_kernel(ring_mib: u32, rate: f64, time: Duration) -> Result<Ran> {
    let options = Options {
        flows: 1 << 16,
        rings: Cut::for_this_host(ring_mib << 20),
        no_flow_rate: 0,
        wanted: None,
        tunnels: true,
        clock: Default::default(),
        keys: kernel::random_keys()?,
    };
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

/// Two hosts and a cable; the program on one of them.
struct Hosts {
    here: Netns,
    there: Netns,
}

const HERE: [u8; 4] = [10, 78, 0, 1];
const THERE: [u8; 4] = [10, 78, 0, 2];

impl Hosts {
    fn new() -> Result<Self> {
        let hosts = Self { here: Netns::new("here")?, there: Netns::new("there")? };
        topology::connect((&hosts.here, "h0"), (&hosts.there, "t0"))?;
        topology::raise(&hosts.here, "h0", &[(IpAddr::from(HERE), 24)])?;
        topology::raise(&hosts.there, "t0", &[(IpAddr::from(THERE), 24)])?;
        topology::await_carrier(&hosts.here, "h0", false)?;
        topology::await_carrier(&hosts.there, "t0", false)?;
        Ok(hosts)
    }

    /// Starts the program; returns when it traces.
    fn trace(&self, binary: &Path, arguments: &[&str], out: Stdio) -> Result<Tracer> {
        let all = ["-i", "h0", "--settle", "0s", "--no-flow-rate", "0", "--no-drop"];
        let mut command = Command::new(binary);
        command.args(all).args(arguments).stdin(Stdio::null()).stdout(out).stderr(Stdio::piped());
        let mut child = self.here.run(|| command.spawn().context("starting it"))?;
        let mut err = BufReader::new(child.stderr.take().context("standard error")?);
        let mut line = String::new();
        while !line.ends_with("Ctrl-C ends\n") {
            line.clear();
            ensure!(err.read_line(&mut line)? > 0, "it ended before it traced");
        }
        Ok(Tracer { child, err })
    }
}

struct Tracer {
    child: Child,
    err: BufReader<std::process::ChildStderr>,
}

impl Tracer {
    /// Interrupts it: resets seen, events, and lost, by its summary.
    fn finish(mut self) -> Result<[u64; 3]> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT)?;
        let lines: Vec<String> = self.err.lines().collect::<std::io::Result<_>>()?;
        ensure!(self.child.wait()?.success(), "{lines:?}");
        let summary = lines.iter().find(|line| line.contains(" resets: ")).context("a summary")?;
        let count = |what: &str| {
            let counts = summary.split([',', ':']).map(str::trim);
            let mut found =
                counts.filter_map(|count| count.strip_suffix(what)?.trim().parse().ok());
            found.next().with_context(|| format!("{what} in {summary}"))
        };
        Ok([count("resets")?, count("events")?, count("lost")?])
    }
}

/// Sends RSTs at a rate, no two from and to the same ports; how many, and the rate that it came to.
fn send(socket: &OwnedFd, rate: f64, time: Duration) -> Result<(u64, f64)> {
    stay_on(0)?;
    const PORTS: usize = 14 + 20;
    let header = V4 { from: [198, 51, 100, 9], to: HERE, ..V4::default() };
    let mut frame = tcp(Tcp { ..rst() }).in_v4(header).frame();
    let (start, mut sent) = (Instant::now(), 0_u64);
    while start.elapsed() < time {
        while (sent as f64) < start.elapsed().as_secs_f64() * rate {
            frame[PORTS..PORTS + 4].copy_from_slice(&(sent as u32).to_be_bytes());
            unistd::write(socket, &frame)?;
            sent += 1;
            if sent % 64 == 0 && start.elapsed() >= time {
                break;
            }
        }
        thread::sleep(Duration::from_micros(50));
    }
    Ok((sent, sent as f64 / start.elapsed().as_secs_f64()))
}

/// The rate that was sent, the lines, and what was lost of it.
fn to_lines(hosts: &Hosts, binary: &Path, rate: f64, time: Duration) -> Result<[f64; 3]> {
    let folder = std::env::temp_dir().join(format!("rst-tracer-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let file = folder.join("events.jsonl");
    let output = format!("json:{}", file.display());
    let arguments = ["-o", &output, "--output-queue", "1024", "--ring-size", "64"];
    let tracer = hosts.trace(binary, &arguments, Stdio::null())?;
    let socket = hosts.there.run(|| packet::open("t0", 0))?;
    let (sent, offered) = thread::scope(|scope| {
        let sender = scope.spawn(|| send(&socket, rate, time));
        sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?
    })?;
    let [resets, events, lost] = tracer.finish()?;
    let lines = BufReader::new(fs::File::open(&file)?)
        .lines()
        .filter(|line| line.as_ref().is_ok_and(|line| line.contains("\"type\":\"rst\"")))
        .count() as u64;
    fs::remove_dir_all(&folder)?;
    ensure!(resets == sent, "{sent} sent, {resets} seen");
    ensure!(
        lines == events && events + lost == resets,
        "{lines} lines, {events} events, {lost} lost"
    );
    Ok([offered, lines as f64, lost as f64])
}

/// Microseconds from the frame to the line: median, 99th percentile, worst.
fn latency(hosts: &Hosts, binary: &Path, rate: f64, time: Duration) -> Result<[f64; 3]> {
    let mut tracer = hosts.trace(binary, &["-f", "json"], Stdio::piped())?;
    let out = BufReader::new(tracer.child.stdout.take().context("standard output")?);
    let reader = thread::spawn(move || -> Result<Vec<f64>> {
        let mut late = Vec::new();
        for line in out.lines() {
            let line = line?;
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
            let event: rst_tracer::event::Event = serde_json::from_str(&line)?;
            if let rst_tracer::event::Event::Rst(event) = event {
                late.push((now.as_nanos() as f64 - event.time.0 as f64) / 1e3);
            }
        }
        Ok(late)
    });
    let socket = hosts.there.run(|| packet::open("t0", 0))?;
    let start = Instant::now();
    let mut frame =
        tcp(rst()).in_v4(V4 { from: [198, 51, 100, 9], to: HERE, ..V4::default() }).frame();
    for n in 0_u32.. {
        let due = start + Duration::from_secs_f64(f64::from(n) / rate);
        if due > start + time {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        frame[34..38].copy_from_slice(&n.to_be_bytes());
        unistd::write(&socket, &frame)?;
    }
    tracer.finish()?;
    let mut late = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
    ensure!(!late.is_empty(), "no lines");
    late.sort_by(f64::total_cmp);
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
    Ok([at(0.5), at(0.99), at(1.0)])
}

/// Measures how many resets go all the way, and how long one takes.
pub(crate) fn section(binary: &Path, quick: bool) -> Result<Section> {
    ensure!(binary.is_file(), "{}: no such file (--binary)", binary.display());
    let time = Duration::from_millis(if quick { 300 } else { 3000 });
    let mut goals = Vec::new();

    let columns = ["ring MiB, all CPUs", "offered/s wanted", "offered/s", "delivered", "lost"];
    let mut kernel = Table::new("From the kernel to a counter, one CPU sends", &columns);
    let rates: &[f64] = if quick { &[0.5e6] } else { &[0.5e6, 1e6, 2e6, 5e6] };
    for ring in [8, 64] {
        for &rate in rates {
            // In a thread of its own: the namespace is left behind with it.
            let run = thread::spawn(move || -> Result<Ran> {
                unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
                from_the_kernel(ring, rate, time)
            });
            let run = run.join().map_err(|_| anyhow::anyhow!("a run panicked"))??;
            let numbers = [rate, run.offered, run.delivered as f64, run.lost as f64].map(Some);
            kernel.add(ring.to_string(), &numbers);
            if (ring == 8 && rate == 2e6) || (ring == 64 && rate == 5e6) {
                let what = format!("lost at {} M RST/s from one CPU, {ring} MiB", rate / 1e6);
                goals.push(Goal::at_most(what, 0.0, run.lost as f64));
            }
        }
    }

    let hosts = Hosts::new()?;
    let columns = ["wanted/s", "sent/s", "lines", "lost"];
    let mut lines =
        Table::new("From the wire to JSON lines with verdicts, one CPU sends", &columns);
    let rates: &[f64] = if quick { &[20e3] } else { &[20e3, 50e3, 100e3, 200e3, 300e3] };
    for &rate in rates {
        let [sent, written, lost] = to_lines(&hosts, binary, rate, time)?;
        lines.add(format!("{rate:.0}"), &[sent, written, lost].map(Some));
        if rate == 300e3 {
            goals.push(Goal::at_most("lost at 300 k RST/s as JSON lines (four cores)", 0.0, lost));
        }
    }

    let columns = ["resets/s", "µs, median", "µs, 99th percentile", "µs, worst"];
    let mut late = Table::new("From the frame to the line at standard output", &columns);
    for rate in [100.0, 900.0] {
        let [median, p99, worst] = latency(&hosts, binary, rate, time.max(Duration::from_secs(1)))?;
        late.add(format!("{rate:.0}"), &[median, p99, worst].map(Some));
        if rate == 900.0 {
            goals.push(Goal::at_most(
                "µs from frame to line, 99th percentile, below 1,000/s",
                1e3,
                p99,
            ));
        }
    }
    let tables = vec![kernel, lines, late];
    Ok(Section { text: TEXT.to_owned(), tables, goals, ..Section::default() })
}
