//! Network namespaces that only file descriptors keep alive.
//!
//! No bind mount, no name under /run: when the process ends, however it ends, the kernel drops
//! the last descriptor and with it the interfaces, routes and nft tables of the namespace.

use std::fs::{self, File};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use anyhow::{Context, Error, Result};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};

use crate::exit::{Code, Failure};

/// The namespace of the *thread*: `/proc/self` would name that of the main thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace, alive as long as this value (or a socket or interface in use) is.
#[derive(Debug)]
pub struct Netns {
    name: String,
    file: File,
    inode: u64,
}

impl Netns {
    /// Makes an empty namespace. `name` is for people only: threads and errors carry it.
    ///
    /// # Errors
    /// Without CAP_SYS_ADMIN, or where the kernel has no network namespaces.
    pub fn new(name: &str) -> Result<Self> {
        let made = on_thread(name, || {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| refusal("make", errno))?;
            Self::open(name, OWN)
        });
        made.with_context(|| format!("making the network namespace of the {name}"))
    }

    /// Takes hold of the existing namespace behind `path`, such as `/proc/1/ns/net`.
    ///
    /// # Errors
    /// If `path` cannot be opened.
    pub fn open(name: &str, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let inode = file.metadata().with_context(|| format!("asking {}", path.display()))?.ino();
        Ok(Self { name: name.to_owned(), file, inode })
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The descriptor that keeps it alive, for setns(2) and IFLA_NET_NS_FD.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The inode number by which tools (`lsns`, `/proc/PID/ns/net`) tell namespaces apart.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Runs `work` on a thread of its own inside the namespace and waits for it.
    ///
    /// Sockets made inside stay in the namespace and remain usable outside. The thread bears the
    /// name of the namespace, which is what `comm` shows for whatever the work does.
    ///
    /// # Errors
    /// If the namespace cannot be entered, and whatever `work` returns.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> Result<R> + Send) -> Result<R> {
        on_thread(&self.name, || {
            setns(self.fd(), CloneFlags::CLONE_NEWNET)
                .map_err(|errno| refusal("enter", errno))
                .with_context(|| format!("entering the namespace of the {}", self.name))?;
            work()
        })
    }

    /// Moves the calling thread into the namespace until the guard is dropped.
    ///
    /// # Errors
    /// If the thread's own namespace cannot be opened or this one cannot be entered.
    pub fn enter(&self) -> Result<Entered> {
        let home = File::open(OWN).with_context(|| format!("opening {OWN}"))?;
        setns(self.fd(), CloneFlags::CLONE_NEWNET)
            .map_err(|errno| refusal("enter", errno))
            .with_context(|| format!("entering the namespace of the {}", self.name))?;
        Ok(Entered { home, _this_thread_only: PhantomData })
    }

    /// What a network sysctl of this namespace says.
    ///
    /// # Errors
    /// If this kernel does not have the sysctl.
    pub fn sysctl(&self, key: &str) -> Result<String> {
        self.run(|| {
            let path = format!("/proc/sys/{key}");
            let value = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
            Ok(value.trim().to_owned())
        })
    }

    /// Writes a network sysctl of this namespace, such as `net/ipv4/ip_forward`.
    ///
    /// `/proc/sys/net` shows the namespace of the task that looks at it (`net_ctl_root` in the
    /// kernel's net/sysctl_net.c), so the write happens on a thread inside.
    ///
    /// # Errors
    /// If this kernel does not have the sysctl or refuses the value.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.run(|| {
            let path = format!("/proc/sys/{key}");
            fs::write(&path, value).with_context(|| format!("writing {value} to {path}"))
        })
    }
}

/// The calling thread is inside a namespace; dropping this takes it back.
///
/// # Panics
/// Dropping panics if the kernel does not let the thread go back (it has given up CAP_SYS_ADMIN
/// meanwhile): to go on in the wrong network would be worse.
#[derive(Debug)]
pub struct Entered {
    home: File,
    /// A namespace belongs to a thread, so the guard must not wander to another.
    _this_thread_only: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Err(errno) = setns(&self.home, CloneFlags::CLONE_NEWNET) {
            let lost = format!("cannot return to the thread's own network namespace: {errno}");
            if thread::panicking() {
                log::error!("{lost}");
            } else {
                panic!("{lost}");
            }
        }
    }
}

/// Runs `work` on a new thread called `name`; a panic in it is the caller's panic.
fn on_thread<R: Send>(name: &str, work: impl FnOnce() -> Result<R> + Send) -> Result<R> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work);
        thread.context("starting a thread")?.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Why the kernel does not let us make or enter a namespace, and what helps.
fn refusal(verb: &str, errno: Errno) -> Error {
    match errno {
        Errno::EPERM => Failure::new(
            Code::NO_PERMISSION,
            format!("no permission to {verb} a network namespace: run as root (CAP_SYS_ADMIN)"),
        )
        .into(),
        Errno::EINVAL => Failure::new(
            Code::UNAVAILABLE,
            format!("cannot {verb} a network namespace: this kernel has none (CONFIG_NET_NS)"),
        )
        .into(),
        other => Error::new(other).context(format!("cannot {verb} a network namespace")),
    }
}
