//! The verbs that print a text and end: schema, completions, manual page.

use std::{fs::OpenOptions, io, process::Command};

use rst_tracer_tests::{
    capture::Folder,
    skip::skipped,
    tracer::{Tracer, command, run},
};
use serde_json::Value;

#[test]
fn the_schema_is_a_schema_that_describes_all_three_types() {
    let ended = run(&["schema"]);
    ended.assert_code(0);
    let schema: Value = serde_json::from_str(&ended.out.join("\n")).expect("JSON");
    jsonschema::meta::validate(&schema).expect("a valid JSON Schema");
    let text = schema.to_string();
    for kind in ["\"rst\"", "\"finding\"", "\"stats\"", "rst-tracer/1"] {
        assert!(text.contains(kind), "no {kind}");
    }
}

#[test]
fn completions_know_the_verbs_and_the_options() {
    for (shell, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef rst-tracer"),
        ("fish", "complete -c rst-tracer"),
    ] {
        let ended = run(&["completions", shell]);
        ended.assert_code(0);
        let script = ended.out.join("\n");
        for word in [mark, "replay", "doctor", "explain", "xdp-mode", "sent-by", "linger0_close"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
}

#[test]
fn bash_understands_its_completions() {
    let script = run(&["completions", "bash"]).out.join("\n");
    let checked = Command::new("bash").args(["-n", "-c", &script]).output();
    let Ok(checked) = checked else {
        skipped("no bash to check the script");
        return;
    };
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_manual_page_has_its_parts_and_every_verb_with_its_options() {
    let ended = run(&["man"]);
    ended.assert_code(0);
    let page = ended.out.join("\n");
    assert!(page.contains(".TH rst-tracer 8"), "no title");
    let verb = "COMMAND EXPLAIN";
    for part in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS", verb, "EXIT STATUS"]
    {
        assert!(page.contains(part), "no {part}");
    }
    // Options of verbs other than the default one.
    for option in [r"\-\-only", r"\-\-clean", r"\-\-interface"] {
        assert!(page.contains(option), "no {option}");
    }
}

#[test]
fn explain_lists_every_cause_under_its_class_and_prints_the_page_of_one() {
    let list = run(&["explain"]);
    list.assert_code(0);
    let text = list.out.join("\n");
    for id in ["connection_refused:", "  closed_port ", "unknown:", "  no_connection_seen "] {
        assert!(text.contains(id), "no {id}");
    }
    let page = run(&["explain", "client_cancel"]);
    page.assert_code(0);
    assert!(page.err.is_empty(), "{page:#?}");
    let text = page.out.join("\n");
    for part in ["client_cancel: ", "What it is", "How we know", "How sure", "What to do", "medium"]
    {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[test]
fn groff_has_nothing_to_say_about_the_manual_page() {
    let folder = Folder::new();
    let page = folder.file("page.8", run(&["man"]).out.join("\n").as_bytes());
    let checked = Command::new("groff").args(["-man", "-Tutf8", "-ww", &page]).output();
    let Ok(checked) = checked else {
        skipped("no groff to check the page");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&checked.stderr), "");
    assert!(checked.status.success());
}

/// Each writes more than one line at once.
const PRINTING: [&[&str]; 7] = [
    &["schema"],
    &["explain"],
    &["man"],
    &["completions", "bash"],
    &["doctor"],
    &["--help"],
    &["demo", "--list"],
];

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for arguments in PRINTING {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let ended = Tracer::spawn_into(&mut command(arguments), writer.into()).wait();
        assert!(ended.err.is_empty(), "{arguments:?}: {ended:#?}");
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {ended:#?}");
    }
}

#[test]
fn a_full_disk_is_a_failure_that_is_named() {
    for arguments in &PRINTING[..4] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let ended = Tracer::spawn_into(&mut command(arguments), full.into()).wait();
        ended.assert_code(1);
        assert!(ended.said("No space left on device"), "{arguments:?}: {ended:#?}");
    }
}
