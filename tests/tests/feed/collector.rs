//! A collector in the foreground, with the configuration that we ship.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rst_tracer_tests::capture::Folder;

use crate::{shipped, target};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Rsyslog,
    SyslogNg,
}

/// A collector's configuration and all that it needs to go on where it stopped.
pub(crate) struct Setup {
    kind: Kind,
    folder: Folder,
    /// What it reads.
    pub(crate) source: PathBuf,
    /// What it writes.
    pub(crate) collected: PathBuf,
}

impl Setup {
    /// With a configuration of `contrib` that reads `source`.
    pub(crate) fn new(kind: Kind, name: &str, source: &str) -> Self {
        let folder = Folder::new();
        let of = |name| folder.path(name);
        let (from, to) = (of("events.json"), of("collected.json"));
        let path = shipped(name);
        let mut text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (theirs, here) in [(source, &from), ("/var/log/collected/rst-tracer.json", &to)] {
            let (theirs, here) = (format!("\"{theirs}\""), format!("\"{}\"", here.display()));
            assert!(text.contains(&theirs), "{} speaks of {theirs}", path.display());
            text = text.replace(&theirs, &here);
        }
        let ours = folder.file("rst-tracer.conf", text.as_bytes());
        let work = of("work");
        fs::create_dir(&work).expect("a folder");
        let main = match kind {
            Kind::Rsyslog => {
                format!("global(workDirectory=\"{}\")\ninclude(file=\"{ours}\")\n", work.display())
            }
            Kind::SyslogNg => format!("@version: 3.38\n@include \"{ours}\"\n"),
        };
        folder.file("main.conf", main.as_bytes());
        Self { kind, folder, source: from, collected: to }
    }

    /// The path of a file of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// Starts it in the calling thread's network namespace.
    pub(crate) fn start(&self) -> Collector {
        let of = |name| self.folder.path(name);
        let mut command = match self.kind {
            Kind::Rsyslog => {
                let root = unpacked("rsyslog", "usr/sbin/rsyslogd");
                let mut command = Command::new(root.join("usr/sbin/rsyslogd"));
                command.arg("-n").arg("-f").arg(of("main.conf")).arg("-i").arg(of("pid"));
                if let Some(modules) = modules_of(&root, "rsyslog", "imfile.so") {
                    command.arg("-M").arg(modules);
                }
                command
            }
            Kind::SyslogNg => {
                let root = unpacked("syslog-ng-core", "usr/sbin/syslog-ng");
                let mut command = Command::new(root.join("usr/sbin/syslog-ng"));
                command.args(["--foreground", "--stderr", "--no-caps"]);
                command.arg("--cfgfile").arg(of("main.conf"));
                command.arg("--persist-file").arg(of("work/persist"));
                command.arg("--control").arg(of("control")).arg("--pidfile").arg(of("pid"));
                let libraries = root.join("usr/lib/syslog-ng");
                if let Some(modules) = modules_of(&root, "3.38", "libaffile.so") {
                    command.arg("--module-path").arg(modules).env("LD_LIBRARY_PATH", &libraries);
                }
                command
            }
        };
        let log = File::options().append(true).create(true).open(of("log")).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        Collector { child: command.spawn().expect("the collector starts"), log: of("log") }
    }
}

/// Where a package was unpacked; the root, where it is installed.
fn unpacked(package: &str, program: &str) -> PathBuf {
    let unpacked = target().join("packages").join(package);
    let roots = [unpacked, PathBuf::from("/")];
    let found = roots.into_iter().find(|root| root.join(program).is_file());
    found.unwrap_or_else(|| panic!("{package} is not there; `cargo xtask packages` unpacks it"))
}

/// The folder of the modules in a package that was unpacked; what is installed finds its own.
fn modules_of(root: &Path, name: &str, one: &str) -> Option<PathBuf> {
    let libraries = root.join("usr/lib");
    if !root.starts_with(target()) {
        return None;
    }
    // Some packages have a folder for the architecture.
    let below = fs::read_dir(&libraries).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders = below.flat_map(|folder| [folder.join(name), folder]);
    Some(folders.find(|folder| folder.join(one).is_file()).expect("modules in the package"))
}

/// One that runs; dropped, it is killed, and tells what it had to say if the test failed.
pub(crate) struct Collector {
    child: Child,
    log: PathBuf,
}

impl Collector {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("it lives");
    }

    /// Ends it as its service would be stopped.
    pub(crate) fn stop(mut self) {
        assert!(self.child.try_wait().expect("its child").is_none(), "it has ended by itself");
        self.signal(Signal::SIGTERM);
        self.child.wait().expect("it can be waited for");
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("the collector: {}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}
