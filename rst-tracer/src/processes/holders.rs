//! Which process holds a socket, by its inode.
//!
//! In: an inode. Out: the process that had it when `/proc` was read last, even if it has ended since.
//! A whole reading takes long on a big host: a thread of its own does it, when it is wanted, and at
//! most a twentieth of the time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use super::proc;
use crate::event::{KnownBy, Process};

/// Sockets that are remembered of one reading at most.
const MOST: usize = 1 << 17;
/// Descriptors of one process that are looked at.
const MOST_OF_ONE: usize = 1 << 16;
/// The pause after a reading, at least.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause in times of what the reading took.
const PAUSES: u32 = 20;

type Held = HashMap<u64, Arc<Process>>;

/// The last two readings, the newer first: who has just ended is in the other.
#[derive(Default)]
struct Known([Held; 2]);

/// Who holds which socket.
pub(super) struct Holders {
    known: Arc<Mutex<Known>>,
    wish: Option<SyncSender<()>>,
}

impl Holders {
    /// Reads `/proc` once, and again whenever it is wanted.
    pub(super) fn start() -> Self {
        let known = Arc::new(Mutex::new(Known([read(), Held::new()])));
        let (wish, wishes) = sync_channel::<()>(1);
        let shared = Arc::clone(&known);
        let reader = thread::Builder::new().name("holders".into()).spawn(move || {
            while wishes.recv().is_ok() {
                let began = Instant::now();
                let now = read();
                let before = std::mem::replace(&mut lock(&shared).0[0], now);
                lock(&shared).0[1] = before;
                thread::sleep(PAUSE.max(began.elapsed() * PAUSES));
            }
        });
        // Without the thread what was read at the start is all that is known.
        let wish = reader.is_ok().then_some(wish);
        Self { known, wish }
    }

    /// The process that holds a socket, as far as is known.
    pub(super) fn of(&self, inode: u64) -> Option<Process> {
        let known = lock(&self.known);
        let found = known.0.iter().find_map(|held| held.get(&inode));
        found.map(|process| Process::clone(process))
    }

    /// Notes who holds a socket.
    pub(super) fn note(&self, inode: u64, process: &Process) {
        let held = &mut lock(&self.known).0[0];
        if held.len() < MOST {
            held.insert(inode, Arc::new(process.clone()));
        }
    }

    /// Asks for another reading; the answer is known later.
    pub(super) fn want(&self) {
        if let Some(wish) = &self.wish {
            // A full channel holds the same wish.
            wish.try_send(()).ok();
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads who holds what. Of several that share a socket, the one with the lowest id is the parent.
fn read() -> Held {
    let mut held = Held::new();
    let mut pids: Vec<u32> = proc::pids().collect();
    pids.sort_unstable();
    for pid in pids {
        let mut process = None;
        for inode in proc::sockets(pid, MOST_OF_ONE) {
            if held.len() >= MOST {
                return held;
            }
            if process.is_none() {
                process = proc::look(pid, KnownBy::SocketOwner).map(Arc::new);
            }
            let Some(process) = &process else { break };
            held.entry(inode).or_insert_with(|| Arc::clone(process));
        }
    }
    held
}
