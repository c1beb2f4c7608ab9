//! Answers scrapers, a few at the same time, on threads of its own.
//!
//! Whoever connects may be slow or hostile: a connection has a deadline, a request a longest length, and the
//! threads come after the tracing when there is too little CPU for both.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    Metrics,
    confine::confine,
    http::{self, LONGEST_REQUEST, Response},
};

/// So many clients are attended to at the same time; while all of them take their time, others wait.
const AT_ONCE: u32 = 8;
/// How long a client may take to ask.
const TO_ASK: Duration = Duration::from_secs(1);
/// How long it may take to hear the answer.
const TO_HEAR: Duration = Duration::from_secs(5);
/// How long it may take to hang up.
const TO_LEAVE: Duration = Duration::from_secs(1);
/// What a client has sent beyond its request is read to this length, so that closing is no reset.
const LONGEST_REST: u64 = 1 << 20;
/// How long nobody is accepted after that failed: there may be no descriptors left.
const AFTER_FAILURE: Duration = Duration::from_millis(100);
/// How long a thread accepts nobody after a client: a hundred scrapes a second are enough for everybody.
const BETWEEN_CLIENTS: Duration = Duration::from_millis(10 * AT_ONCE as u64);
/// How much the threads stand back.
const NICE: i32 = 10;

/// A socket on which metrics will be served. Until then, whoever connects waits.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes the address.
    ///
    /// # Errors
    /// When it is taken, or not this host's.
    pub fn bind(address: SocketAddr) -> Result<Self> {
        let cannot = || format!("cannot serve metrics at {address}");
        let listener = TcpListener::bind(address).with_context(cannot)?;
        let address = listener.local_addr().with_context(cannot)?;
        Ok(Self { listener, address })
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn serve(self, metrics: Arc<Metrics>) -> Result<()> {
        let listener = Arc::new(self.listener);
        for _ in 0..AT_ONCE {
            let (listener, metrics) = (Arc::clone(&listener), Arc::clone(&metrics));
            let thread = thread::Builder::new().name("metrics".into());
            thread
                .spawn(move || attend_all(&listener, &metrics))
                .context("cannot start the threads that serve metrics")?;
        }
        Ok(())
    }
}

/// Attends to one client after the other, beside the other threads that do.
fn attend_all(listener: &TcpListener, metrics: &Metrics) {
    // SAFETY: takes and returns numbers. On Linux it is this thread's alone.
    unsafe { libc::nice(NICE) };
    match confine() {
        Ok(confined) => log::debug!("a thread that serves metrics: {confined:?}"),
        Err(error) => log::warn!("a thread that serves metrics is not confined: {error:#}"),
    }
    loop {
        match listener.accept() {
            Ok((client, _)) => {
                if let Err(error) = attend(client, metrics) {
                    log::debug!("a client of the metrics: {error}");
                }
                thread::sleep(BETWEEN_CLIENTS);
            }
            Err(error) => {
                log::debug!("no client of the metrics is accepted: {error}");
                thread::sleep(AFTER_FAILURE);
            }
        }
    }
}

/// Hears a client, answers and hangs up.
fn attend(mut client: TcpStream, metrics: &Metrics) -> io::Result<()> {
    let response = match hear(&mut client, Instant::now() + TO_ASK)? {
        Heard::Request(request) => http::answer(&request, metrics),
        Heard::TooMuch => Response::too_long(),
        Heard::TooLittle => Response::too_slow(),
        Heard::Nothing => return Ok(()),
    };
    say(&mut client, &response.to_bytes(), Instant::now() + TO_HEAR)?;
    client.shutdown(Shutdown::Write)?;
    let rest = Until { client: &client, end: Instant::now() + TO_LEAVE };
    io::copy(&mut rest.take(LONGEST_REST), &mut io::sink())?;
    Ok(())
}

/// What a client said.
enum Heard {
    /// All headers.
    Request(Vec<u8>),
    /// More than is read.
    TooMuch,
    /// A part, and then it took too long.
    TooLittle,
    /// Nothing, and hung up or took too long.
    Nothing,
}

fn hear(client: &mut TcpStream, end: Instant) -> io::Result<Heard> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    let mut client = Until { client, end };
    loop {
        let length = match client.read(&mut part) {
            Ok(length) => length,
            Err(error) if is_timeout(&error) => {
                return Ok(if request.is_empty() { Heard::Nothing } else { Heard::TooLittle });
            }
            Err(error) => return Err(error),
        };
        request.extend_from_slice(&part[..length]);
        if http::is_whole(&request) {
            return Ok(Heard::Request(request));
        }
        if request.len() > LONGEST_REQUEST {
            return Ok(Heard::TooMuch);
        }
        if length == 0 {
            return Ok(if request.is_empty() { Heard::Nothing } else { Heard::Request(request) });
        }
    }
}

fn say(client: &mut TcpStream, mut bytes: &[u8], end: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        client.set_write_timeout(Some(left(end)?))?;
        match client.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A client that is read until a point in time, however little it sends at once.
struct Until<'a> {
    client: &'a TcpStream,
    end: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.client.set_read_timeout(Some(left(self.end)?))?;
        self.client.read(buffer)
    }
}

/// The time until `end`, if there is any.
fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
