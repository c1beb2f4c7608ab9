//! Two hosts and a cable, one of them traced.

use std::{
    io::Write,
    net::{IpAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::unistd;
use rst_tracer::demo::{netns::Netns, packet, sockets, topology};
use rst_tracer_tests::{
    skip::skipped,
    tracer::{Ended, Tracer, command},
};
use serde_json::Value;

/// An address that nobody has.
pub(crate) const FLOODER: [u8; 4] = [198, 51, 100, 66];
/// The host that is traced.
pub(crate) const HERE: [u8; 4] = [10, 77, 0, 1];
/// The other one.
pub(crate) const THERE: [u8; 4] = [10, 77, 0, 2];

/// This host, another one, and a cable. One test at a time has them: each keeps all CPUs busy, and what one loses for
/// want of time is no fault of the tracer's.
pub(crate) struct Pair {
    _alone: Option<MutexGuard<'static, ()>>,
    pub(crate) here: Netns,
    pub(crate) there: Netns,
}

impl Pair {
    /// `None` without root.
    pub(crate) fn new() -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        Self::make(Some(ALONE.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The same for a test that leaves most of the time to others, and gives the tracer room to wait for its own.
    pub(crate) fn beside_others() -> Option<Self> {
        Self::make(None)
    }

    fn make(alone: Option<MutexGuard<'static, ()>>) -> Option<Self> {
        if !unistd::geteuid().is_root() {
            skipped("needs root for network namespaces and BPF");
            return None;
        }
        let pair = Self {
            _alone: alone,
            here: Netns::new("here").expect("a namespace"),
            there: Netns::new("there").expect("a namespace"),
        };
        topology::connect((&pair.here, "h0"), (&pair.there, "t0")).expect("a cable");
        for (netns, name, ip) in [(&pair.here, "h0", HERE), (&pair.there, "t0", THERE)] {
            topology::raise(netns, name, &[(IpAddr::from(ip), 24)]).expect("addresses");
        }
        for (netns, name) in [(&pair.here, "h0"), (&pair.there, "t0")] {
            topology::await_carrier(netns, name, false).expect("a carrier");
        }
        Some(pair)
    }

    /// Traces the one host's end of the cable, with small tables.
    pub(crate) fn trace(&self, arguments: &[&str]) -> Tracer {
        let all = [&["-i", "h0", "--settle", "0s"], arguments].concat();
        self.here.run(|| Ok(Tracer::trace(&all))).expect("it traces")
    }

    /// The same with these arguments and no others.
    pub(crate) fn trace_as_asked(&self, arguments: &[&str]) -> Tracer {
        let all = [&["trace", "-i", "h0", "--format", "json"], arguments].concat();
        let tracer = self.here.run(|| Ok(Tracer::spawn(&mut command(&all)))).expect("it starts");
        tracer.await_ready();
        tracer
    }

    /// Connections from there to here that have exchanged something: clients' ends and servers'.
    pub(crate) fn talks(&self, count: usize) -> Vec<(TcpStream, TcpStream)> {
        let listener = self.here.run(|| Ok(TcpListener::bind((IpAddr::from(HERE), 80))?));
        let listener = listener.expect("it listens");
        let address = listener.local_addr().expect("its address");
        let talk = |_| {
            let client = self.there.run(|| Ok(TcpStream::connect(address)?)).expect("connected");
            let (server, _) = listener.accept().expect("accepted");
            (&client).write_all(b"GET / HTTP/1.0\r\n\r\n").expect("sent");
            sockets::hear(&server, b"GET / HTTP/1.0\r\n\r\n").expect("heard");
            (client, server)
        };
        (0..count).map(talk).collect()
    }

    /// Gives both ends so many queues, before anything is attached.
    pub(crate) fn set_queues(&self, count: usize) {
        let count = count.to_string();
        for (netns, name) in [(&self.here, "h0"), (&self.there, "t0")] {
            ethtool(netns, &["-L", name, "rx", &count, "tx", &count]);
        }
    }

    /// How many frames XDP saw on each of the traced end's queues.
    pub(crate) fn frames_by_queue(&self, count: usize) -> Vec<u64> {
        let counters = ethtool(&self.here, &["-S", "h0"]);
        let of = |queue| {
            let name = format!("rx_queue_{queue}_xdp_packets: ");
            let line = counters.lines().find_map(|line| line.trim().strip_prefix(&name));
            line.and_then(|number| number.parse().ok()).expect("a counter of each queue")
        };
        (0..count).map(of).collect()
    }

    /// Sends anything out of the other host's end.
    pub(crate) fn flooder(&self) -> OwnedFd {
        self.there.run(|| packet::open("t0", 0)).expect("a packet socket")
    }
}

/// Asks or tells an interface something; what it says.
fn ethtool(netns: &Netns, arguments: &[&str]) -> String {
    let output = netns.run(|| Ok(Command::new("ethtool").args(arguments).output()?));
    let output = output.expect("ethtool is installed");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The lines of a type.
pub(crate) fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

/// What was written to standard output.
pub(crate) fn lines(ended: &Ended) -> Vec<Value> {
    ended.out.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
