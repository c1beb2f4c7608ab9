//! The sockets that were there before the tracer.
//!
//! In: the tracer's network namespace, and whether the others of this host count too. Out: every TCP
//! socket, with the namespace that it is in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    thread,
};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};

use super::{
    diag::{self, Socket},
    proc,
};

/// Namespaces that are looked into at most.
const MOST: usize = 256;

/// The sockets of each network namespace, and how many namespaces could not be looked into.
pub(super) struct Snapshot {
    pub(super) sockets: Vec<(u32, Vec<Socket>)>,
    pub(super) unseen: usize,
}

/// Looks into the own namespace and, if wanted, into all others in which a process stands.
pub(super) fn take(own: u32, all: bool) -> Snapshot {
    let mut snapshot = Snapshot { sockets: Vec::new(), unseen: 0 };
    match diag::dump() {
        Ok(sockets) => snapshot.sockets.push((own, sockets)),
        Err(error) => {
            log::debug!("{error:#}");
            snapshot.unseen += 1;
        }
    }
    if !all {
        return snapshot;
    }
    for (netns, pid) in others(own) {
        match snapshot.sockets.len() < MOST {
            true => match dump_in(pid) {
                Ok(sockets) => snapshot.sockets.push((netns, sockets)),
                Err(error) => {
                    log::debug!("network namespace {netns}: {error:#}");
                    snapshot.unseen += 1;
                }
            },
            false => snapshot.unseen += 1,
        }
    }
    snapshot
}

/// A process in each other namespace.
fn others(own: u32) -> BTreeMap<u32, u32> {
    let mut others = BTreeMap::new();
    let pids: BTreeSet<u32> = proc::pids().collect();
    for pid in pids {
        if let Some(netns) = proc::netns(pid).filter(|&netns| netns != own) {
            others.entry(netns).or_insert(pid);
        }
    }
    others
}

/// The sockets of the namespace of a process, read by a thread that goes there and ends.
fn dump_in(pid: u32) -> Result<Vec<Socket>> {
    let path = format!("/proc/{pid}/ns/net");
    let netns = File::open(&path).with_context(|| format!("opening {path}"))?;
    let visitor = thread::Builder::new().name("snapshot".into()).spawn(move || {
        setns(netns, CloneFlags::CLONE_NEWNET).context("entering it")?;
        diag::dump()
    })?;
    visitor.join().map_err(|_| anyhow::anyhow!("the visitor panicked"))?
}
