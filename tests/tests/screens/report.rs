//! The report: what is in it, what is told of what is not, and that no stranger writes into it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use rst_tracer::event::Cause;
use rst_tracer_tests::{
    capture::{Folder, many_refused, pcap},
    tracer::{run, run_with_input},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::page::{Page, text};

/// The JSON lines of a capture with so many refused connections.
pub(crate) fn refused(count: u16) -> Vec<String> {
    let folder = Folder::new();
    let file = folder.file("capture.pcap", &pcap(&many_refused(count)));
    let ended = run(&["replay", &file, "--format", "json"]);
    ended.assert_code(0);
    ended.out
}

pub(crate) fn lines(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

/// The lines of every capture of the repository.
fn of_all_captures() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");
    let cases = fs::read_dir(folder).expect("the cases").map(|case| case.expect("a case").path());
    let captures =
        cases.flat_map(|case| ["capture.pcap", "capture.pcapng"].map(|name| case.join(name)));
    let mut captures: Vec<PathBuf> = captures.filter(|path| path.is_file()).collect();
    captures.sort();
    let names = captures.iter().map(|path| path.to_str().expect("UTF-8"));
    let arguments: Vec<&str> =
        ["replay", "--format", "json", "--stats"].into_iter().chain(names).collect();
    // Some of them are cut off on purpose: the exit code is 1.
    run(&arguments).out
}

#[test]
fn every_reset_of_the_captures_is_in_the_page() {
    let events = of_all_captures();
    let values: Vec<Value> =
        events.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut causes = BTreeMap::<&str, u64>::new();
    for event in values.iter().filter(|event| event["type"] == "rst") {
        *causes.entry(event["cause"].as_str().expect("a cause")).or_default() += 1;
    }
    let total: u64 = causes.values().sum();
    assert!(total > 50, "the captures of the repository have resets: {total}");
    let page = Page::of(&[&Folder::new().file("events.jsonl", &lines(&events))]);

    let sections = page.texts("h2");
    insta::assert_snapshot!(sections.join("\n"), @r"
    Is anything missing?
    Causes over time
    Who sent them, and where to look
    Causes, and what to do
    Between whom
    Processes of the traced hosts
    Findings over many resets
    Resets to look at
    Files
    ");
    assert!(page.section("summary").starts_with(&format!("{total} resets seen: ")));
    let told: u64 =
        page.texts(".tiles strong").iter().map(|n| n.parse::<u64>().expect("a count")).sum();
    assert_eq!(told, total, "each has a severity");
    let mut rows = BTreeMap::new();
    for row in page.all("#causes tbody tr") {
        let cells: Vec<_> = row.child_elements().collect();
        let id = text(
            cells[0].select(&scraper::Selector::parse("code").expect("one")).next().expect("an id"),
        );
        let cause: Cause = id.parse().expect("a cause");
        assert!(text(cells[0]).contains("What to do."), "{id} has its page");
        assert!(text(cells[0]).contains(cause.words()));
        rows.insert(cause.id(), text(cells[3]).parse::<u64>().expect("a count"));
    }
    assert_eq!(rows, causes);
    assert!(page.section("missing").contains("The numbers of the lines have no gap"));
    let bars: u64 = page
        .texts("#time rect title")
        .iter()
        .map(|title| title.rsplit(' ').nth(1).expect("a count").parse::<u64>().expect("a count"))
        .sum();
    assert_eq!(bars, total, "each is in the chart");
    assert!(!page.all("details.reset pre").is_empty(), "ladders");
}

#[test]
fn the_page_is_sound_and_asks_nobody_for_anything() {
    let page = Page::of(&[&Folder::new().file("events.jsonl", &lines(&of_all_captures()))]);
    assert!(page.errors().is_empty(), "{:?}", page.errors());
    for selector in [
        "[src]", "[href]", "[srcset]", "[style]", "link", "iframe", "object", "img", "form", "base",
    ] {
        assert!(page.all(selector).is_empty(), "{selector}");
    }
    let policy =
        page.one("meta[http-equiv=Content-Security-Policy]").attr("content").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    for (name, directive) in [("style", "style-src"), ("script", "script-src")] {
        let content: String = page.one(name).text().collect();
        let hash = STANDARD.encode(Sha256::digest(&content));
        assert!(policy.contains(&format!("{directive} 'sha256-{hash}'")), "{policy}");
    }
    let charts = page.all("svg[role=img]");
    assert!(charts.len() >= 3 && charts.iter().all(|chart| chart.attr("aria-label").is_some()));
    let ids: Vec<_> = page.all("[id]").iter().filter_map(|element| element.attr("id")).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
    for section in page.all("section[aria-labelledby]") {
        assert!(ids.contains(&section.attr("aria-labelledby").expect("it")));
    }
}

#[test]
fn what_strangers_wrote_stays_text() {
    let attack = "</pre></details></script><script>alert(1)</script>\"><img src=x onerror=alert(2)>\u{202e}&amp;";
    let mut event: Value = serde_json::from_str(&refused(1)[0]).expect("JSON");
    event["process"] = json!({"pid": 1, "name": attack, "known_by": "socket_owner", "cgroup": attack, "container_id": attack});
    event["kernel"] = json!({"reason": attack});
    event["evidence"] = json!([{"id": attack, "text": attack, "weight": 1.0}]);
    for key in ["host", "app", "payload_text", "signature", "file", "history"] {
        event[key] = json!(attack);
    }
    event["severity"] = json!("high");
    let finding = json!({"schema": "rst-tracer/1", "type": "finding", "id": attack, "time": event["time"], "host": attack,
        "kind": "surge", "state": "over", "start": event["time"], "end": event["time"], "severity": "high", "text": attack, "counts": {attack: 1}, "sources": []});
    let bad = json!({"schema": attack, "type": "rst"});
    let content = [event, finding, bad].map(|line| line.to_string());
    let file = Folder::new();
    let name = file.file("<b>&.jsonl", &lines(&content));
    let page = Page::of(&[&name]);
    assert!(page.errors().is_empty(), "{:?}", page.errors());
    assert_eq!((page.all("script").len(), page.all("img").len(), page.all("b").len()), (1, 0, 0));
    for section in ["processes", "findings", "resets", "files"] {
        let text = page.section(section);
        assert!(
            text.contains("<script>alert(1)</script>\"><img src=x onerror=alert(2)>"),
            "{section}: {text}"
        );
    }
    let all = page.texts("body").concat();
    assert!(
        !all.contains('\u{202e}') && all.contains("\\u{202e}"),
        "what turns text round is shown"
    );
    assert!(page.section("files").contains("<b>&.jsonl"));
}

#[test]
fn lines_that_are_not_there_are_missed() {
    let mut events = refused(40);
    events.drain(30..35);
    events.remove(10);
    let page = Page::of(&[&Folder::new().file("events.jsonl", &lines(&events))]);
    let told = page.section("missing");
    assert!(told.contains("6 lines are missing in 2 gaps"), "{told}");
    assert!(!told.contains("Nothing is missing"), "{told}");
}

#[test]
fn what_the_tracer_lost_is_told() {
    let stats = json!({"schema": "rst-tracer/1", "type": "stats", "seq": 2, "time": "2026-11-22T09:42:25.123456789Z",
        "host": "web-1", "segments": 100, "rsts": 90, "events": 1, "merged": 0, "repeated": 0, "filtered": 0, "pending": 0,
        "suppressed": 70, "lost": 19, "malformed": 0, "flows": 1, "evictions": 0,
        "outputs": [{"output": "json:-", "written": 1, "waiting": 0, "dropped": 5}], "hooks": []});
    let mut event: Value = serde_json::from_str(&refused(1)[0]).expect("JSON");
    event["host"] = json!("web-1");
    let page = Page::of(&[
        &Folder::new().file("events.jsonl", &lines(&[event.to_string(), stats.to_string()]))
    ]);
    let told = page.section("missing");
    for part in [
        "19 resets found",
        "70 resets were only counted",
        "5 lines found no room",
        "90 resets were seen",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn rotated_files_are_read_in_the_order_of_time() {
    let folder = Folder::new();
    let events = refused(30);
    let now = folder.file("events.jsonl", &lines(&events[20..]));
    let before = folder.file("events.jsonl.1", &lines(&events[10..20]));
    let long_ago = folder.file("events.jsonl.2", &lines(&events[..10]));
    let page = Page::of(&[&now, &before, &long_ago]);
    assert!(
        page.section("missing").contains("have no gap (30 lines, 1 run)"),
        "{}",
        page.section("missing")
    );
    let page = Page::of(&[&now, &before]);
    let told = page.section("missing");
    assert!(told.contains("10 lines are of a run before the first one here"), "{told}");
}

#[test]
fn a_pipe_is_read_and_a_file_is_written() {
    let folder = Folder::new();
    let page = folder.path("page.html");
    let name = page.to_str().expect("UTF-8");
    let ended = run_with_input(&["report", "-", "--output", name], &lines(&refused(3)));
    ended.assert_code(0);
    assert!(ended.out.is_empty() && ended.err.is_empty(), "{ended:#?}");
    let written = fs::read_to_string(page).expect("a page");
    assert!(written.starts_with("<!DOCTYPE html>") && written.ends_with("</html>"));
}
