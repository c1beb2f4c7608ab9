//! The tracer as its users run it: the built program, its streams, its exit code.
//!
//! What it writes is awaited with a deadline; a test that waits in vain shows all that was said.

mod build;
mod stream;

use std::{
    fs,
    io::Write,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rst_tracer::demo::sockets;

pub use build::program;
pub use stream::Stream;

use crate::{inherited, summary::Summary};

/// The line on stderr after which a live trace sees everything.
const READY: &str = "; Ctrl-C ends";

/// A command for the tracer without anything that the tests' own environment would change.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::null());
    for name in ["NO_COLOR", "RUST_LOG", "COLUMNS", "CLICOLOR_FORCE", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    // The tests' own, which no tracer knows.
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.as_encoded_bytes().starts_with(b"RST_TRACER_")) {
        command.env_remove(name);
    }
    inherited::nothing(&mut command);
    command
}

/// Runs the tracer to its end.
pub fn run(arguments: &[&str]) -> Ended {
    Tracer::spawn(&mut command(arguments)).wait()
}

/// Runs it to its end with this on its standard input.
pub fn run_with_input(arguments: &[&str], input: &[u8]) -> Ended {
    let mut tracer = Tracer::spawn(command(arguments).stdin(Stdio::piped()));
    let mut stdin = tracer.take_input();
    stdin.write_all(input).expect("it reads its input");
    drop(stdin);
    tracer.wait()
}

/// What is left of a tracer that ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, line by line.
    pub out: Vec<String>,
    /// Its standard error.
    pub err: Vec<String>,
}

impl Ended {
    /// Its exit code.
    ///
    /// # Panics
    /// If a signal ended it.
    #[track_caller]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("no exit code: {self:#?}"))
    }

    /// Asserts the exit code and shows everything if it is another.
    #[track_caller]
    pub fn assert_code(&self, code: i32) {
        assert_eq!(self.code(), code, "{self:#?}");
    }

    /// The last summary on stderr.
    #[track_caller]
    pub fn summary(&self) -> Summary {
        Summary::last_of(&self.err)
    }

    /// How many lines an output took, and how many it had no room for, by the summary.
    ///
    /// # Panics
    /// If the summary does not speak of it.
    #[track_caller]
    pub fn output(&self, name: &str) -> (u64, u64) {
        let begin = format!("summary: output {name}: ");
        let line = self.err.iter().rev().find_map(|line| line.strip_prefix(&begin));
        let line = line.unwrap_or_else(|| panic!("no output {name} in {self:#?}"));
        let mut numbers = line.split(' ').filter_map(|word| word.parse().ok());
        (numbers.next().expect("written"), numbers.next().expect("dropped"))
    }

    /// Whether some line on stderr contains this.
    pub fn said(&self, what: &str) -> bool {
        self.err.iter().any(|line| line.contains(what))
    }
}

/// A tracer that runs; dropped, it is killed.
pub struct Tracer {
    child: Child,
    /// What it writes to standard output, unless that goes elsewhere.
    pub out: Stream,
    /// What it writes to standard error.
    pub err: Stream,
}

impl Tracer {
    /// Starts the program; what it writes is read from now on.
    pub fn spawn(command: &mut Command) -> Self {
        Self::spawn_into(command, Stdio::piped())
    }

    /// The same with another standard output.
    pub fn spawn_into(command: &mut Command, out: Stdio) -> Self {
        let spawned = sockets::spawn(command.stdout(out).stderr(Stdio::piped()));
        let mut child = spawned.expect("the tracer starts");
        let out = child.stdout.take().map(Stream::read).unwrap_or_default();
        let err = child.stderr.take().map(Stream::read).unwrap_or_default();
        Self { child, out, err }
    }

    /// Starts a live trace with these arguments in the calling thread's network namespace, and
    /// waits until it traces. Its tables are small.
    pub fn trace(arguments: &[&str]) -> Self {
        let small = ["trace", "--format", "json", "--flows", "4096", "--ring-size", "1"];
        let tracer = Self::spawn(&mut command(&[&small, arguments].concat()));
        tracer.await_ready();
        tracer
    }

    /// Waits until a live trace sees everything.
    pub fn await_ready(&self) {
        self.err.await_line("it to trace", |line| line.ends_with(READY));
    }

    /// Its standard input, which was piped; dropped, it is closed.
    ///
    /// # Panics
    /// If it was not piped, or taken already.
    #[track_caller]
    pub fn take_input(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("a pipe")
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it lives");
    }

    /// Interrupts it, as Ctrl-C does, and waits for its end.
    pub fn interrupt(self) -> Ended {
        self.signal(Signal::SIGINT);
        self.wait()
    }

    /// Whether it has ended, and is still to be waited for.
    pub fn has_ended(&self) -> bool {
        self.status_of("State").starts_with('Z')
    }

    /// Whether it has a handler for a signal.
    pub fn catches(&self, signal: Signal) -> bool {
        let caught = u64::from_str_radix(&self.status_of("SigCgt"), 16).expect("hexadecimal");
        caught >> (signal as u32 - 1) & 1 == 1
    }

    /// A line of proc_pid_status(5).
    fn status_of(&self, name: &str) -> String {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it is there");
        let named = |line: &str| line.strip_prefix(name)?.strip_prefix(":\t").map(str::to_owned);
        status.lines().find_map(named).expect("a value")
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        // Both end with the process: it alone holds their other ends.
        let (out, err) = (self.out.await_end(), self.err.await_end());
        let status = self.child.wait().expect("it can be waited for");
        Ended { status, out, err }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Fails for one that has ended, which is fine.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
