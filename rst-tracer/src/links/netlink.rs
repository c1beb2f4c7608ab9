//! A blocking netlink conversation: one request out, its replies in, by message and attribute.
//!
//! Only the attributes that are asked for are read, so a field that a newer kernel adds or
//! changes cannot make a whole listing fail. A socket keeps the network namespace it was opened in.

use std::io;

use rtnetlink::sys::{Socket, SocketAddr};

/// `NETLINK_ROUTE`: interfaces, queueing disciplines, filters.
pub(crate) const ROUTE: isize = 0;
/// `NETLINK_GENERIC`: families that are found by name.
pub(crate) const GENERIC: isize = 16;

pub(crate) const NLM_F_REQUEST: u16 = 0x1;
pub(crate) const NLM_F_ACK: u16 = 0x4;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
/// The reply carries attributes behind the echoed header, e.g. the kernel's own words.
const NLM_F_ACK_TLVS: u16 = 0x200;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSGERR_ATTR_MSG: u16 = 1;
const HEADER: usize = 16;
/// The flags in an attribute's type: nested, network byte order.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// A connected netlink socket.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Both are refinements of error messages; kernels before 4.12 do without.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_ext_ack(true);
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends one request and collects the bodies of the replies to it, up to the last.
    pub(crate) fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        self.sequence = self.sequence.wrapping_add(1);
        let wants_ack = if flags & NLM_F_DUMP == NLM_F_DUMP { 0 } else { NLM_F_ACK };
        let mut packet = Vec::with_capacity(HEADER + body.len());
        packet.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        packet.extend(kind.to_ne_bytes());
        packet.extend((flags | NLM_F_REQUEST | wants_ack).to_ne_bytes());
        packet.extend(self.sequence.to_ne_bytes());
        packet.extend(0u32.to_ne_bytes());
        packet.extend(body);
        self.socket.send(&packet, 0)?;

        let mut replies = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            for raw in split(&datagram) {
                if raw.sequence != self.sequence {
                    continue; // the tail of an exchange that was given up
                }
                match raw.kind {
                    NLMSG_ERROR => return verdict(raw.flags, raw.body).map(|()| replies),
                    NLMSG_DONE => return Ok(replies),
                    _ => replies.push(raw.body.to_vec()),
                }
            }
        }
    }
}

/// One message inside a datagram.
pub(crate) struct Raw<'a> {
    pub(crate) kind: u16,
    flags: u16,
    sequence: u32,
    pub(crate) body: &'a [u8],
}

/// Splits a datagram into its messages; stops at the first that is cut short.
pub(crate) fn split(mut bytes: &[u8]) -> impl Iterator<Item = Raw<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(bytes, 0)? as usize;
        let body = bytes.get(HEADER..length)?;
        let (kind, flags) = (u16_at(bytes, 4)?, u16_at(bytes, 6)?);
        let sequence = u32_at(bytes, 8)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Raw { kind, flags, sequence, body })
    })
}

/// Splits attributes into type and value; stops at the first that is cut short.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let value = bytes.get(4..length)?;
        let kind = u16_at(bytes, 2)? & NLA_TYPE_MASK;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of this type.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|&(k, _)| k == kind).map(|(_, value)| value)
}

/// The kernel's answer to a request: 0, or a negative errno and perhaps a sentence.
fn verdict(flags: u16, body: &[u8]) -> io::Result<()> {
    let errno = u32_at(body, 0).unwrap_or_default().cast_signed();
    if errno == 0 {
        return Ok(());
    }
    let error = io::Error::from_raw_os_error(errno.wrapping_neg());
    let said = (flags & NLM_F_ACK_TLVS != 0)
        .then(|| attribute(body.get(4 + HEADER..)?, NLMSGERR_ATTR_MSG).map(text))
        .flatten();
    match said {
        Some(words) => Err(Refusal { error, words }.into()),
        None => Err(error),
    }
}

/// An errno with the kernel's own sentence.
#[derive(Debug)]
struct Refusal {
    error: io::Error,
    words: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.words, self.error)
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.error.kind(), refusal)
    }
}

/// The errno behind an error of [`Netlink::ask`], with or without the kernel's sentence.
pub(crate) fn errno(error: &io::Error) -> Option<i32> {
    error
        .raw_os_error()
        .or_else(|| error.get_ref()?.downcast_ref::<Refusal>().and_then(|r| r.error.raw_os_error()))
}

/// A request body under construction: a fixed header, then attributes.
#[derive(Debug, Default)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    /// Starts with the message's own header.
    pub(crate) fn new(header: &[u8]) -> Self {
        Self(header.to_vec())
    }

    /// Appends one attribute, padded to four bytes.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend(((4 + value.len()) as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// The bytes to send.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A NUL-terminated string; what is not UTF-8 is replaced.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Two bytes in host order.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Four bytes in host order.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back_as_they_were_written() {
        let body = Body::new(&[]).attribute(3, b"eth0\0").attribute(0x8004, &7u32.to_ne_bytes());
        let read: Vec<_> = attributes(body.bytes()).collect();
        assert_eq!(read, [(3, &b"eth0\0"[..]), (4, &7u32.to_ne_bytes()[..])]);
    }

    #[test]
    fn an_attribute_cut_short_ends_the_list() {
        let whole = Body::new(&[]).attribute(1, b"ab").attribute(2, b"cdefgh");
        let bytes = whole.bytes();
        assert_eq!(attributes(&bytes[..bytes.len() - 3]).count(), 1);
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0, "a length below the header's");
    }

    #[test]
    fn the_kernels_words_and_its_errno_survive() {
        let mut body = (-libc::EBUSY).to_ne_bytes().to_vec();
        body.extend([0; HEADER]);
        let body = Body(body).attribute(NLMSGERR_ATTR_MSG, b"already there\0");
        let error = verdict(NLM_F_ACK_TLVS, body.bytes()).expect_err("an error was sent");
        assert_eq!(errno(&error), Some(libc::EBUSY));
        assert!(error.to_string().starts_with("already there"), "{error}");
    }
}
