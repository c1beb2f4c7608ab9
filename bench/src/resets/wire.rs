//! From the wire to lines of the real program, at a rate that a packet socket is held to.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::IpAddr,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{self, Pid},
};
use rst_tracer::demo::{netns::Netns, packet, topology};
use rst_tracer_tests::frames::{Tcp, V4, rst, tcp};

use super::stay_on;

/// Two hosts and a cable; the program on one of them.
pub(super) struct Hosts {
    here: Netns,
    there: Netns,
}

const HERE: [u8; 4] = [10, 78, 0, 1];
const THERE: [u8; 4] = [10, 78, 0, 2];

impl Hosts {
    pub(super) fn new() -> Result<Self> {
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
pub(super) fn to_lines(
    hosts: &Hosts,
    binary: &Path,
    rate: f64,
    time: Duration,
) -> Result<[f64; 3]> {
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
pub(super) fn latency(hosts: &Hosts, binary: &Path, rate: f64, time: Duration) -> Result<[f64; 3]> {
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
