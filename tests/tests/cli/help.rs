//! What `--help` and `--version` show, and what a wrong command line is told.

use rst_tracer_tests::tracer::{Ended, run};

/// Every verb that has a page of its own.
const VERBS: [&str; 10] = [
    "trace",
    "top",
    "replay",
    "report",
    "demo",
    "doctor",
    "explain",
    "schema",
    "completions",
    "man",
];

fn text(ended: &Ended) -> String {
    // Lines of clap may end in blanks.
    ended.out.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn help_shows_what_there_is() {
    let ended = run(&["--help"]);
    ended.assert_code(0);
    insta::assert_snapshot!("rst-tracer", text(&ended));
    for verb in VERBS {
        assert!(ended.out.iter().any(|line| line.trim_start().starts_with(verb)), "no {verb}");
    }
}

#[test]
fn every_verb_has_a_page() {
    for verb in VERBS {
        let ended = run(&[verb, "--help"]);
        ended.assert_code(0);
        assert!(ended.err.is_empty(), "{ended:#?}");
        insta::assert_snapshot!(verb, text(&ended));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let name = concat!("rst-tracer ", env!("CARGO_PKG_VERSION"));
    let ended = run(&["-V"]);
    ended.assert_code(0);
    assert_eq!(ended.out, [name]);
    // In full: which commit, where that is known, and which object is inside.
    let ended = run(&["--version"]);
    ended.assert_code(0);
    assert_eq!(ended.out[0], name);
    let is_hash = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let (object, commit) = ended.out[1..].split_last().expect("more lines");
    assert!(object.strip_prefix("kernel object ").is_some_and(is_hash), "{ended:#?}");
    assert!(commit.len() <= 1, "{ended:#?}");
    let is_commit = |line: &String| line.strip_prefix("commit ").is_some_and(is_hash);
    assert!(commit.iter().all(is_commit), "{ended:#?}");
    assert!(!run(&["man"]).out.join("").contains("kernel object"), "a page for all builds");
}

/// A wrong command line and a word that the answer to it must contain.
const WRONG: [(&[&str], &str); 33] = [
    (&["explain", "closed_prot"], "a similar value exists: 'closed_port'"),
    (&["explain", "closed_port", "linger0_close"], "linger0_close"),
    (&["--no-such-option"], "--no-such-option"),
    (&["tracee"], "tracee"),
    (&["replay"], "<FILE>"),
    (&["report"], "<EVENTS.jsonl>"),
    (&["replay", "x", "--format", "xml"], "[possible values: text, json, "),
    (&["replay", "x", "-o", "foo:/x"], "no format `foo` (there are: text, json, "),
    (&["trace", "-o", "jsn:x"], "no format `jsn`; did you mean `json`?"),
    (&["replay", "x", "--port", "70000"], "`70000` is not a port"),
    (&["replay", "x", "--port", "80,443"], "for several, give the option several times"),
    (&["trace", "--metrics-listen", "localhost:9477"], "write for example 127.0.0.1:9477"),
    (&["trace", "--heartbeat", "0s"], "`0s` is too short; 10ms is the least"),
    (&["trace", "--user", ""], "give a user's name or number, or --no-drop to stay root"),
    (&["replay", "x", "--net", "10.0.0.0/33"], "neither an address nor a network"),
    (&["replay", "x", "--cause", "bad_luck"], "bad_luck"),
    (&["replay", "x", "--class", "bad_luck"], "bad_luck"),
    (&["replay", "x", "--sent-by", "nobody"], "nobody"),
    (&["replay", "x", "--min-confidence", "1.5"], "not a number from 0 to 1"),
    (&["replay", "x", "--settle", "5"], "write for example 500ms"),
    (&["replay", "x", "--tag", ""], "a tag has 1 to 64 bytes"),
    (&["replay", "x", "--label", "env"], "a label is KEY=VALUE; for example env=prod"),
    (&["trace", "--label", "a.b=c"], "a key has 1 to 64 letters, digits, `_` and `-`"),
    (&["replay", "x", "--label", "a=b", "--label", "a=c"], "the label `a` is given twice"),
    (&["replay", "x", "--count", "0"], "0 is not in 1.."),
    (&["trace", "--xdp-mode", "hw"], "[possible values: auto, native, generic, off]"),
    (&["completions", "tcsh"], "bash"),
    (&["x.pcap"], "to read a capture file, use 'rst-tracer replay x.pcap'"),
    (&["trace", "x.pcapng"], "to read a capture file, use 'rst-tracer replay x.pcapng'"),
    (&["-r", "x.pcap"], "to read a capture file, use 'rst-tracer replay x.pcap'"),
    (&["replay", "x", "-i", "eth0"], "'-i' is an option of a live trace; a replay reads"),
    (&["replay", "x", "--duration", "5s"], "'--duration' is an option of a live trace"),
    (&["replay", "x", "--cause", "linger"], "'rst-tracer explain' tells of all causes"),
];

#[test]
fn no_tip_drowns_or_leads_astray() {
    for arguments in [&["--cause", "linger"] as &[&str], &["replay", "x", "--cause", "linger"]] {
        let ended = run(arguments);
        assert!(ended.said("a similar value exists: 'linger0_close'"), "{ended:#?}");
        assert!(!ended.said("possible values") && !ended.said("closed_port"), "{ended:#?}");
    }
    for option in ["-i", "--duration", "-r", "--no-such"] {
        let ended = run(&["replay", option, "x"]);
        ended.assert_code(2);
        assert!(!ended.said("as a value"), "no file is called so: {ended:#?}");
    }
}

#[test]
fn a_wrong_command_line_exits_2_and_is_told_what_is_wrong() {
    for (arguments, word) in WRONG {
        let ended = run(arguments);
        ended.assert_code(2);
        assert!(ended.out.is_empty(), "stdout is for events: {ended:#?}");
        assert!(ended.said(word), "{arguments:?} is not told {word}: {ended:#?}");
    }
}
