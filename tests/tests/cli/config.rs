//! Options from a file and from the environment, as a service has them.

use rst_tracer_tests::{
    capture::{Folder, many_refused, pcap},
    tracer::{Ended, Tracer, command, run},
};

#[test]
fn check_config_says_what_would_be_used_and_where_it_comes_from() {
    let folder = Folder::new();
    let file = folder.file("config.toml", b"# ours\nsettle = \"2s\"\nflows = 65536\nport = 443\n");
    let mut checked =
        command(&["trace", "--config", &file, "--check-config", "-i", "no-such-interface"]);
    let ended =
        Tracer::spawn(checked.env("RST_TRACER_HEARTBEAT", "1m").env("RST_TRACER_PORT", "80,81"))
            .wait();
    ended.assert_code(0);
    assert!(ended.err.is_empty(), "{ended:#?}");
    let settle = format!("settle = \"2s\"  # {file}:2");
    let told = [
        settle.as_str(),
        "heartbeat = \"1m\"  # RST_TRACER_HEARTBEAT",
        "port = [80, 81]  # RST_TRACER_PORT",
        "interface = [\"no-such-interface\"]  # command line",
    ];
    assert_eq!(ended.out, told);
}

#[test]
fn without_settings_check_config_says_so() {
    let ended = run(&["--check-config"]);
    ended.assert_code(0);
    assert_eq!(ended.out, ["# every option is at its default"]);
}

#[test]
fn a_wrong_file_exits_78_with_file_and_line() {
    let folder = Folder::new();
    let file = folder.file("config.toml", b"\nsetle = \"2s\"\n");
    for more in [&[] as &[&str], &["--check-config"]] {
        let ended = run(&[&["trace", "-i", "lo", "--config", &file], more].concat());
        ended.assert_code(78);
        assert!(ended.out.is_empty(), "{ended:#?}");
        let told =
            format!("rst-tracer: {file}:2: there is no option `setle`; did you mean `settle`?");
        assert_eq!(ended.err, [told]);
    }
    let ended = run(&["--config", "/nowhere/config.toml"]);
    ended.assert_code(78);
    assert!(ended.said("cannot read /nowhere/config.toml"), "{ended:#?}");
}

#[test]
fn a_wrong_variable_exits_78_and_disturbs_no_other_verb() {
    let wrong =
        |arguments| Tracer::spawn(command(arguments).env("RST_TRACER_FLOWS", "many")).wait();
    let ended = wrong(&["trace", "-i", "lo"]);
    ended.assert_code(78);
    assert!(ended.said("RST_TRACER_FLOWS: invalid value 'many' for '--flows <N>'"), "{ended:#?}");
    wrong(&["schema"]).assert_code(0);
}

#[test]
fn a_mistyped_variable_is_told_the_nearest_one_and_refuses_nothing() {
    let told = "rst-tracer: RST_TRACER_SETLE sets no option; did you mean RST_TRACER_SETTLE?";
    let mut checked = command(&["trace", "--check-config"]);
    let ended = Tracer::spawn(checked.env("RST_TRACER_SETLE", "2s")).wait();
    ended.assert_code(0);
    assert_eq!(ended.err, [told]);
    assert_eq!(ended.out, ["# every option is at its default"]);
    // Said before anything else of a trace, too.
    let mut traced = command(&["-i", "no-such-interface"]);
    let ended = Tracer::spawn(traced.env("RST_TRACER_SETLE", "2s")).wait();
    ended.assert_code(1);
    assert_eq!(ended.err[0], told);
}

/// One refused connection to port 443.
fn replayed(folder: &Folder, variables: &[(&str, &str)], typed: &[&str]) -> Ended {
    let file = folder.file("one.pcap", &pcap(&many_refused(1)));
    let mut replay = command(&[&["replay", &file], typed].concat());
    Tracer::spawn(replay.envs(variables.iter().copied())).wait()
}

#[test]
fn a_replay_takes_its_options_from_the_environment_and_leaves_those_of_a_trace_alone() {
    let folder = Folder::new();
    let of_trace = ("RST_TRACER_INTERFACE", "eth0");
    let ended = replayed(&folder, &[("RST_TRACER_FORMAT", "json"), of_trace], &[]);
    ended.assert_code(0);
    assert!(ended.out[0].starts_with('{'), "{ended:#?}");
    assert!(!ended.said("sets no option"), "{ended:#?}");
    let ended = replayed(&folder, &[("RST_TRACER_FORMAT", "json")], &["--format", "text"]);
    assert!(!ended.out[0].starts_with('{'), "what is typed is above: {ended:#?}");
    let ended = replayed(&folder, &[("RST_TRACER_PORT", "80,81")], &[]);
    assert_eq!(ended.summary().count("filtered"), 1, "{ended:#?}");

    let ended = replayed(&folder, &[("RST_TRACER_FORMAT", "xml")], &[]);
    ended.assert_code(78);
    assert!(ended.said("RST_TRACER_FORMAT: invalid value 'xml' for '--format"), "{ended:#?}");
    let ended = replayed(&folder, &[("RST_TRACER_SETLE", "2s")], &[]);
    ended.assert_code(0);
    let told = "RST_TRACER_SETLE sets no option; did you mean RST_TRACER_SETTLE?";
    assert!(ended.said(told), "{ended:#?}");
}

#[test]
fn the_port_that_kubernetes_puts_into_the_environment_is_none_of_ours() {
    let mut checked = command(&["trace", "--check-config"]);
    checked.env("RST_TRACER_PORT", "tcp://10.0.0.1:9477");
    let ended = Tracer::spawn(checked.env("RST_TRACER_SERVICE_HOST", "10.0.0.1")).wait();
    ended.assert_code(0);
    assert_eq!(ended.out, ["# every option is at its default"]);
    assert_eq!(ended.err.len(), 1, "{ended:#?}");
    let told = "RST_TRACER_PORT=tcp://10.0.0.1:9477 and 1 more are of a Service in Kubernetes";
    assert!(ended.said(told) && ended.said("enableServiceLinks: false"), "{ended:#?}");
}

const POLICY: &[u8] = b"[[rule]]\nname = \"web\"\nmatch = { port = 443 }\nexpect = \"never\"\n";

#[test]
fn a_policy_is_checked_with_the_configuration() {
    let folder = Folder::new();
    let policy = folder.file("policy.toml", POLICY);
    let file = folder.file("config.toml", format!("policy = \"{policy}\"\n").as_bytes());
    let ended = run(&["trace", "--config", &file, "--check-config"]);
    ended.assert_code(0);
    assert_eq!(ended.out, [format!("policy = \"{policy}\"  # {file}:1")]);

    let wrong = folder.file("policy.toml", b"[[rule]]\nname = \"web\"\nmatch = { prot = 443 }\n");
    let told = format!("rst-tracer: {wrong}:3: there is no key `prot` here; did you mean `port`?");
    for arguments in [
        &["trace", "--config", &file, "--check-config"][..],
        &["trace", "-i", "lo", "--policy", &wrong],
        &["replay", "--policy", &wrong, "-"],
    ] {
        let ended = run(arguments);
        ended.assert_code(78);
        assert!(ended.out.is_empty(), "{ended:#?}");
        assert_eq!(ended.err, [told.as_str()]);
    }
}

#[test]
fn a_replay_judges_by_a_policy_that_the_environment_names() {
    let folder = Folder::new();
    let policy = folder.file("policy.toml", POLICY);
    let ended = replayed(&folder, &[("RST_TRACER_POLICY", &policy)], &[]);
    ended.assert_code(0);
    assert!(ended.out[0].ends_with("  [web: violated]"), "{ended:#?}");
    let finding = "against the policy: 1 reset against the rule web (there is no reset here): 1 closed port; the first: ";
    assert!(ended.out[1].contains(finding) && ended.out[1].contains("it begins"), "{ended:#?}");
    assert!(ended.said("summary: policy web (never): 1 reset, 1 violated, last "), "{ended:#?}");
    let ended = replayed(&folder, &[("RST_TRACER_POLICY", &policy)], &["--no-findings"]);
    assert_eq!(ended.out.len(), 1, "events say it all the same: {ended:#?}");
    assert!(ended.out[0].ends_with("  [web: violated]"), "{ended:#?}");
}
