//! The keys of CEF, its escapes, and lines that are never too long.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::event::{Class, KnownBy, SentBy, Stage};
use crate::sink::{LINE_LIMIT, samples};

fn written(event: &Event) -> String {
    let mut out = BytesMut::new();
    fit::line(event, &mut out, |event, out| body(event, &Host::sample(), out));
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn a_reset() {
    assert_snapshot!(written(&samples::unread_data()));
}

#[test]
fn a_process_stands_at_the_end_that_it_is_known_to_be() {
    let Event::Rst(mut rst) = samples::unread_data() else { panic!("the example is a reset") };
    rst.interface = Some("lo".into());
    (rst.local_role, rst.sent_by) = (LocalRole::Sender, SentBy::Server);
    let process = rst.process.as_mut().unwrap();
    (process.name, process.known_by) = ("mine".into(), KnownBy::SocketOwner);
    rst.stage = Stage::PostSyn;
    // Of a refused SYN only the caller has a socket.
    let refused = written(&Event::Rst(rst.clone()));
    assert!(refused.contains(" dproc=mine ") && !refused.contains("sproc="), "{refused}");
    rst.process.as_mut().unwrap().known_by = KnownBy::ActiveClose;
    let closed = written(&Event::Rst(rst));
    assert!(closed.contains(" sproc=mine ") && !closed.contains("dproc="), "{closed}");
}

#[test]
fn a_refusal_between_ipv6_hosts() {
    assert_snapshot!(written(&samples::refusal()));
}

#[test]
fn what_had_begun_was_not_refused() {
    let Event::Rst(mut rst) = samples::refusal() else { panic!("the example is a reset") };
    rst.class = Class::ProtocolState;
    for (stage, is_refusal) in
        [(Stage::PostSyn, true), (Stage::NoFlow, true), (Stage::Closed, false)]
    {
        rst.stage = stage;
        let line = written(&Event::Rst(rst.clone()));
        let told = [" act=refused ", "|TCP connection refused|"].map(|part| line.contains(part));
        assert_eq!(told, [is_refusal; 2], "{stage:?}: {line}");
    }
}

#[test]
fn a_finding() {
    assert_snapshot!(written(&samples::scan()));
}

#[test]
fn counters() {
    assert_snapshot!(written(&samples::stats()));
}

#[test]
fn a_stranger_can_neither_add_a_key_nor_a_line() {
    let line = written(&samples::hostile());
    assert_eq!(line.matches('\n').count(), 1);
    assert!(!line.contains(['\r', '\0', '\t', '\u{1b}', '\u{202e}']), "{line}");
    let value = r#"sproc=a|b\=c\\d"e\r\nCEF:0|x| src\=1.2.3.4 \\u{1b}[2J\\u{0}\\t\\u{202e}"#;
    assert!(line.contains(value), "{line}");
}

#[test]
fn a_value_is_no_longer_than_the_dictionary_allows() {
    let mut line = Extension::after("|");
    line.key("msg", "=".repeat(5000));
    line.key("act", "a|").key("reason", "b");
    assert_eq!(line.text, format!("|msg={} act=a| reason=b", "\\=".repeat(1023)));
}

#[test]
fn numbers_that_the_dictionary_has_no_room_for_are_the_largest_it_has() {
    assert_eq!(integer(7), 7);
    assert_eq!(integer(u64::MAX), i32::MAX);
}

#[test]
fn the_largest_event_fits() {
    for string in ["x".repeat(10_000), "\u{1}=".repeat(5_000), "é\"\\".repeat(5_000)] {
        let line = written(&samples::largest(&string));
        assert!(line.len() < LINE_LIMIT, "{} bytes", line.len());
        assert!(line.contains("runcated"));
    }
}

proptest! {
    #[test]
    fn every_line_is_one_short_line(event in samples::event()) {
        let line = written(&event);
        prop_assert!(line.len() < LINE_LIMIT, "{} bytes", line.len());
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
        prop_assert!(line.starts_with("CEF:0|rst-tracer|rst-tracer|"));
    }
}
