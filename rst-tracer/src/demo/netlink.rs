//! Just enough netlink to build a network: requests with nested attributes, and their answers.
//!
//! One speaker serves rtnetlink (interfaces, addresses, routes), nf_tables and sock_diag.
//! Netlink is host byte order throughout; what a subsystem wants big-endian, its caller converts.

use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// `struct nlmsghdr`: length, type, flags, sequence, port.
const HEADER: usize = 16;
/// `struct nlattr`: length, type.
const ATTRIBUTE: usize = 4;
/// The attribute holds attributes (NLA_F_NESTED).
const NESTED: u16 = 1 << 15;
/// Create what is not there, and fail if it is.
pub const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
/// The kernel answers at once; it is given this long all the same.
const ANSWER_SECONDS: i64 = 10;

/// One request under construction.
#[derive(Clone, Debug)]
pub struct Message {
    what: &'static str,
    bytes: Vec<u8>,
}

impl Message {
    /// A request of this type and extra flags, after whose header `fixed` follows. `what`
    /// completes the sentence "the kernel refused to …".
    pub fn new(what: &'static str, kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | libc::NLM_F_REQUEST as u16).to_ne_bytes());
        bytes.extend_from_slice(fixed);
        let mut message = Self { what, bytes };
        message.pad();
        message
    }

    /// Appends an attribute.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.append(kind, value);
        self
    }

    /// Appends an attribute that is a string, with the zero byte the kernel expects.
    pub fn text(self, kind: u16, value: &str) -> Self {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Appends an attribute that holds what `fill` appends.
    pub fn nest(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.append(kind | NESTED, &[]);
        self = fill(self);
        self.set_length(start);
        self
    }

    /// Appends plain bytes: a fixed structure inside a nest.
    pub fn plain(mut self, value: &[u8]) -> Self {
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    fn append(&mut self, kind: u16, value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.set_length(start);
        self.pad();
    }

    /// Writes the length of the attribute at `start`, which reaches to the end.
    fn set_length(&mut self, start: usize) {
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ATTRIBUTE), 0);
    }

    fn seal(mut self, sequence: u32, flags: u16) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        let flags = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | flags;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// The kernel said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it was asked, as in "the kernel refused to …".
    pub what: &'static str,
    /// Its answer.
    pub errno: Errno,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel refused to {}: {}", self.what, self.errno)
    }
}

impl std::error::Error for Refusal {}

/// A netlink socket in the namespace of the thread that opened it.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket to one subsystem, in the calling thread's namespace.
    ///
    /// # Errors
    /// EPROTONOSUPPORT as a [`Refusal`] where the kernel lacks the subsystem.
    pub fn open(protocol: SockProtocol) -> Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)
            .map_err(|errno| Refusal { what: "open a netlink socket", errno })?;
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(ANSWER_SECONDS))
            .context("bounding the wait for netlink answers")?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Sends one request and waits for the kernel's word.
    ///
    /// # Errors
    /// A [`Refusal`], or the socket fails.
    pub fn ask(&mut self, message: Message) -> Result<()> {
        self.ask_framed(None, vec![message], None)
    }

    /// Sends `messages` in one datagram between two markers that are not acknowledged, as
    /// nf_tables wants its transactions, and waits for the kernel's word on each.
    ///
    /// # Errors
    /// A [`Refusal`] naming the first message refused, or the socket fails.
    pub fn ask_framed(
        &mut self,
        begin: Option<Message>,
        messages: Vec<Message>,
        end: Option<Message>,
    ) -> Result<()> {
        let mut asked = Vec::new();
        let mut datagram = Vec::new();
        let mut awaited = messages.len();
        let first = self.sequence.wrapping_add(1);
        let marked = |m: Message| (m, 0);
        let wanted = messages.into_iter().map(|m| (m, libc::NLM_F_ACK as u16));
        for (message, flags) in begin.map(marked).into_iter().chain(wanted).chain(end.map(marked)) {
            self.sequence = self.sequence.wrapping_add(1);
            asked.push(message.what);
            datagram.extend(message.seal(self.sequence, flags));
        }
        sendto(self.fd.as_raw_fd(), &datagram, &NetlinkAddr::new(0, 0), MsgFlags::empty())
            .context("sending a netlink request")?;
        while awaited > 0 {
            for (sequence, code) in self.answers()? {
                let Some(what) = asked.get(sequence.wrapping_sub(first) as usize) else { continue };
                if code != 0 {
                    return Err(Refusal { what, errno: Errno::from_raw(-code) }.into());
                }
                awaited = awaited.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// The next datagram's answers: sequence number and error code (0 or a negative errno).
    fn answers(&self) -> Result<Vec<(u32, i32)>> {
        let mut buffer = [0; 8192];
        let length = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())
            .context("waiting for the kernel's netlink answer")?;
        Ok(read_answers(&buffer[..length]))
    }
}

/// The NLMSG_ERROR messages in a datagram; everything else is passed over.
fn read_answers(mut datagram: &[u8]) -> Vec<(u32, i32)> {
    let word = |bytes: &[u8], at: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let mut answers = Vec::new();
    while let (Some(length), Some(kind), Some(sequence)) =
        (word(datagram, 0), datagram.get(4..6), word(datagram, 8))
    {
        if kind == (libc::NLMSG_ERROR as u16).to_ne_bytes()
            && let Some(code) = word(datagram, HEADER)
        {
            answers.push((sequence, code as i32));
        }
        let step = (length as usize).max(HEADER).next_multiple_of(4);
        datagram = datagram.get(step..).unwrap_or_default();
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_to_four_bytes_and_nests_count_their_padding() {
        let message =
            Message::new("test", 7, 0, &[1]).nest(5, |m| m.attribute(6, &[1, 2, 3, 4, 5]));
        let bytes = message.seal(9, 0);
        assert_eq!(bytes.len(), 16 + 4 + 4 + 12);
        assert_eq!(bytes[..4], 36u32.to_ne_bytes(), "the header counts everything");
        assert_eq!(bytes[20..22], 16u16.to_ne_bytes(), "the nest counts the padded attribute");
        assert_eq!(bytes[24..26], 9u16.to_ne_bytes(), "an attribute does not count its padding");
    }

    #[test]
    fn a_truncated_answer_is_passed_over() {
        let mut answer =
            Message::new("test", libc::NLMSG_ERROR as u16, 0, &(-1i32).to_ne_bytes()).seal(3, 0);
        assert_eq!(read_answers(&answer), [(3, -1)]);
        answer.truncate(18);
        assert_eq!(read_answers(&answer), []);
    }
}
