//! A real program that runs inside one of the laboratory's hosts, and its folder.
//!
//! In: a host, a command, the files that the program needs. Out: the running program, which stays
//! in the foreground and ends with this value, or with the thread that started it; then its folder
//! is removed. What it said is part of the error when it does not do what it should.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::Connection;
use rst_tracer::demo::wait;

use crate::inherited;
use tempfile::TempDir;

/// Where what a program says is kept, in its folder.
const LOG: &str = "log";

/// A command by the program's name, whose full path it gets: servers live in sbin, which is not on
/// everybody's path, and sshd wants to know where it lives.
pub(in crate::laboratory) fn command(program: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.find_map(|folder| Some(folder.join(program)).filter(|it| it.is_file()));
    Command::new(found.unwrap_or_else(|| program.into()))
}

/// Runs a program that ends by itself, and returns what it wrote to its standard output.
///
/// # Errors
/// If it does not end in time, or not well.
pub(in crate::laboratory) fn run(host: &Netns, command: &mut Command) -> Result<String> {
    let mut program = Folder::new()?.start(host, command)?;
    let status = program.wait()?;
    ensure!(status.success(), "{} ended with {status}:\n{}", program.name, program.said());
    Ok(program.said())
}

/// A temporary folder for a program's configuration and state.
#[derive(Debug)]
pub(in crate::laboratory) struct Folder(TempDir);

impl Folder {
    /// Makes an empty one.
    ///
    /// # Errors
    /// If there is no room for temporary files.
    pub(in crate::laboratory) fn new() -> Result<Self> {
        tempfile::tempdir().map(Self).context("making a temporary folder")
    }

    /// The path of a file in it.
    pub(in crate::laboratory) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file into it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(in crate::laboratory) fn write(
        &self,
        name: &str,
        contents: impl AsRef<[u8]>,
    ) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, contents).with_context(|| format!("writing {name}"))?;
        Ok(path)
    }

    /// Starts a program in it and inside a host.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub(in crate::laboratory) fn start(
        self,
        host: &Netns,
        command: &mut Command,
    ) -> Result<Program> {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = File::create(self.path(LOG)).context("making a program's log")?;
        let errors = log.try_clone().context("sharing a program's log")?;
        command.current_dir(self.0.path()).process_group(0);
        command.stdin(Stdio::piped()).stdout(log).stderr(errors);
        inherited::nothing(command);
        // SAFETY: prctl(2) is async-signal-safe, and nothing is allocated between fork and exec.
        unsafe {
            command.pre_exec(|| {
                Errno::result(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
                Ok(())
            })
        };
        // The thread that starts it must live as long as it may, hence none of the host's.
        let inside = host.enter()?;
        let child = sockets::spawn(command).with_context(|| format!("starting {name}"))?;
        drop(inside);
        Ok(Program { name, child, folder: self })
    }
}

/// A running program. Dropping it kills it and all that it has started.
#[derive(Debug)]
pub(in crate::laboratory) struct Program {
    name: String,
    child: Child,
    folder: Folder,
}

impl Program {
    /// Waits until the program listens there.
    ///
    /// # Errors
    /// If it ends, or does not listen in time.
    pub(in crate::laboratory) fn await_listening(
        mut self,
        host: &Netns,
        at: SocketAddr,
    ) -> Result<Self> {
        let waited = wait::until(&format!("{} to listen on {at}", self.name), || {
            if let Some(status) = self.child.try_wait().context("looking after a program")? {
                bail!("{} ended with {status}", self.name);
            }
            host.run(|| listens(at))
        });
        match waited {
            Ok(()) => Ok(self),
            Err(error) => Err(error.context(format!("it said:\n{}", self.said()))),
        }
    }

    /// What it has said until now.
    pub(in crate::laboratory) fn said(&self) -> String {
        let said = fs::read(self.folder.path(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Its folder.
    pub(in crate::laboratory) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Says something to its standard input.
    ///
    /// # Errors
    /// If it does not listen any more.
    pub(in crate::laboratory) fn tell(&mut self, words: &[u8]) -> Result<()> {
        let input = self.child.stdin.as_mut().context("its input is closed")?;
        input.write_all(words).with_context(|| format!("telling {} something", self.name))
    }

    /// Ends its standard input.
    pub(in crate::laboratory) fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Sends a signal to it and to all that it has started.
    ///
    /// # Errors
    /// If it is no more.
    pub(in crate::laboratory) fn signal(&self, signal: Signal) -> Result<()> {
        killpg(Pid::from_raw(self.child.id() as i32), signal)
            .with_context(|| format!("sending {signal} to {}", self.name))
    }

    /// Kills it with SIGKILL and waits until it is no more.
    ///
    /// # Errors
    /// If it was no more before.
    pub(in crate::laboratory) fn kill(mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.wait().map(drop)
    }

    /// Halts it until [`carry_on`](Self::carry_on): what arrives meanwhile, its kernel keeps.
    ///
    /// # Errors
    /// If it is no more.
    pub(in crate::laboratory) fn halt(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        // The signal is on its way; only when every thread has stopped does it count.
        let path = format!("/proc/{}/stat", self.child.id());
        wait::until(&format!("{} to halt", self.name), || {
            let stat = fs::read_to_string(&path).context("looking after a program")?;
            // The state follows the name, which is in parentheses.
            Ok(stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')))
        })
    }

    /// Lets it go on after [`halt`](Self::halt).
    ///
    /// # Errors
    /// If it is no more.
    pub(in crate::laboratory) fn carry_on(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// If it does not in time.
    pub(in crate::laboratory) fn wait(&mut self) -> Result<ExitStatus> {
        let mut ended = None;
        wait::until(&format!("{} to end", self.name), || {
            ended = self.child.try_wait().context("looking after a program")?;
            Ok(ended.is_some())
        })?;
        ended.context("a program that has ended has no status")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // What it has started may outlive it: the group is told in any case, unless it is empty.
        self.signal(Signal::SIGKILL).ok();
        self.child.wait().ok();
    }
}

/// Whether somebody listens at an address of the calling thread's namespace.
fn listens(at: SocketAddr) -> Result<bool> {
    const LISTEN: &str = "0A";
    let is_it = |[local, _, state]: [&str; 3]| state == LISTEN && has_port(local, at);
    Ok(sockets_of(at)?.lines().filter_map(columns).any(is_it))
}

/// Whether the server's host, on which the calling thread runs, has a socket of that connection.
///
/// # Errors
/// If the kernel does not say.
pub(in crate::laboratory) fn has_socket(connection: &Connection) -> Result<bool> {
    let (ours, theirs) = (connection.server, connection.client);
    let is_it = |[local, remote, _]: [&str; 3]| has_port(local, ours) && has_port(remote, theirs);
    Ok(sockets_of(ours)?.lines().filter_map(columns).any(is_it))
}

/// The kernel's table of TCP sockets of that family.
fn sockets_of(family: SocketAddr) -> Result<String> {
    let table = if family.is_ipv4() { "tcp" } else { "tcp6" };
    fs::read_to_string(format!("/proc/thread-self/net/{table}")).context("reading the sockets")
}

/// Local address, remote address and state of a line of that table.
fn columns(line: &str) -> Option<[&str; 3]> {
    let mut columns = line.split_whitespace().skip(1);
    Some([columns.next()?, columns.next()?, columns.next()?])
}

/// Ports of scenarios and of clients are unique enough; addresses there are words in hex.
fn has_port(shown: &str, address: SocketAddr) -> bool {
    shown.ends_with(&format!(":{:04X}", address.port()))
}
