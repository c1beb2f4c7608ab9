//! The live screen: real resets on it, its keys, and a terminal that is as before however it ends.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::process::ExitStatusExt,
    process::Command,
};

use nix::sys::signal::Signal;
use rst_tracer::top::FullScreen;
use rst_tracer_tests::tracer::{command, run};

use crate::{
    net::{in_namespace, set_up},
    pty::OnTerminal,
};

const PANICS: &str = "RST_TRACER_TEST_PANICS";

/// The last line before the table of the summary that ends every trace.
const SUMMARY: &str = "summary: ";

fn top(arguments: &[&str]) -> Command {
    let small = ["top", "-i", "lo", "--settle", "0s", "--flows", "4096", "--ring-size", "1"];
    command(&[&small, arguments].concat())
}

/// Connects over loopback to a port on which nothing listens: one reset each.
fn refuse(port: u16, count: usize) {
    for _ in 0..count {
        let error = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn real_resets_are_counted_and_keys_turn_the_tables() {
    in_namespace(|| {
        set_up("lo");
        let mut top = OnTerminal::start(top(&[]));
        top.await_text(&["No reset yet."]);
        assert!(!top.is_as_before(), "keys come one by one");
        refuse(1, 3);
        top.await_text(&[
            "resets told 3 ",
            "\nclosed port ",
            "connection refused",
            " 3        3 low",
        ]);
        // Of the last event; and what was said on standard error, of which the last line is shown.
        top.await_text(&[
            "The server (127.0.0.1:1) sent it: closed port",
            "│ tracing one interface",
        ]);

        top.press(b"p");
        top.await_text(&["127.0.0.1 → 127.0.0.1:1 "]);
        refuse(2, 4);
        let is_sorted = |screen: &vt100::Screen| {
            let text = screen.contents();
            let at = |port: &str| text.find(&format!("→ 127.0.0.1:{port} "));
            at("2").zip(at("1")).is_some_and(|(two, one)| two < one)
        };
        top.await_screen("the most first", is_sorted);
        top.press(b"\x1b[B");
        top.await_text(&["The server (127.0.0.1:1) sent it"]);
        top.press(b"w");
        top.await_text(&["by all since the start"]);

        top.resize([70, 18]);
        let is_small = |screen: &vt100::Screen| {
            let text = screen.contents();
            text.lines().nth(17).is_some_and(|line| line.starts_with("q end"))
        };
        top.await_screen("a smaller picture", is_small);
        top.resize([120, 32]);
        top.await_text(&["the last of them"]);

        top.press(b"q");
        assert_eq!(top.wait().code(), Some(0));
        top.assert_as_before(SUMMARY);
    });
}

#[test]
fn what_matters_is_coloured_where_colours_are_wanted() {
    in_namespace(|| {
        set_up("lo");
        for (option, is_coloured) in [("auto", false), ("always", true)] {
            let mut command = top(&["--color", option]);
            command.env("NO_COLOR", "1");
            let mut top = OnTerminal::start(command);
            top.await_text(&["No reset yet."]);
            // A service that went away is of medium severity.
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
            let port = listener.local_addr().expect("its address").port();
            let call = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("to be accepted");
            drop((listener.accept().expect("a call"), call, listener));
            refuse(port, 1);
            let is_drawn = |screen: &vt100::Screen| {
                let (rows, columns) = screen.size();
                let (rows, columns) = (u16::from(rows), u16::from(columns));
                let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
                let inks: Vec<_> =
                    cells.filter_map(|(row, column)| screen.cell(row, column)).collect();
                let has_colour = inks.iter().any(|cell| cell.fgcolor() != vt100::Color::Default);
                screen.contents().contains("listener went away") && has_colour == is_coloured
            };
            top.await_screen("a row of medium severity in its ink", is_drawn);
            top.press(b"q");
            assert_eq!(top.wait().code(), Some(0));
        }
    });
}

#[test]
fn however_it_ends_the_terminal_is_as_before() {
    in_namespace(|| {
        set_up("lo");
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
            let mut top = OnTerminal::start(top(&[]));
            top.await_text(&["No reset yet."]);
            top.signal(signal);
            assert_eq!(top.wait().code(), Some(0), "{signal}");
            top.assert_as_before(SUMMARY);
        }
        let mut top = OnTerminal::start(top(&[]));
        top.await_text(&["No reset yet."]);
        top.press(b"\x03");
        assert_eq!(top.wait().code(), Some(0), "Ctrl-C");
        top.assert_as_before(SUMMARY);
    });
}

#[test]
fn an_error_at_the_start_is_said_on_the_terminal_as_it_is() {
    in_namespace(|| {
        let mut top = OnTerminal::start(command(&["top", "-i", "nosuch"]));
        assert_eq!(top.wait().code(), Some(1));
        top.assert_as_before("no interface nosuch");
    });
}

/// A terminal that takes nothing holds up nobody but itself.
#[test]
fn a_terminal_that_nobody_reads_costs_no_reset() {
    in_namespace(|| {
        set_up("lo");
        let mut top = OnTerminal::start_unwatched(top(&[]));
        // It traces when it has taken the terminal.
        while top.is_as_before() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
        // Ctrl-L, a whole picture each time: far more than the kernel holds for a terminal.
        top.press(&[0x0c; 200]);
        std::thread::sleep(std::time::Duration::from_secs(1));
        // Far more than the ring buffers hold.
        for port in 1..=40 {
            refuse(port, 100);
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        top.watch();
        top.await_text(&["resets told 4\u{202f}000 "]);
        top.await_text(&["lost 0 ", "only counted 0"]);
        top.press(b"q");
        assert_eq!(top.wait().code(), Some(0));
        top.assert_as_before("0 lost");
    });
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let ended = run(&["top"]);
    ended.assert_code(2);
    assert!(ended.out.is_empty() && ended.said("rst-tracer trace writes lines"), "{ended:#?}");
}

#[test]
fn a_page_is_not_for_a_terminal() {
    let mut report = OnTerminal::start(command(&["report", "nosuch.jsonl"]));
    assert_eq!(report.wait().code(), Some(2));
    report.assert_as_before("name a file with --output");
}

/// The program panics on a terminal that is a full screen: this test, started once more as that program.
#[test]
fn a_panic_is_told_on_a_terminal_that_is_as_before() {
    if std::env::var_os(PANICS).is_some() {
        let _full_screen = FullScreen::enter().expect("a full screen");
        eprintln!("said before");
        panic!("this is on purpose");
    }
    let mut test = Command::new(std::env::current_exe().expect("this test"));
    let name = "top::a_panic_is_told_on_a_terminal_that_is_as_before";
    test.args([name, "--exact", "--nocapture"]).env(PANICS, "1");
    let mut panics = OnTerminal::start(test);
    let status = panics.wait();
    assert!(status.code().is_some_and(|code| code != 0) && status.signal().is_none(), "{status}");
    panics.assert_as_before("this is on purpose");
    panics.assert_as_before("said before");
}
