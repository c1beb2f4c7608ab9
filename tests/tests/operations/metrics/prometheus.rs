//! A real Prometheus reads the metrics of the real tracer, and knows the alerts.

use std::{
    fs,
    io::Write,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rst_tracer::demo::sockets;
use rst_tracer_tests::{
    capture::Folder,
    scrape::{self, Page},
    skip::skipped,
};
use serde_json::Value;

use super::{
    mixed, on, settled,
    shipped::{RULES, RULES_TEST, queries},
    traced,
};

/// Where Prometheus listens; every test has a namespace of its own.
const PORT: u16 = 19_090;
/// Longer than it takes to start on a busy machine of two cores.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs promtool; `None`, and says so, where there is none.
fn promtool(arguments: &[&str], input: &str) -> Option<Output> {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        skipped("needs promtool, of Debian's package prometheus");
        return None;
    };
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    Some(child.wait_with_output().expect("it ends"))
}

#[track_caller]
fn assert_content(output: &Output) {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(err.is_empty() && !out.contains("FAILED"), "{out}{err}");
}

#[test]
fn promtool_has_no_complaint_about_the_metrics() {
    let Some((pair, tracer, address)) = traced(&["--no-flow-rate", "20"]) else { return };
    let resets = mixed(&pair);
    let page = settled(&pair, address, resets);
    if let Some(checked) = promtool(&["check", "metrics"], &page.text) {
        assert_content(&checked);
    }
    tracer.interrupt().assert_code(0);
}

#[test]
fn promtool_has_no_complaint_about_the_alerts_and_they_do_what_they_say() {
    for arguments in [["check", "rules", RULES], ["test", "rules", RULES_TEST]] {
        let Some(checked) = promtool(&arguments, "") else { return };
        assert_content(&checked);
    }
}

/// A Prometheus that scrapes; killed when dropped.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Prometheus {
    /// Starts one that scrapes `target` every second.
    fn start(folder: &Folder, target: &str) -> Option<Self> {
        let configuration = format!(
            "global: {{ scrape_interval: 1s }}\n\
             rule_files: [{RULES}]\n\
             scrape_configs:\n\
             - job_name: rst-tracer\n\
             \u{20} static_configs: [{{ targets: [\"{target}\"] }}]\n"
        );
        let file = folder.path("prometheus.yml");
        fs::write(&file, configuration).expect("written");
        let started = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{PORT}"))
            .args(["--log.level=warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if started.is_err() {
            skipped("needs Debian's package prometheus");
        }
        started.ok().map(Self)
    }

    /// What its HTTP API says, once it says anything with 200.
    fn api(&self, path: &str) -> Option<Value> {
        let request = format!("GET /api/v1/{path} HTTP/1.0\r\n\r\n");
        std::net::TcpStream::connect(("127.0.0.1", PORT)).ok()?;
        let answer = scrape::ask(([127, 0, 0, 1], PORT).into(), request.as_bytes()).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        if !head.lines().next()?.contains(" 200 ") && !body.starts_with('{') {
            return None;
        }
        Some(serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    /// The result of a query.
    fn query(&self, query: &str) -> Option<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        self.api(&format!("query?query={encoded}"))
    }

    /// Waits until a query has this single value.
    #[track_caller]
    fn await_value(&self, query: &str, value: u64) {
        let begin = Instant::now();
        loop {
            let answer = self.query(query);
            let told = answer.as_ref().map(|answer| &answer["data"]["result"][0]["value"][1]);
            if told.is_some_and(|told| told == &Value::from(value.to_string())) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{query} is not {value}: {answer:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_prometheus_scrapes_it_and_understands_the_alerts_and_the_dashboard() {
    let Some((pair, tracer, address)) = traced(&[]) else { return };
    for (client, _) in pair.talks(3) {
        sockets::abort(client).expect("aborted");
    }
    settled(&pair, address, 3);
    let folder = Folder::new();
    on(&pair, || {
        let Some(prometheus) = Prometheus::start(&folder, &address.to_string()) else { return };
        prometheus.await_value("up{job=\"rst-tracer\"}", 1);
        prometheus.await_value("sum(rst_tracer_resets_seen_total)", 3);
        prometheus
            .await_value("sum(rst_tracer_events_total{iface=\"h0\",direction=\"ingress\"})", 3);
        prometheus.await_value("rst_tracer_settle_seconds_count", 3);
        let balance = "sum(rst_tracer_resets_seen_total) - sum(rst_tracer_resets_total) \
                       - sum(rst_tracer_resets_pending)";
        prometheus.await_value(balance, 0);

        let meant = prometheus.api("metadata").expect("metadata");
        for (name, kind) in Page::fetch(address).kinds() {
            // In OpenMetrics a counter is called without its ending.
            let name = if kind == "counter" { name.trim_end_matches("_total") } else { name };
            assert_eq!(meant["data"][name][0]["type"], kind, "{name}: {meant}");
        }
        let rules = prometheus.api("rules").expect("rules");
        let rules = rules["data"]["groups"][0]["rules"].as_array().expect("rules").clone();
        assert!(rules.len() >= 6, "{rules:#?}");
        for rule in rules {
            assert_ne!(rule["health"], "err", "{rule}");
        }
        for query in queries() {
            let answer = prometheus.query(&query).expect("an answer");
            assert_eq!(answer["status"], "success", "{query}: {answer}");
        }
    });
    tracer.interrupt().assert_code(0);
}
