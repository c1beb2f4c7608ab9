use std::{ffi::OsString, path::Path, time::Duration};

use super::*;
use crate::{cli::TraceArgs, exit};

/// What a trace with these arguments and variables, and this text as its file, would use.
fn loaded(typed: &[&str], variables: &[(&str, &str)], text: Option<&str>) -> Result<Loaded> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    let mut arguments: Vec<OsString> =
        ["rst-tracer"].iter().chain(typed).map(OsString::from).collect();
    if let Some(text) = text {
        std::fs::write(&path, text).expect("written");
        arguments.extend(["--config".into(), path.into()]);
    }
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    load_with(arguments, &variables.collect())
}

fn trace(typed: &[&str], variables: &[(&str, &str)], text: Option<&str>) -> TraceArgs {
    loaded(typed, variables, text).expect("loaded").cli.trace
}

/// What is said of this file.
fn complaint(text: &str) -> String {
    let error = file::parse(text, Path::new("c.toml"), &options_of(TRACE)).expect_err("refused");
    assert_eq!(exit::code_of(&error), Code::CONFIG);
    error.to_string()
}

#[test]
fn every_kind_of_option_can_stand_in_a_file() {
    let text = "interface = [\"eth0\", \"w*\"]\nsettle = \"2s\"\nflows = 1_024\nring-size = 0x10\n\
                no-tunnels = true\nexplain = false\nmin-confidence = 0.5\nport = 443\n";
    let args = trace(&[], &[], Some(text));
    assert_eq!(args.live.interfaces, ["eth0", "w*"]);
    assert_eq!(args.output.settle, Duration::from_secs(2));
    assert_eq!((args.table.flows, args.live.ring_size), (1024, 16));
    assert!(args.table.no_tunnels && !args.output.explain);
    assert_eq!((args.filter.min_confidence, args.filter.ports), (Some(0.5), vec![443]));
}

#[test]
fn the_command_line_is_above_the_environment_and_that_above_the_file() {
    let text = "settle = \"1ms\"\nring-size = 1\nflows = 8\ninterface = [\"a\", \"b\"]\n";
    let variables = [
        ("RST_TRACER_SETTLE", "2ms"),
        ("RST_TRACER_RING_SIZE", "2"),
        ("RST_TRACER_INTERFACE", "c,d"),
    ];
    let args = trace(&["--settle", "3ms"], &variables, Some(text));
    assert_eq!(args.output.settle, Duration::from_millis(3));
    assert_eq!((args.live.ring_size, args.table.flows), (2, 8));
    assert_eq!(args.live.interfaces, ["c", "d"], "the higher list replaces the lower");
    let args = trace(&["-i", "e"], &variables, Some(text));
    assert_eq!(args.live.interfaces, ["e"]);
}

#[test]
fn a_flag_of_the_file_is_taken_back_by_the_environment() {
    let args = trace(&[], &[("RST_TRACER_NO_TUNNELS", "false")], Some("no-tunnels = true\n"));
    assert!(!args.table.no_tunnels);
}

#[test]
fn to_stay_root_overrides_a_user_in_the_file() {
    let args = trace(&["--no-drop"], &[], Some("user = \"daemon\"\n"));
    assert!(args.service.privileges.no_drop && args.service.privileges.user.is_none());
}

#[test]
fn the_environment_can_name_the_file_and_the_verb_may_be_typed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    std::fs::write(&path, "flows = 16\n").expect("written");
    let arguments = ["rst-tracer", "trace", "--count=1"].map(OsString::from).to_vec();
    let environment = [("RST_TRACER_CONFIG".into(), path.clone().into())].into();
    let loaded = load_with(arguments, &environment).expect("loaded");
    let Some(crate::cli::Command::Trace(args)) = loaded.cli.command else { panic!("no trace") };
    assert_eq!((args.table.flows, args.output.count), (16, Some(1)));
    assert_eq!(args.service.config, Some(path), "as if it had been typed: HUP reads it anew");
}

#[test]
fn other_verbs_are_left_alone() {
    let variables = [("RST_TRACER_SETTLE", "nonsense"), ("RST_TRACER_CONFIG", "/nowhere")];
    assert!(loaded(&["schema"], &variables, None).is_ok());
}

#[test]
fn a_mistake_in_a_file_is_told_with_its_line() {
    let wrong = [
        (
            "\nring_size = 8\n",
            "c.toml:2: there is no option `ring_size`; did you mean `ring-size`?",
        ),
        ("zzz = 1\n", "c.toml:1: there is no option `zzz`"),
        ("[trace]\nflows = 8\n", "c.toml:1: there is no option `trace`"),
        ("config = \"x\"\n", "c.toml:1: there is no option `config`"),
        ("flows = 8\nflows = 9\n", "c.toml:2: duplicate key"),
        ("flows = 7\n", "c.toml:1: invalid value '7' for '--flows <N>': 7 is not in 8..=16777216"),
        ("flows = [8, 9]\n", "c.toml:1: flows takes one value"),
        ("flows = {}\n", "c.toml:1: flows takes a string, a number"),
        ("no-tunnels = \"yes\"\n", "c.toml:1: no-tunnels is true or false"),
        ("settle = 5\n", "write for example 500ms"),
        ("format = \"xml\"\n", "[possible values: text, json"),
        ("output = [\"jsn:/x\"]\n", "there is no format `jsn`; did you mean `json`?"),
        ("cause = [\"closed_port\", \"closed_prot\"]\n", "a similar value exists: 'closed_port'"),
    ];
    for (text, told) in wrong {
        let complaint = complaint(text);
        assert!(complaint.contains(told), "{complaint}");
        assert!(!complaint.contains('\n'), "{complaint}");
    }
}

#[test]
fn two_outputs_in_one_place_are_told_with_the_line_of_the_file() {
    let error =
        loaded(&[], &[], Some("\noutput = [\"a\", \"json:./a\"]\n")).err().expect("refused");
    assert_eq!(exit::code_of(&error), Code::CONFIG);
    let told = "config.toml:2: `json:./a` goes where `text:a` goes; name another file";
    assert!(error.to_string().ends_with(told), "{error}");
    let error = loaded(&["-o", "a", "-o", "./a"], &[], None).err().expect("refused");
    assert_eq!(exit::code_of(&error), Code::USAGE);
}

#[test]
fn tags_and_labels_come_from_everywhere_and_are_held_against_each_other() {
    let variables = [("RST_TRACER_TAG", "edge,eu")];
    let file = "label = [\"env=prod\", \"team=net\"]\n";
    let args = loaded(&["--tag", "dmz"], &[], Some(file)).expect("loaded").cli.trace.output;
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        (args.tags, args.labels),
        (vec!["dmz".to_owned()], vec![label("env", "prod"), label("team", "net")])
    );
    let args = loaded(&[], &variables, None).expect("loaded").cli.trace.output;
    assert_eq!(args.tags, ["edge", "eu"]);
    let error = loaded(&[], &[], Some("label = [\"a=1\", \"a=2\"]\n")).err().expect("refused");
    assert_eq!(exit::code_of(&error), Code::CONFIG);
    assert!(
        error
            .to_string()
            .ends_with("config.toml:1: the label `a` is given twice; it has one value"),
        "{error}"
    );
    let error = loaded(&["--label", "a=1", "--label", "a=2"], &[], None).err().expect("refused");
    assert_eq!(exit::code_of(&error), Code::USAGE);
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let error = loaded(&[], &[("RST_TRACER_SETTLE", "5")], None).err().expect("refused");
    assert_eq!(exit::code_of(&error), Code::CONFIG);
    assert!(error.to_string().starts_with("RST_TRACER_SETTLE: invalid value '5'"), "{error}");
}

/// What is said of these variables.
fn odd(variables: &[(&str, &str)]) -> Vec<String> {
    loaded(&[], variables, None).expect("loaded").odd
}

#[test]
fn a_variable_that_sets_nothing_is_told_the_nearest_one() {
    for (name, told) in [
        ("RST_TRACER_SETLE", "did you mean RST_TRACER_SETTLE?"),
        ("RST_TRACER_RINGSIZE", "did you mean RST_TRACER_RING_SIZE?"),
        ("RST_TRACER_STATS", "did you mean RST_TRACER_HEARTBEAT?"),
        ("RST_TRACER_ZZZ", "`rst-tracer trace --help` lists the options"),
        ("RST_TRACER_\u{1b}[2J", "`rst-tracer trace --help` lists the options"),
    ] {
        let [line] = &odd(&[(name, "1")])[..] else { panic!("one line for {name}") };
        let name = name.replace('\u{1b}', "\\u{1b}");
        assert_eq!(*line, format!("{name} sets no option; {told}"));
    }
    let right = [("RST_TRACER_SETTLE", "1s"), ("RST_TRACER", "x"), ("rst_tracer_settle", "x")];
    assert_eq!(odd(&right), [""; 0]);
}

/// As a kubelet makes them for a Service with a named and another port.
const OF_A_SERVICE: [(&str, &str); 12] = [
    ("RST_TRACER_SERVICE_HOST", "10.0.0.1"),
    ("RST_TRACER_SERVICE_PORT", "9477"),
    ("RST_TRACER_SERVICE_PORT_METRICS", "9477"),
    ("RST_TRACER_PORT", "tcp://10.0.0.1:9477"),
    ("RST_TRACER_PORT_9477_TCP", "tcp://10.0.0.1:9477"),
    ("RST_TRACER_PORT_9477_TCP_PROTO", "tcp"),
    ("RST_TRACER_PORT_9477_TCP_PORT", "9477"),
    ("RST_TRACER_PORT_9477_TCP_ADDR", "10.0.0.1"),
    ("RST_TRACER_PORT_53_UDP", "udp://10.0.0.1:53"),
    ("RST_TRACER_WEB_SERVICE_HOST", "10.0.0.2"),
    ("RST_TRACER_WEB_PORT", "tcp://[fd00::2]:80"),
    ("RST_TRACER_WEB_PORT_80_TCP_PORT", "80"),
];

#[test]
fn what_kubernetes_says_of_a_service_sets_nothing_and_is_told_in_one_line() {
    let loaded = loaded(&[], &OF_A_SERVICE, None).expect("loaded");
    assert!(loaded.cli.trace.filter.ports.is_empty() && loaded.in_use.is_empty());
    let told = "RST_TRACER_PORT=tcp://10.0.0.1:9477 and 11 more are of a Service in Kubernetes and set no option; \
                `enableServiceLinks: false` in the pod's spec keeps such out";
    assert_eq!(loaded.odd, [told]);
    let alone = odd(&OF_A_SERVICE[..1]);
    assert!(alone[0].starts_with("RST_TRACER_SERVICE_HOST=10.0.0.1 is of a Service"), "{alone:?}");
    // The option of the same name.
    let args = trace(&[], &[("RST_TRACER_PORT", "80,443")], None);
    assert_eq!(args.filter.ports, [80, 443]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = loaded(&["--config", "/nowhere/c.toml"], &[], None).err().expect("refused");
    assert_eq!(exit::code_of(&error), Code::CONFIG);
    assert_eq!(
        error.to_string(),
        "cannot read /nowhere/c.toml: No such file or directory (os error 2)"
    );
}

#[test]
fn what_is_shown_is_what_differs_and_can_be_read_again() {
    let text = "settle = \"1s\"\nport = [80, 443]\nexplain = true\n";
    let variables = [("RST_TRACER_USER", "da\"emon"), ("RST_TRACER_NO_TUNNELS", "false")];
    let in_use = loaded(&["-i", "eth0"], &variables, Some(text)).expect("loaded").in_use;
    let mut shown = Vec::new();
    show(&in_use, &mut shown).expect("written");
    let shown = String::from_utf8(shown).expect("UTF-8");
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("port = [80, 443]  # ") && lines[0].ends_with("config.toml:2"));
    assert!(lines[1].starts_with("explain = true  # "), "{shown}");
    assert_eq!(lines[2], "user = 'da\"emon'  # RST_TRACER_USER");
    assert_eq!(lines[3..], ["interface = [\"eth0\"]  # command line"]);
    let again = file::parse(&shown, Path::new("c.toml"), &options_of(TRACE)).expect("it is TOML");
    let pairs = |settings: &[Setting]| -> Vec<_> {
        settings.iter().map(|one| (one.option.clone(), one.values.clone())).collect()
    };
    assert_eq!(pairs(&again), pairs(&in_use));
}

/// The file that packages install.
const SAMPLE: &str = include_str!("../../../contrib/config/config.toml");

#[test]
fn the_file_of_the_package_sets_nothing_and_has_every_option() {
    let path = Path::new("config.toml");
    assert_eq!(file::parse(SAMPLE, path, &options_of(TRACE)).expect("it is TOML"), []);
    let is_key = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase());
    let keys = SAMPLE.lines().filter_map(|line| line.strip_prefix('#')).filter(is_key);
    let text: String = keys.map(|line| format!("{line}\n")).collect();
    let settings = file::parse(&text, path, &options_of(TRACE)).expect("every example is right");
    let named = |option: &Arg| settings.iter().any(|one| Some(&*one.option) == option.get_long());
    let missing: Vec<_> = options_of(TRACE).into_iter().filter(|one| !named(one)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
