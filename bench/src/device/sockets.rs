//! Real connections through the cable: a stream of iperf3, and connections that end in a reset as fast as they can.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{setsockopt, sockopt::Linger};
use rst_tracer_tests::tracer::Tracer;

use super::hosts::{HERE, Hosts};
use crate::resets::stay_on;

/// Nobody listens there.
const CLOSED: u16 = 9;

/// iperf3's server, as long as this lives.
pub(crate) struct Iperf(#[expect(dead_code, reason = "dropped, it ends")] Tracer);

impl Iperf {
    /// Starts it, here.
    pub(crate) fn start(hosts: &Hosts) -> Result<Self> {
        let mut command = Command::new("iperf3");
        command.args(["--server", "--forceflush"]).stdin(Stdio::null());
        let server = hosts.here.run(|| Ok(Tracer::spawn(&mut command)))?;
        server.out.await_line("iperf3 to listen", |line| line.starts_with("Server listening"));
        Ok(Self(server))
    }

    /// One stream from there to here; bytes received, and bits a second.
    pub(crate) fn stream(&self, hosts: &Hosts, much: [&str; 2]) -> Result<(u64, f64)> {
        let mut command = Command::new("iperf3");
        command.args(["--json", "--client", &Ipv4Addr::from(HERE).to_string()]).args(much);
        let output = hosts.there.run(|| {
            command
                .stdin(Stdio::null())
                .output()
                .context("starting iperf3 (apt-get install iperf3)")
        })?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "iperf3 failed: {said}");
        received(&said).with_context(|| format!("what iperf3 received: {said}"))
    }
}

/// Bytes, and bits a second, by iperf3's report.
fn received(report: &str) -> Option<(u64, f64)> {
    let report: serde_json::Value = serde_json::from_str(report).ok()?;
    let sum = report.get("end")?.get("sum_received")?;
    Some((sum.get("bytes")?.as_u64()?, sum.get("bits_per_second")?.as_f64()?))
}

/// How a connection comes to its reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Churn {
    /// Nobody listens.
    Refused,
    /// It is opened, accepted, and reset by its client.
    Reset,
}

/// Makes connections from there to here, one after the other on half of the CPUs, until the time is over: how many,
/// and how many a second.
pub(crate) fn churn(hosts: &Hosts, how: Churn, time: Duration) -> Result<(u64, f64)> {
    let clients = (thread::available_parallelism()?.get() / 2).max(1);
    let one = |client: usize| -> Result<(u64, f64)> {
        // Client and server take turns in one thread: neither waits for a scheduler.
        let anywhere = SocketAddr::from((HERE, 0));
        let listener = hosts.here.run(|| Ok(TcpListener::bind(anywhere)?))?;
        let open = listener.local_addr()?;
        hosts.there.run(|| {
            stay_on(client)?;
            let (start, mut count) = (Instant::now(), 0);
            while start.elapsed() < time {
                match how {
                    Churn::Refused => refused(SocketAddr::from((HERE, CLOSED)))?,
                    Churn::Reset => reset(open, &listener)?,
                }
                count += 1;
            }
            Ok((count, count as f64 / start.elapsed().as_secs_f64()))
        })
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|client| scope.spawn(move || one(client))).collect();
        let mut sum = (0, 0.0);
        for client in clients {
            let (count, rate) =
                client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
            sum = (sum.0 + count, sum.1 + rate);
        }
        Ok(sum)
    })
}

fn refused(closed: SocketAddr) -> Result<()> {
    match TcpStream::connect(closed) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => other.map(drop).context("a closed port was not refused"),
    }
}

fn reset(open: SocketAddr, listener: &TcpListener) -> Result<()> {
    let client = TcpStream::connect(open)?;
    let (server, _) = listener.accept()?;
    setsockopt(&client, Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
    drop(client);
    drop(server);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_iperf_received_is_read_and_not_what_it_sent() {
        let report = r#"{"end": {"sum_sent": {"bytes": 9, "bits_per_second": 9.0},
            "sum_received": {"bytes": 8, "bits_per_second": 6.5}}}"#;
        assert_eq!(received(report), Some((8, 6.5)));
        assert_eq!(received("{}"), None);
    }
}
