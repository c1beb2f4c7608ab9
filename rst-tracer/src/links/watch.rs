//! Tells when interfaces appear, change or vanish.
//!
//! Listens to the kernel's link group and compares with what is known, so that a burst of
//! identical notices is one change or none, and a lost notice is made good by listing again.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
};

use anyhow::{Context, Result};
use rtnetlink::sys::{Socket, SocketAddr};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    Link,
    inventory::{decode, enrich, inventory},
    netlink,
};

const RTNLGRP_LINK: u32 = 1;

/// What happened to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was created, or moved into this namespace.
    Appeared(Link),
    /// Something about it is different: name, up or down, master, MTU, XDP program, …
    Changed(Link),
    /// It was removed, or moved away. This is how it was last seen.
    Vanished(Link),
}

/// A running observation of the interfaces; made by [`watch`].
#[derive(Debug)]
pub struct Watch {
    socket: AsyncFd<Socket>,
    known: BTreeMap<u32, Link>,
    pending: VecDeque<Change>,
}

/// Starts to observe the calling thread's network namespace. What exists already is not
/// reported; [`Watch::known`] lists it.
///
/// # Errors
/// When netlink cannot be spoken.
///
/// # Panics
/// Outside a tokio runtime with I/O enabled.
pub fn watch() -> Result<Watch> {
    let cannot = "cannot watch the network interfaces";
    let mut socket = Socket::new(netlink::ROUTE).context(cannot)?;
    socket.bind(&SocketAddr::new(0, 0)).context(cannot)?;
    socket.add_membership(RTNLGRP_LINK).context(cannot)?;
    socket.set_non_blocking(true).context(cannot)?;
    // SAFETY: the `AsyncFd` owns the socket, which keeps its one open descriptor until dropped.
    let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }
        .map_err(io::Error::from)
        .context(cannot)?;
    // Listing after joining the group: what happens in between is seen twice, not missed.
    let known = inventory()?.into_iter().map(|link| (link.index, link)).collect();
    Ok(Watch { socket, known, pending: VecDeque::new() })
}

impl Watch {
    /// The interfaces as last seen, in order of index.
    pub fn known(&self) -> impl Iterator<Item = &Link> {
        self.known.values()
    }

    /// The next change. Cancel safe: a dropped future loses nothing.
    ///
    /// # Errors
    /// When the socket fails for another reason than having missed notices.
    pub async fn next(&mut self) -> Result<Change> {
        loop {
            if let Some(change) = self.pending.pop_front() {
                return Ok(change);
            }
            let mut ready = self.socket.readable().await?;
            match ready.try_io(|socket| socket.get_ref().recv_from_full()) {
                Err(_would_block) => {}
                Ok(Ok((datagram, _))) => self.take_in(&datagram),
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => self.relist()?,
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error).context("cannot read interface changes"),
            }
        }
    }

    fn take_in(&mut self, datagram: &[u8]) {
        for message in netlink::split(datagram) {
            match (message.kind, decode(message.body)) {
                (libc::RTM_NEWLINK, Some(link)) => self.learn(link),
                (libc::RTM_DELLINK, Some(link)) => self.forget(link.index),
                _ => {}
            }
        }
    }

    fn learn(&mut self, mut link: Link) {
        enrich(&mut link);
        match self.known.insert(link.index, link.clone()) {
            None => self.pending.push_back(Change::Appeared(link)),
            Some(before) if before != link => self.pending.push_back(Change::Changed(link)),
            Some(_) => {}
        }
    }

    fn forget(&mut self, index: u32) {
        self.pending.extend(self.known.remove(&index).map(Change::Vanished));
    }

    /// The kernel dropped notices because nobody read them in time.
    fn relist(&mut self) -> Result<()> {
        let now = inventory()?;
        let gone = |index: &u32| !now.iter().any(|link| link.index == *index);
        let vanished: Vec<u32> = self.known.keys().copied().filter(gone).collect();
        vanished.into_iter().for_each(|index| self.forget(index));
        now.into_iter().for_each(|link| self.learn(link));
        Ok(())
    }
}
