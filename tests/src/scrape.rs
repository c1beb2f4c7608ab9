//! The metrics of a running tracer, fetched by hand and read back into numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::tracer::Tracer;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a tracer serves its metrics.
///
/// # Panics
/// If it does not say so.
#[track_caller]
pub fn address(tracer: &Tracer) -> SocketAddr {
    let line = tracer.err.await_line("an address", |line| line.starts_with("metrics at http://"));
    let address = line.trim_start_matches("metrics at http://").trim_end_matches("/metrics");
    address.parse().expect("an address")
}

/// Connects with a deadline for everything.
///
/// # Panics
/// If nobody listens.
#[track_caller]
pub fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("somebody listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    client
}

/// Sends these bytes and reads whatever is answered until the connection is closed, in order.
///
/// # Errors
/// When it is reset, or nothing happens.
pub fn ask(address: SocketAddr, request: &[u8]) -> io::Result<String> {
    let mut client = connect(address);
    client.write_all(request)?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The body of what is answered with 200.
///
/// # Panics
/// If it is anything else.
#[track_caller]
pub fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: tracer\r\nConnection: close\r\n\r\n");
    let answer = ask(address, request.as_bytes()).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
    answer.split_once("\r\n\r\n").expect("headers and a body").1.to_owned()
}

/// A page of metrics in the text format of Prometheus.
#[derive(Clone, Debug)]
pub struct Page {
    /// As it was served.
    pub text: String,
}

impl Page {
    /// Fetches it.
    #[track_caller]
    pub fn fetch(address: SocketAddr) -> Self {
        Self { text: get(address, "/metrics") }
    }

    /// Name with labels, and value, of every series.
    fn series(&self) -> impl Iterator<Item = (&str, f64)> {
        let lines = self.text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            (series, value.parse().expect("a number"))
        })
    }

    /// The sum of all series of this name that have all these labels (`hook="xdp"`).
    pub fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let fits = |series: &str| {
            let (its_name, its_labels) = series.split_once('{').unwrap_or((series, ""));
            its_name == name && labels.iter().all(|label| its_labels.contains(label))
        };
        self.series().filter(|(series, _)| fits(series)).map(|(_, value)| value as u64).sum()
    }

    /// The type of each metric, by its name.
    pub fn kinds(&self) -> BTreeMap<&str, &str> {
        let types = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.filter_map(|line| line.split_once(' ')).collect()
    }

    /// The names of the series, without labels.
    pub fn names(&self) -> BTreeSet<&str> {
        self.series().map(|(series, _)| series.split('{').next().unwrap_or(series)).collect()
    }

    /// The names of the labels of a metric's series.
    pub fn labels(&self, name: &str) -> BTreeSet<&str> {
        let of = |series| str::strip_prefix(series, name)?.strip_prefix('{')?.strip_suffix('}');
        let labels = self.series().filter_map(|(series, _)| of(series));
        // No value of ours has a comma.
        labels
            .flat_map(|all| all.split(','))
            .filter_map(|label| Some(label.split_once('=')?.0))
            .collect()
    }

    /// Every reset that was seen became one of the others, and at each hook every segment and every reset did.
    ///
    /// # Panics
    /// If the numbers do not add up.
    #[track_caller]
    pub fn assert_balanced(&self) {
        let seen = self.sum("rst_tracer_resets_seen_total", &[]);
        let became = |outcome| self.sum("rst_tracer_resets_total", &[outcome]);
        let repeated = self.sum("rst_tracer_resets_repeated_total", &[]);
        let untold = became("outcome=\"suppressed\"") - repeated;
        let ends = [
            ("events", became("outcome=\"event\"")),
            ("merged", became("outcome=\"merged\"")),
            ("repeated", repeated),
            ("filtered", became("outcome=\"filtered\"")),
            ("pending", self.sum("rst_tracer_resets_pending", &[])),
            ("suppressed", untold),
            ("lost", became("outcome=\"lost\"")),
        ];
        let sum: u64 = ends.iter().map(|(_, count)| count).sum();
        assert_eq!(seen, sum, "the metrics do not add up: {ends:?}");
        for hook in ["hook=\"xdp\"", "hook=\"tc_ingress\"", "hook=\"tc_egress\""] {
            let at = |name: &str| self.sum(&format!("rst_tracer_{name}_total"), &[hook]);
            let ends = [at("segments_tracked"), at("segments_untracked")];
            assert_eq!(at("packets"), ends.iter().sum::<u64>(), "{hook}: {ends:?}");
            assert_eq!(at("resets_seen"), at("kernel_resets"), "{hook}: {}", self.text);
        }
    }
}
