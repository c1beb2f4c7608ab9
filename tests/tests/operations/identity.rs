//! Which station, which program, which host: told the same in every format, by a tracer that became nobody.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use nix::{ifaddrs::getifaddrs, net::if_::if_nametoindex};
use rst_tracer::{
    demo::{netns::Netns, sockets, wait},
    event::Timestamp,
};
use rst_tracer_tests::{capture::Folder, skip::skipped, tracer::Tracer};
use serde_json::{Value, json};

use crate::{
    net::{in_namespace, set_up},
    pair::Pair,
};

const FORMATS: [&str; 6] = ["json", "ecs", "ocsf", "eve", "cef", "otlp"];

/// The lines of each format, as soon as there are so many.
fn written(folder: &Folder, count: usize) -> [Vec<String>; FORMATS.len()] {
    FORMATS.map(|format| {
        let lines = || fs::read_to_string(folder.path(format)).unwrap_or_default();
        let is_there = || Ok(lines().matches('\n').count() >= count);
        wait::until("all lines", is_there).unwrap_or_else(|error| panic!("{format}: {error:#}"));
        lines().lines().map(str::to_owned).collect()
    })
}

fn mac(host: &Netns, interface: &str) -> [u8; 6] {
    let address = host.run(|| {
        let found = getifaddrs()?.find_map(|one| {
            let link = *one.address.as_ref()?.as_link_addr()?;
            (one.interface_name == interface).then(|| link.addr())?
        });
        found.context("no address")
    });
    address.expect("its address")
}

/// An attribute of a log record, or of its resource.
fn attribute<'a>(list: &'a Value, key: &str) -> Option<&'a Value> {
    let all = list["attributes"].as_array().expect("attributes");
    all.iter().find(|one| one["key"] == key).map(|one| &one["value"]["stringValue"])
}

#[test]
fn every_format_tells_the_station_the_program_and_the_host() {
    let Some(pair) = Pair::beside_others() else { return };
    let folder = Folder::new();
    let outputs = FORMATS.map(|format| format!("{format}:{}", folder.path(format).display()));
    let arguments: Vec<_> = outputs.iter().flat_map(|output| ["-o", output]).collect();
    let tracer = pair.trace(&arguments);
    let mut talks = pair.talks(2);
    let (client, _server) = talks.remove(0);
    sockets::abort(client).expect("it comes in");
    written(&folder, 1);
    let (_client, server) = talks.remove(0);
    sockets::abort(server).expect("it goes out");
    let lines = written(&folder, 2);
    tracer.interrupt().assert_code(0);
    let [came, left] = [0, 1].map(|n| {
        let of = |format: usize| serde_json::from_str::<Value>(&lines[format][n]).expect("JSON");
        [of(0), of(1), of(2), of(3), json!(lines[4][n]), of(5)]
    });
    assert_station(&came, mac(&pair.there, "t0"), mac(&pair.here, "h0"));
    assert_receiver(&left, mac(&pair.there, "t0"));
    for document in &left {
        let text = document.to_string();
        assert!(!text.contains("src_mac") && !text.contains("smac"), "its own address: {text}");
    }
    let index = pair.here.run(|| Ok(if_nametoindex("h0")?)).expect("its index");
    for event in [&came, &left] {
        assert_program(event);
        assert_place(event, index);
    }
    assert_eq!(came[0]["process"]["entity_id"], left[0]["process"]["entity_id"]);
}

/// The frame came from the other end of the cable.
fn assert_station(all: &[Value; 6], from: [u8; 6], to: [u8; 6]) {
    let [json, ecs, ocsf, eve, cef, otlp] = all;
    let (colons, hyphens) = written_as(from);
    assert_eq!(json["segment"]["src_mac"], colons, "{json:#}");
    assert_eq!(ecs["source"]["mac"], hyphens, "{ecs:#}");
    assert_eq!(ecs["client"]["mac"], hyphens, "it sent it");
    assert_eq!(ocsf["src_endpoint"]["mac"], hyphens, "{ocsf:#}");
    let observed = ocsf["observables"].as_array().expect("a list");
    assert!(observed.iter().any(|one| one["type_id"] == 3 && one["value"] == hyphens), "{ocsf:#}");
    assert_eq!(eve["ether"]["src_mac"], colons, "{eve:#}");
    assert!(cef.as_str().expect("a line").contains(&format!(" smac={colons} ")), "{cef}");
    let record = &otlp["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(attribute(record, "rst_tracer.ether.src_mac"), Some(&json!(colons)));
    assert_receiver(all, to);
}

/// The frame was for that station.
fn assert_receiver([json, ecs, ocsf, eve, cef, otlp]: &[Value; 6], address: [u8; 6]) {
    let (colons, hyphens) = written_as(address);
    assert_eq!(json["segment"]["dst_mac"], colons, "{json:#}");
    assert_eq!(ecs["destination"]["mac"], hyphens, "{ecs:#}");
    let client_is_dst = ecs["client"]["ip"] == ecs["destination"]["ip"];
    let (receiver, sender) =
        if client_is_dst { ("client", "server") } else { ("server", "client") };
    assert_eq!(
        (&ecs[receiver]["mac"], ecs[sender].get("mac").is_some()),
        (&json!(hyphens), ecs["source"].get("mac").is_some())
    );
    let end = if client_is_dst { "src_endpoint" } else { "dst_endpoint" };
    assert_eq!(ocsf[end]["mac"], hyphens, "{ocsf:#}");
    assert_eq!(eve["ether"]["dest_mac"], colons, "{eve:#}");
    assert!(cef.as_str().expect("a line").contains(&format!(" dmac={colons} ")), "{cef}");
    let record = &otlp["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(attribute(record, "rst_tracer.ether.dst_mac"), Some(&json!(colons)));
}

/// With colons, and with hyphens in capitals.
fn written_as(address: [u8; 6]) -> (String, String) {
    let digits = address.map(|byte| format!("{byte:02x}"));
    (digits.join(":"), digits.join("-").to_uppercase())
}

/// All sockets are this test's.
fn assert_program([json, ecs, ocsf, eve, cef, otlp]: &[Value; 6]) {
    let process = &json["process"];
    let path = std::env::current_exe().expect("a path");
    let path = path.to_str().expect("UTF-8");
    assert_eq!(
        (&process["pid"], &process["executable"]),
        (&json!(std::process::id()), &json!(path))
    );
    let (start, id) = (&process["start"], &process["entity_id"]);
    let started: Timestamp = serde_json::from_value(start.clone()).expect("a time");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let age = now.checked_sub(started.0.into()).expect("a start before now");
    assert!(age < 7_200_000_000_000, "{age} ns");
    for (key, value) in [("executable", &json!(path)), ("start", start), ("entity_id", id)] {
        assert_eq!(&ecs["process"][key], value, "{ecs:#}");
        assert_eq!(&eve["rst"]["process"][key], value, "{eve:#}");
    }
    let actor = ocsf.get("actor").map_or(&ocsf["unmapped"]["process"], |actor| &actor["process"]);
    let theirs = actor.pointer("/file/path").unwrap_or(&actor["executable"]);
    assert_eq!(theirs, path, "{ocsf:#}");
    let cef = cef.as_str().expect("a line");
    assert!(cef.contains(&format!(" rstTracerExecutable={path} ")), "{cef}");
    let record = &otlp["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(attribute(record, "process.executable.path"), Some(&json!(path)));
    assert_eq!(attribute(record, "process.creation.time"), Some(start));
}

/// The interface by its number, and this host.
fn assert_place([json, ecs, ocsf, _, cef, otlp]: &[Value; 6], index: u32) {
    assert_eq!(json["ifindex"], index);
    let side = json["direction"].as_str().expect("live");
    assert_eq!(ecs["observer"][side]["interface"]["id"], index.to_string(), "{ecs:#}");
    assert_eq!(ocsf["device"]["interface_uid"], index.to_string(), "{ocsf:#}");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel");
    let release = release.trim();
    assert_eq!(ecs["host"]["os"], json!({ "type": "linux", "kernel": release }));
    assert_eq!(ocsf["device"]["os"]["kernel_release"], release);
    let resource = &otlp["resourceLogs"][0]["resource"];
    assert_eq!(attribute(resource, "os.description"), Some(&json!(format!("Linux {release}"))));
    let run = attribute(resource, "service.instance.id").expect("of this run");
    assert!(run.as_str().is_some_and(|run| run.len() == 32), "{run}");
    // A container may have none.
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let id = Some(id.trim()).filter(|id| id.len() == 32);
    assert_eq!(ecs["host"]["id"].as_str(), id);
    assert_eq!(ocsf["device"]["uid"].as_str(), id);
    assert_eq!(attribute(resource, "host.id").and_then(Value::as_str), id);
    let of_cef = id.map(|id| format!(" deviceExternalId={id} "));
    let cef = cef.as_str().expect("a line");
    assert!(of_cef.is_none_or(|key| cef.contains(&key)), "{cef}");
}

/// A control group as Kubernetes makes one for a container, with a program in it.
struct Container {
    pod: String,
    id: String,
    path: PathBuf,
    program: Child,
}

impl Container {
    /// Calls a closed port on the loopback from inside it, and stays. `None` without control groups of version 2.
    fn call() -> Option<Self> {
        let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let mount = mounts.into_iter().find(|mount| mount.join("cgroup.controllers").exists())?;
        let number = std::process::id();
        let (pod, id) =
            (format!("2f5a6f0e-5c1b-4f0e-9e55-{number:012x}"), format!("{number:064x}"));
        let path = mount.join(format!("kubepods-{number}/pod{pod}/{id}"));
        fs::create_dir_all(&path).ok()?;
        const SCRIPT: &str = "echo $$ > $0/cgroup.procs; : 3<>/dev/tcp/127.0.0.1/1; read -r";
        let mut bash = Command::new("bash");
        bash.args(["-c", SCRIPT]).arg(&path).stdin(Stdio::piped()).stderr(Stdio::null());
        Some(Self { pod, id, path, program: bash.spawn().expect("bash") })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.program.kill().ok();
        self.program.wait().ok();
        // A group is gone from below; it may take the kernel a moment to see that nobody is in it.
        for group in self.path.ancestors().take(3) {
            wait::until("the group to be empty", || Ok(fs::remove_dir(group).is_ok())).ok();
        }
    }
}

#[test]
fn a_program_in_a_pod_is_told_with_its_pod_and_its_container() {
    in_namespace(|| {
        set_up("lo");
        let folder = Folder::new();
        let ecs = format!("ecs:{}", folder.path("ecs").display());
        let tracer = Tracer::trace(&["--settle", "0s", "-o", "json", "-o", &ecs]);
        let Some(container) = Container::call() else {
            return skipped("needs a writable hierarchy of control groups, version 2");
        };
        let event: Value = serde_json::from_str(&tracer.out.await_count(1)[0]).expect("JSON");
        tracer.interrupt().assert_code(0);
        let process = &event["process"];
        assert_eq!(process["pid"], container.program.id(), "{event:#}");
        assert_eq!(process["pod_uid"], container.pod, "{event:#}");
        assert_eq!(process["container_id"], container.id, "{event:#}");
        let line = fs::read_to_string(folder.path("ecs")).expect("written");
        let document: Value = serde_json::from_str(line.trim_end()).expect("JSON");
        let pod =
            json!({ "type": "kubernetes", "resource": { "type": "pod", "id": container.pod } });
        assert_eq!(document["orchestrator"], pod, "{document:#}");
        assert_eq!(document["container"], json!({ "id": container.id }), "of whatever runtime");
    });
}
