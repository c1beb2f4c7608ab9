//! The files in `contrib` that nobody of theirs is here to read: they parse, and what they name exists.

use std::{fs, path::PathBuf, process::Command};

use clap::Parser;
use rst_tracer::cli::Cli;
use rst_tracer_tests::{
    capture::{Folder, many_refused, pcap},
    tracer::run,
};
use serde_json::Value;

use crate::{json, python, shipped, target};

fn text(name: &str) -> String {
    let path = shipped(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a YAML or TOML file.
fn documents(name: &str) -> Vec<Value> {
    let read = python::run("parse.py", &[&shipped(name)]);
    json(&read).as_array().expect("a list").clone()
}

/// Whether some kind of event has this key, by our schema; `src/ip` is a key of an object.
fn is_in_schema(schema: &Value, path: &str) -> bool {
    ["RstEvent", "Finding", "StatsEvent"].iter().any(|kind| {
        let mut at = &schema["$defs"][kind];
        for key in path.split('/') {
            at = &at["properties"][key];
            if let Some(name) = at["$ref"].as_str() {
                at = &schema["$defs"][name.rsplit('/').next().expect("a name")];
            }
        }
        !at.is_null()
    })
}

fn schema() -> Value {
    json(&run(&["schema"]).out.join("\n"))
}

/// What a reset looks like in a format.
fn event(format: &str) -> String {
    let case = concat!(env!("CARGO_MANIFEST_DIR"), "/cases/vlan/capture.pcap");
    run(&["replay", "--format", format, case]).out.remove(0)
}

#[test]
fn lnav_shows_every_event_with_our_format() {
    let format = json(&text("lnav/rst-tracer.json"));
    let format = &format["rst_tracer"];
    let schema = schema();
    let values = format["value"].as_object().expect("values");
    let shown = format["line-format"].as_array().expect("parts");
    let shown = shown.iter().filter_map(|part| part["field"].as_str());
    let named = ["timestamp-field", "level-field", "opid-field"].map(|what| format[what].as_str());
    let named = named.iter().map(|name| name.expect("a field"));
    let of_lnav = |name: &&str| name.starts_with("__");
    for name in values.keys().map(String::as_str).chain(shown).chain(named) {
        assert!(of_lnav(&name) || is_in_schema(&schema, name), "no event has {name}");
    }
    assert!(!is_in_schema(&schema, "src/mac") && !is_in_schema(&schema, "nobody"));

    let folder = Folder::new();
    let home = folder.path("home");
    let formats = home.join("formats/rst_tracer");
    fs::create_dir_all(&formats).expect("a folder");
    fs::copy(shipped("lnav/rst-tracer.json"), formats.join("rst-tracer.json")).expect("copied");
    let capture = folder.file("capture.pcap", &pcap(&many_refused(20)));
    let lines = run(&["replay", "--format", "json", &capture]).out;
    let log = folder.file("events.json", (lines.join("\n") + "\n").as_bytes());
    let lnav = |arguments: &[&str]| {
        let mut command = Command::new("lnav");
        command.arg("-n").arg("-I").arg(&home).env("HOME", &home).args(arguments).arg(&log);
        let output = command.output().expect("lnav; `cargo xtask packages` installs it");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let resets = lines.iter().filter(|line| json(line)["type"] == "rst").count();
    let printed = lnav(&[]);
    assert_eq!(printed.lines().count(), lines.len(), "{printed}");
    let refused = " rst 10.0.0.2:443 -> 10.0.0.1:20000 post_syn closed_port ";
    assert!(printed.lines().any(|line| line.contains(refused)), "{printed}");
    const QUERY: &str =
        ";SELECT count(*) AS n FROM rst_tracer WHERE cause = 'closed_port' AND \"src/port\" = 443";
    let counted = lnav(&["-c", QUERY, "-c", ":write-json-to -"]);
    assert_eq!(json(&counted)[0]["n"], resets, "{counted}");
}

#[test]
fn splunk_finds_the_fields_that_it_is_told_of() {
    let (text, schema, line) = (text("splunk/props.conf"), schema(), event("json"));
    let mut fields = Vec::new();
    for setting in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = setting.split_once(" = ") else { continue };
        if name.starts_with("FIELDALIAS-") {
            let words: Vec<&str> = value.split(' ').collect();
            assert!(words.chunks(3).all(|three| three.len() == 3 && three[1] == "AS"), "{setting}");
            fields.extend(words.chunks(3).map(|three| three[0]));
        } else if name.starts_with("EVAL-") {
            fields.extend(value.split('\'').skip(1).step_by(2));
        } else if name == "TIME_PREFIX" {
            assert_eq!(line.matches(value).count(), 1, "{line}");
        }
    }
    assert!(fields.len() > 10, "{fields:?}");
    for field in fields {
        assert!(is_in_schema(&schema, &field.replace('.', "/")), "no event has {field}");
    }
}

#[test]
fn elasticsearch_is_told_of_fields_that_our_documents_have() {
    let template = json(&text("elastic/index-template.json"));
    let line = json(&event("ecs"));
    let stream = ["type", "dataset", "namespace"].map(|key| line["data_stream"][key].as_str());
    let stream = stream.map(|part| part.expect("its place")).join("-");
    let pattern = template["index_patterns"][0].as_str().and_then(|p| p.strip_suffix('*'));
    assert!(pattern.is_some_and(|begin| stream.starts_with(begin)), "{stream}");
    fn check(mapping: &Value, document: &Value, path: &str) {
        for (name, field) in mapping["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            let first = document.get(0).unwrap_or(document);
            let value = &first[name];
            let fits = match field["type"].as_str() {
                Some("date_nanos" | "keyword" | "text") => value.is_string(),
                Some("long" | "integer" | "short") => value.is_u64(),
                Some("float") => value.is_number(),
                Some("boolean") => value.is_boolean(),
                Some("object") | None => value.is_object() || value.is_array(),
                Some(_) => false,
            };
            assert!(fits, "{path} is {value}");
            check(field, value, &path);
        }
    }
    check(&template["template"]["mappings"], &line, "");
}

#[test]
fn the_daemon_set_asks_for_what_the_tracer_takes() {
    let documents = documents("kubernetes/daemonset.yaml");
    let set = documents.iter().find(|document| document["kind"] == "DaemonSet").expect("a set");
    let template = &set["spec"]["template"];
    assert_eq!(set["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]);
    let pod = &template["spec"];
    assert!(pod["hostNetwork"] == true && pod["hostPID"] == true);
    assert_eq!(pod["enableServiceLinks"], false, "RST_TRACER_PORT of a Service is no option");
    let container = &pod["containers"][0];
    let arguments = ["command", "args"].map(|key| container[key].as_array().expect("words"));
    let arguments = arguments.into_iter().flatten().map(|word| word.as_str().expect("a word"));
    Cli::try_parse_from(arguments).expect("a command line of ours");
    let volumes: Vec<_> = pod["volumes"].as_array().into_iter().flatten().collect();
    for mount in container["volumeMounts"].as_array().expect("mounts") {
        assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "{mount}");
    }
    let is_of_node = |volume: &&&Value| volume["hostPath"]["path"] == "/etc/machine-id";
    let id = volumes.iter().find(is_of_node).expect("without it no line has the node's id");
    assert_eq!(id["hostPath"]["type"], "FileOrCreate", "a node without one has its pod, too");
    let capabilities = &container["securityContext"]["capabilities"];
    assert_eq!(capabilities["drop"], serde_json::json!(["ALL"]));
    for name in ["BPF", "NET_ADMIN", "PERFMON"] {
        let added = capabilities["add"].as_array().expect("names");
        assert!(added.iter().any(|added| added == name), "{name}");
    }
}

#[test]
fn the_daemon_set_is_valid_by_kubernetes_own_schemas() {
    let valid = python::run("kubernetes.py", &[&shipped("kubernetes/daemonset.yaml")]);
    let kinds: Vec<_> = valid.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(kinds, ["Namespace", "Namespace", "DaemonSet", "DaemonSet"]);

    let text = text("kubernetes/daemonset.yaml").replace("hostPID:", "hostPid:");
    let wrong = target().join("daemonset-with-a-typing-error.yaml");
    fs::write(&wrong, text).expect("written");
    let refused = std::panic::catch_unwind(|| python::run("kubernetes.py", &[&wrong]));
    assert!(refused.is_err(), "a wrong key has to be refused");
}

#[test]
fn examples_that_nobody_ran_say_so_first_and_parse() {
    let examples =
        ["vector/rst-tracer.toml", "fluent-bit/rst-tracer.yaml", "filebeat/rst-tracer.yml"];
    for name in examples {
        assert!(text(name).starts_with("# UNTESTED: "), "{name}");
        assert!(documents(name)[0].is_object(), "{name}");
    }
}

#[test]
fn the_list_of_contrib_names_every_file() {
    let list = text("README.md");
    let mut folders = vec![shipped("")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(shipped("")).expect("below").to_str().expect("UTF-8");
            assert!(name == "README.md" || list.contains(name), "contrib/README.md and {name}");
        }
    }
}
