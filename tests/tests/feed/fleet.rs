//! The queries of contrib/fleet in DuckDB and ClickHouse, over what the tracers of two hosts wrote while resets of
//! every kind went between them, ordinary ones and ones that the router wrote in the name of one of the two.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
    time::Duration,
};

use rst_tracer::demo::{
    lab::Lab,
    netns::Netns,
    scenarios::{catalogue, run_all},
    truth::Side,
};
use rst_tracer_tests::{
    capture::Folder,
    skip::skipped,
    tracer::{Tracer, program},
};
use serde_json::Value;

use crate::{json, lines, python, shipped};

/// From where to where a reset goes.
type Way = (SocketAddr, SocketAddr);

/// What two hosts saw, and what was forged between them.
struct Fleet {
    folder: Folder,
    lines: Vec<Value>,
    forged: Vec<Way>,
}

/// `None` without root. Traced once for all tests.
fn fleet() -> Option<&'static Fleet> {
    static FLEET: OnceLock<Option<Fleet>> = OnceLock::new();
    let trace = || {
        if nix::unistd::geteuid().is_root() {
            return Some(Fleet::trace());
        }
        skipped("needs root for network namespaces and BPF");
        None
    };
    FLEET.get_or_init(trace).as_ref()
}

impl Fleet {
    fn trace() -> Self {
        let lab = Lab::new().expect("the laboratory");
        let folder = Folder::new();
        let hosts = [("client", &lab.client), ("server", &lab.server)];
        let tracers = hosts.map(|(name, netns)| trace(name, netns, &folder));
        // What the queries want to know of the time before and after: twice as much as clocks may differ.
        let margin = Duration::from_secs(4);
        thread::sleep(margin);
        let mut forged = Vec::new();
        let scenarios: Vec<_> =
            catalogue().into_iter().filter(|one| !one.slow && !one.alone).collect();
        run_all(&lab, &scenarios, 1, |scenario, truth| {
            let truth = truth.unwrap_or_else(|error| panic!("{}: {error:#}", scenario.id));
            for connection in &truth.connections {
                for reset in connection.resets.iter().filter(|one| one.sender.genuine().is_none()) {
                    let (client, server) = (connection.client, connection.server);
                    forged.push(match reset.sender.claimed() {
                        Side::Client => (client, server),
                        Side::Server => (server, client),
                    });
                }
            }
        });
        forged.sort_unstable();
        thread::sleep(margin);
        for tracer in tracers {
            let ended = tracer.interrupt();
            ended.assert_code(0);
            ended.summary().assert_balanced();
        }
        let lines = ["client.json", "server.json"].map(|name| lines(&folder.path(name)));
        let lines = lines.into_iter().flatten().map(|line| json(&line)).collect();
        Self { folder, lines, forged }
    }

    /// The same lines without every tenth.
    fn with_gaps(&self) -> Folder {
        let folder = Folder::new();
        for name in ["client.json", "server.json"] {
            let lines = lines(&self.folder.path(name)).into_iter().enumerate();
            let left = lines.filter(|(at, _)| at % 10 != 0).map(|(_, line)| line + "\n");
            folder.file(name, left.collect::<String>().as_bytes());
        }
        folder
    }

    fn resets(&self) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(|line| line["type"] == "rst")
    }
}

/// The rows of each query.
fn ask(database: &str, folder: &Folder) -> Value {
    let queries = shipped("fleet").join(database);
    json(&python::run("fleet.py", &[database.as_ref(), &queries, &folder.path("")]))
}

/// A tracer on a host of its own name.
fn trace(name: &str, netns: &Netns, folder: &Folder) -> Tracer {
    let mut command = Command::new("unshare");
    command.args(["--uts", "sh", "-c", "hostname \"$0\" && exec \"$@\"", name]).arg(program());
    command.args(["trace", "--kernel-scope", "netns", "--no-flow-rate", "0", "--flows", "8192"]);
    command.args(["--heartbeat", "500ms", "-o"]);
    command.arg(format!("json:{}", folder.path(&format!("{name}.json")).display()));
    command.stdin(Stdio::null());
    let tracer = netns.run(|| Ok(Tracer::spawn(&mut command))).expect("it starts");
    tracer.await_ready();
    tracer
}

#[test]
fn duckdb_tells_what_happened_and_what_was_injected() {
    answers("duckdb");
}

#[test]
fn clickhouse_tells_what_happened_and_what_was_injected() {
    answers("clickhouse");
}

fn answers(database: &str) {
    let Some(fleet) = fleet() else { return };
    let rows = ask(database, &fleet.folder);
    injected(fleet, &rows["injected"]);
    pairs(fleet, &rows["pairs"]);
    causes(fleet, &rows["causes"]);
    // Where lines are missing, what the hosts did not tell proves nothing.
    let rows = ask(database, &fleet.with_gaps());
    assert!(rows["pairs"].as_array().is_some_and(|rows| !rows.is_empty()), "{rows}");
    assert_eq!(rows["injected"], serde_json::json!([]));
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("{key} in {row}"))
}

/// Exactly what the router wrote, whatever it did to the receiver.
fn injected(fleet: &Fleet, rows: &Value) {
    let rows = rows.as_array().expect("rows");
    let end = |row: &Value, side: &str| {
        let port = row[format!("{side}_port")].as_u64().expect("a port");
        let ip = text(row, &format!("{side}_ip")).parse().expect("an address");
        SocketAddr::new(ip, u16::try_from(port).expect("a port"))
    };
    let mut proved: Vec<Way> = rows.iter().map(|row| (end(row, "src"), end(row, "dst"))).collect();
    proved.sort_unstable();
    assert!(fleet.forged.len() >= 6, "three forgeries over two families at least");
    assert!(fleet.resets().count() > 4 * proved.len(), "most resets are ordinary");
    assert_eq!(proved, fleet.forged, "{rows:#?}");
    for row in rows {
        let hosts = [text(row, "receiver"), text(row, "innocent")];
        assert!(hosts == ["client", "server"] || hosts == ["server", "client"], "{row}");
    }
}

/// What makes a reset the same on two hosts.
fn identity(line: &Value) -> String {
    format!("{} {} {}", line["community_id"], line["segment"]["seq"], line["segment"]["ack"])
}

fn pairs(fleet: &Fleet, rows: &Value) {
    let mut wanted: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for line in fleet.resets() {
        let pair = (text(&line["src"], "ip"), text(&line["dst"], "ip"));
        wanted.entry(pair).or_default().insert(identity(line));
    }
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), wanted.len(), "{rows:#?}");
    for row in rows {
        let pair = (text(row, "src_ip"), text(row, "dst_ip"));
        assert_eq!(row["resets"], wanted[&pair].len(), "{row}");
        let cause = text(row, "usual_cause");
        assert!(fleet.resets().any(|line| line["cause"] == cause), "{row}");
    }
    let counts: Vec<_> = rows.iter().map(|row| row["resets"].as_u64()).collect();
    assert!(counts.is_sorted_by(|one, next| one >= next), "{counts:?}");
}

fn causes(fleet: &Fleet, rows: &Value) {
    let mut wanted: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for line in fleet.resets() {
        // 2026-01-31T16 and the rest of it.
        let hour = text(line, "time")[..13].replace('T', " ");
        wanted.entry((hour, text(line, "cause"))).or_default().insert(identity(line));
    }
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), wanted.len(), "{rows:#?}");
    for row in rows {
        let cause = (text(row, "hour")[..13].to_owned(), text(row, "cause"));
        assert_eq!(row["resets"], wanted[&cause].len(), "{row}");
    }
}
