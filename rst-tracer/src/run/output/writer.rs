//! The thread that writes to one place, and waits for it instead of those who trace.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open},
    sys::stat::Mode,
};

use super::queue::{Chunk, Ending, Queue, Work};
use crate::run::tell;

/// How often it is looked whether a file was renamed: a HUP may have been missed.
const LOOK: Duration = Duration::from_secs(5);
/// Between two looks at an output that does not block.
const BREATH: Duration = Duration::from_millis(5);
/// Between two tries to write what could not be written.
const RETRY: Duration = Duration::from_millis(500);

/// Where a writer writes.
pub(super) enum Target {
    Stdout(File),
    /// `is_stuck`: the path names another file, which cannot be opened.
    File {
        path: PathBuf,
        file: File,
        is_stuck: bool,
    },
}

impl Target {
    /// Standard output, without a buffer that would hide what was written.
    ///
    /// # Errors
    /// When it is closed.
    pub(super) fn stdout() -> Result<Self> {
        let out = io::stdout().as_fd().try_clone_to_owned().context("standard output")?;
        Ok(Self::Stdout(out.into()))
    }

    /// Opens a file at its end; it is made if it is not there.
    ///
    /// # Errors
    /// Names the file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let is_pipe = fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
        let file = match is_pipe.then(|| pipe_with_reader(path)) {
            Some(Ok(file)) => file,
            Some(Err(Errno::ENXIO)) => {
                tell(format_args!("{}: a pipe; waiting for its reader", path.display()));
                append_to(path)?
            }
            _ => append_to(path)?,
        };
        Ok(Self::File { path: path.into(), file, is_stuck: false })
    }

    /// Whether what the path names is another file by now, or none.
    fn was_renamed(&self) -> bool {
        let Self::File { path, file, .. } = self else { return false };
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let is_plain = |metadata: &fs::Metadata| metadata.is_file();
        let Some(open) = file.metadata().ok().filter(is_plain) else { return false };
        fs::metadata(path).ok().map(identity) != Some(identity(open))
    }

    /// Opens the file anew if the path names another one by now; whether it does. If that fails, the one that is open is
    /// good enough. One that is still the same needs no opening, which another user than the first may not be allowed.
    fn follow(&mut self) -> bool {
        if !self.was_renamed() {
            return false;
        }
        let Self::File { path, file, is_stuck } = self else { return false };
        match append_to(path) {
            Ok(new) => (*file, *is_stuck) = (new, false),
            // It is tried again and again.
            Err(_) if *is_stuck => {}
            Err(error) => {
                *is_stuck = true;
                tell(format_args!("rst-tracer: {error:#}; going on with the file that is open"));
            }
        }
        true
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(file) | Self::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Mode 0640: who is in the group may read.
fn append_to(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    options.open(path).with_context(|| format!("cannot open {} for appending", path.display()))
}

/// Opens a pipe that is being read; without a reader that is `ENXIO`. Who closed it after a look and opened it again
/// would have told the reader that this was all.
fn pipe_with_reader(path: &Path) -> Result<File, Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CLOEXEC;
    let file = open(path, flags | OFlag::O_NONBLOCK, Mode::empty())?;
    fcntl(&file, FcntlArg::F_SETFL(flags & OFlag::O_APPEND))?;
    Ok(file.into())
}

/// Writes what the queue holds until it ends.
pub(super) struct Writer {
    pub(super) name: String,
    pub(super) target: Target,
    pub(super) queue: Queue,
    /// Whether the last try failed, which is said once.
    pub(super) is_failing: bool,
}

impl Writer {
    /// Until the queue is closed and empty, or nobody reads any more.
    pub(super) fn run(mut self) {
        let mut looked = Instant::now();
        loop {
            let work = self.queue.next(LOOK);
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.target.follow();
            }
            match work {
                Work::Write(chunk) => {
                    if let Err(ending) = self.write(&chunk) {
                        return self.queue.give_up(ending);
                    }
                    self.queue.written(chunk.lines);
                }
                Work::Reopen => {
                    self.target.follow();
                }
                Work::Idle => {}
                Work::End => return,
            }
        }
    }

    /// Writes all of it. What cannot be written now is tried again, from the line at which it stopped where the file
    /// has become another one.
    fn write(&mut self, chunk: &Chunk) -> Result<(), Ending> {
        let mut rest = chunk.bytes.as_slice();
        while !rest.is_empty() {
            match self.target.write(rest) {
                Ok(0) => self.wait(&ErrorKind::WriteZero.into())?,
                Ok(taken) => {
                    rest = &rest[taken..];
                    self.succeeds();
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // Somebody made it non-blocking: a pipe that is shared with another program.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(BREATH);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    return Err(Ending::ReaderGone);
                }
                Err(error) => self.wait(&error)?,
            }
            if self.target.follow() {
                rest = &chunk.bytes[start_of_line(&chunk.bytes, chunk.bytes.len() - rest.len())..];
            }
        }
        Ok(())
    }

    /// Waits before another try, unless there is no time left for one.
    fn wait(&mut self, error: &io::Error) -> Result<(), Ending> {
        if !std::mem::replace(&mut self.is_failing, true) {
            let name = &self.name;
            tell(format_args!(
                "rst-tracer: cannot write the output {name}: {error}; its lines wait, and are counted where there is \
                 no more room"
            ));
        }
        if self.queue.wait(RETRY) { Ok(()) } else { Err(Ending::Failed(error.to_string())) }
    }

    fn succeeds(&mut self) {
        if std::mem::replace(&mut self.is_failing, false) {
            tell(format_args!("rst-tracer: the output {} can be written again", self.name));
        }
    }
}

/// Where the line begins in which `at` lies.
fn start_of_line(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1)
}
