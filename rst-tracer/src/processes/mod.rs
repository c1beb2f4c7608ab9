//! The processes of this host behind its sockets.
//!
//! In: what the kernel says about sockets, and what `/proc` and sock_diag say about those that were
//! there before. Out: the process that a reset belongs to, or none: never the task that merely
//! happened to run. Reading happens when the kernel speaks, not when the verdict goes out: a process
//! may end meanwhile.

mod cgroup;
mod container;
mod diag;
mod holders;
mod listeners;
mod proc;
mod snapshot;
#[cfg(test)]
mod tests;
mod who;

use std::collections::HashMap;

use rst_tracer_common::{
    notice::{Point, Task},
    wire::Endpoint,
};

use self::{
    holders::Holders,
    listeners::{Listener, Listeners},
};
use crate::{
    clock,
    correlate::{Bounded, Joined},
    event::{KnownBy, Process},
    source::Notice,
};

/// Connections from before the start that are remembered at most.
const MOST_OLD: usize = 1 << 16;
/// Descriptors of a likely holder that are looked at while the kernel waits.
const MOST_AT_ONCE: usize = 1024;
/// Likely holders that are looked at.
const CANDIDATES: usize = 16;
/// Processes that were looked at, and how long what was seen holds.
const MOST_LOOKS: usize = 1024;
const LOOK_NS: u64 = 1_000_000_000;
/// How long after its end a listener's process still is the answer.
const JUST_ENDED_NS: u64 = 1_000_000_000;

/// The `entity_id` of this process.
pub fn own_entity_id() -> Option<String> {
    proc::look(std::process::id(), KnownBy::SocketOwner)?.entity_id
}

/// What is known about the processes of this host.
pub struct Processes {
    netns: u32,
    listeners: Listeners,
    holders: Holders,
    /// Inodes of connections from before the start: by namespace, own end and other end.
    old: HashMap<(u32, Endpoint, Endpoint), u64>,
    /// The kernel's process ids are those of `/proc`.
    speaks_our_ids: bool,
    /// By process id.
    looks: Bounded<u32, Look>,
    /// Network namespaces that could not be looked into at the start.
    pub unseen: usize,
}

impl Processes {
    /// Begins with what was seen, and goes on as a reader of `/proc`.
    pub fn start(Seen { netns, snapshot }: Seen) -> Self {
        let mut processes = Self {
            netns,
            listeners: Listeners::default(),
            holders: Holders::start(),
            old: HashMap::new(),
            speaks_our_ids: proc::is_initial(),
            looks: Bounded::new(MOST_LOOKS),
            unseen: snapshot.unseen,
        };
        let now_ns = clock::monotonic_ns();
        for (netns, sockets) in snapshot.sockets {
            for socket in sockets {
                processes.learn(netns, &socket, now_ns);
            }
        }
        processes
    }

    fn learn(&mut self, netns: u32, socket: &diag::Socket, now_ns: u64) {
        if socket.is_listener {
            let process = self.holders.of(socket.inode);
            let listener = Listener {
                address: socket.local.address,
                v6_only: socket.v6_only,
                inode: socket.inode,
                process,
                since_ns: now_ns,
                closed_ns: None,
            };
            self.listeners.open(netns, socket.local.port, listener);
        } else if socket.inode != 0 && self.old.len() < MOST_OLD {
            self.old.insert((netns, socket.local, socket.remote), socket.inode);
        }
    }

    /// Takes in what the kernel says; back comes the process that a statement about a reset is
    /// about, as far as it can be told at once.
    pub fn told(&mut self, notice: &Notice) -> Option<Process> {
        let said = &notice.wire;
        match said.point {
            Point::LISTENER => {
                self.hear_listener(notice);
                None
            }
            Point::SEND_RESET => {
                let closer = who::closer(notice).filter(|_| self.speaks_our_ids);
                let closer =
                    closer.map(|task| self.describe(task, KnownBy::ActiveClose, said.time_ns));
                closer.or_else(|| self.holder(notice, said.src))
            }
            Point::RECEIVE_RESET => self.holder(notice, said.dst),
            _ => None,
        }
    }

    fn hear_listener(&mut self, notice: &Notice) {
        let said = &notice.wire;
        if !notice.is_in("LISTEN") {
            self.listeners.close(said.netns, said.src, said.inode, said.time_ns);
            return;
        }
        // The state changes inside listen(2): the task is the one that calls it.
        let task = who::owner(notice).unwrap_or(&said.task);
        let process = (task.pid != 0 && self.speaks_our_ids)
            .then(|| self.describe(task, KnownBy::Listener, said.time_ns));
        let listener = Listener {
            address: said.src.address,
            v6_only: false,
            inode: said.inode,
            process,
            since_ns: said.time_ns,
            closed_ns: None,
        };
        self.listeners.open(said.netns, said.src.port, listener);
    }

    /// Who holds the socket of a statement, whose own end is `end`.
    fn holder(&mut self, notice: &Notice, end: Endpoint) -> Option<Process> {
        let said = &notice.wire;
        let known_by =
            if notice.is_in("LISTEN") { KnownBy::Listener } else { KnownBy::SocketOwner };
        let opener = who::owner(notice).filter(|_| self.speaks_our_ids);
        if let Some(task) = opener
            && self.look(task.pid, said.time_ns).living.is_some()
        {
            return Some(self.describe(task, known_by, said.time_ns));
        }
        // Who opened it has ended, or was not seen: perhaps a child has it now.
        let held = if said.inode == 0 { None } else { self.find(said.inode, said.netns, end) };
        let held = held.map(|process| Process { known_by, ..process });
        held.or_else(|| opener.map(|task| self.describe(task, known_by, said.time_ns)))
    }

    /// A process as `/proc` has it, if it still is the one that existed at that time.
    fn look(&mut self, pid: u32, at_ns: u64) -> &mut Look {
        let unseen = || Look { at_ns: 0, living: None };
        let look = self.looks.at(pid, unseen);
        if at_ns.saturating_sub(look.at_ns) > LOOK_NS || look.at_ns == 0 {
            let living = proc::Living::now(pid).filter(|living| living.existed(at_ns));
            *look = Look { at_ns, living };
        }
        look
    }

    /// A task as the kernel knew it, and as `/proc` tells more of it.
    fn describe(&mut self, task: &Task, known_by: KnownBy, at_ns: u64) -> Process {
        let by_id = || (task.cgroup != 0).then(|| cgroup::by_id(task.cgroup)).flatten();
        let uid = Some(task.uid);
        match &mut self.look(task.pid, at_ns).living {
            // Its name is that of the process; the task may be a thread with another one.
            Some(living) => {
                if !living.is_placed() {
                    living.place(by_id());
                }
                living.as_owner(known_by, uid)
            }
            None => {
                let process = proc::bare(task.pid, proc::text(&task.comm), by_id());
                Process { known_by, uid, ..process }
            }
        }
    }

    /// Who holds the socket with this inode. If nobody likely does, all processes are read, and the
    /// answer is there when the reset goes out.
    fn find(&self, inode: u64, netns: u32, end: Endpoint) -> Option<Process> {
        if let Some(process) = self.holders.of(inode) {
            return Some(process);
        }
        let listener = self.listeners.at(netns, end, 0).and_then(|one| one.process.as_ref());
        let parent = listener.map(|process| process.pid);
        let likely = parent.into_iter().chain(parent.map(proc::children).unwrap_or_default());
        for pid in likely.take(CANDIDATES) {
            if proc::sockets(pid, MOST_AT_ONCE).any(|held| held == inode)
                && let Some(process) = proc::look(pid, KnownBy::SocketOwner)
            {
                self.holders.note(inode, &process);
                return Some(process);
            }
        }
        self.holders.want();
        None
    }

    /// Adds what is known about a reset that goes out: whether a listener is at one of its ends, and
    /// the process, unless the kernel named it.
    pub fn complete(&self, joined: &mut Joined) {
        let head = &joined.reset.rst.head;
        let (src, dst, now) = (head.segment.src, head.segment.dst, head.time_ns);
        let [src_in, dst_in] = joined.namespaces(self.netns);
        let listener = |netns: Option<u32>, end| self.listeners.at(netns?, end, now);
        let (at_src, at_dst) = (listener(src_in, src), listener(dst_in, dst));
        joined.listens = match (at_src, at_dst) {
            (Some(_), None) => Some(true),
            (None, Some(_)) => Some(false),
            _ => None,
        };
        if joined.process.is_some() {
            return;
        }
        let said = &joined.testimony;
        let inode =
            |notice: &Option<Box<Notice>>| notice.as_ref().map_or(0, |said| said.wire.inode);
        // Whoever was seen to begin is not from before the start, though its ports may be.
        let is_old = joined.reset.flow.as_ref().is_none_or(|flow| flow.hot.opener().is_none());
        let ends = [
            (src_in, src, dst, inode(&said.sent), at_src),
            (dst_in, dst, src, inode(&said.received), at_dst),
        ];
        joined.process = ends.into_iter().find_map(|(netns, own, other, inode, listener)| {
            let old = || self.old.get(&(netns?, own, other)).copied().filter(|_| is_old);
            let inode = Some(inode).filter(|&inode| inode != 0).or_else(old);
            let holder = inode.and_then(|inode| self.holders.of(inode));
            holder.or_else(|| self.of_listener(listener?, now))
        });
    }

    /// The process of a listener: who called listen(2) if it lives, else who has the socket now.
    fn of_listener(&self, listener: &Listener, now: u64) -> Option<Process> {
        let known_by = KnownBy::Listener;
        let named = listener.process.as_ref();
        let lives = named.is_some_and(|process| proc::existed(process.pid, listener.since_ns));
        let just_ended = listener.closed_ns.is_some_and(|then| now.abs_diff(then) <= JUST_ENDED_NS);
        let found = if lives && listener.closed_ns.is_none() || just_ended {
            named.cloned()
        } else if listener.closed_ns.is_none() {
            self.holders.of(listener.inode)
        } else {
            None
        };
        found.map(|process| Process { known_by, ..process })
    }
}

/// The sockets that were there at a moment. Only CAP_SYS_ADMIN sees those of other network namespaces; what comes
/// after needs less.
pub struct Seen {
    netns: u32,
    snapshot: snapshot::Snapshot,
}

impl Seen {
    /// Looks at what is there now, in the calling thread's network namespace, which is `netns`; in
    /// `all` others too.
    pub fn now(netns: u32, all: bool) -> Self {
        Self { netns, snapshot: snapshot::take(netns, all) }
    }
}

/// What `/proc` told about a process a moment ago.
struct Look {
    at_ns: u64,
    /// `None`: it had ended.
    living: Option<proc::Living>,
}
