//! Options from a file and from the environment, as a service has them.

use rst_tracer_tests::{
    capture::Folder,
    tracer::{Tracer, command, run},
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
