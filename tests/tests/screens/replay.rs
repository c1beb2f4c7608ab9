//! A replay on a terminal.

use rst_tracer_tests::{
    capture::{Folder, many_refused, pcap},
    tracer::command,
};

use crate::pty::OnTerminal;

/// The bar would be drawn where the first line comes, and stay above it.
#[test]
fn no_bar_is_left_among_the_events() {
    let folder = Folder::new();
    let file = folder.file("three.pcap", &pcap(&many_refused(3)));
    let mut terminal = OnTerminal::start(command(&["replay", &file]));
    assert!(terminal.wait().success());
    let text = terminal.await_screen("a summary", |screen| screen.contents().contains("summary: "));
    assert!(text.lines().next().is_some_and(|line| line.contains("10.0.0.1:20000")), "{text}");
    assert!(!text.contains("B/s"), "how fast it reads is part of the bar: {text}");
}
