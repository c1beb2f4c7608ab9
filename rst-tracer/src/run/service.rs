//! What a service manager is told: that tracing goes on, that it lives, that it reloads, that it stops.
//!
//! sd_notify(3). Without `NOTIFY_SOCKET` in the environment nobody listens, and nothing is said.
//!
//! The words and the watchdog are the library's; the way there is not, for it takes `@…`, a name in the abstract namespace,
//! for a file.

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::{Duration, Instant},
};

use sd_notify::NotifyState;

/// How often the numbers are said.
const STATUS: Duration = Duration::from_secs(10);

/// The manager of this service, if there is one.
pub(super) struct Service {
    manager: Option<Manager>,
    /// How often it is to hear that the tracer lives: twice as often as it wants to.
    beat: Option<Duration>,
    next_beat: Instant,
    next_status: Instant,
}

impl Service {
    /// Finds the manager in the environment.
    pub(super) fn find() -> Self {
        let now = Instant::now();
        Self {
            manager: env::var_os("NOTIFY_SOCKET").and_then(|name| match Manager::at(&name) {
                Ok(manager) => Some(manager),
                Err(error) => {
                    log::warn!("NOTIFY_SOCKET {}: {error}; nothing is told", name.display());
                    None
                }
            }),
            beat: sd_notify::watchdog_enabled().map(|patience| patience / 2),
            next_beat: now,
            next_status: now,
        }
    }

    /// Whether somebody listens.
    pub(super) fn is_there(&self) -> bool {
        self.manager.is_some()
    }

    /// Everything is attached, or reloaded.
    pub(super) fn ready(&self) {
        self.say(&[NotifyState::Ready]);
    }

    /// Says that the tracer lives, and the numbers, when it is time to.
    pub(super) fn beat(&mut self, numbers: impl FnOnce() -> String) {
        if !self.is_there() {
            return;
        }
        let now = Instant::now();
        if let Some(every) = self.beat.filter(|_| now >= self.next_beat) {
            self.next_beat = now + every;
            self.say(&[NotifyState::Watchdog]);
        }
        if now >= self.next_status {
            self.next_status = now + STATUS;
            self.say(&[NotifyState::Status(&numbers())]);
        }
    }

    /// When it is to hear that the tracer lives, at the latest.
    pub(super) fn next_beat(&self) -> Option<Instant> {
        self.beat.filter(|_| self.is_there()).map(|_| self.next_beat)
    }

    /// It reloads; `ready` ends that. The time tells the manager which of its requests this answers.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.say(&[NotifyState::Reloading, now]),
            Err(error) => log::warn!("no time to tell the service manager: {error}"),
        }
    }

    /// It was asked to stop, and does.
    pub(super) fn stopping(&self) {
        self.say(&[NotifyState::Stopping]);
    }

    fn say(&self, what: &[NotifyState<'_>]) {
        if let Some(manager) = &self.manager
            && let Err(error) = manager.hear(what)
        {
            log::warn!("the service manager does not listen: {error}");
        }
    }
}

/// Who listens. The socket is opened once: names in the abstract namespace are those of the network namespace in which it
/// was.
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Manager {
    /// At a path, or behind `@` at a name in the abstract namespace (unix(7)).
    fn at(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::other("neither a path nor @ and a name")),
        };
        Ok(Self { socket: UnixDatagram::unbound()?, address })
    }

    fn hear(&self, what: &[NotifyState<'_>]) -> io::Result<()> {
        let message: String = what.iter().map(|state| format!("{state}\n")).collect();
        self.socket.send_to_addr(message.as_bytes(), &self.address).map(drop)
    }
}
