//! Small capture files, written frame by frame.
//!
//! Shares no code with the tracer's reader.

use std::{fs, net::SocketAddr, path::PathBuf};

use rst_tracer::demo::{
    forge::Forgery,
    frame::{ACK, RST, SYN},
};
use tempfile::TempDir;

use crate::{bytes, cases::link};

/// Nanosecond pcap, little endian. <https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/>
const MAGIC: u32 = 0xa1b2_3c4d;
const ETHERNET: u32 = 1;

/// A segment from `src` to `dst`; both of one family.
pub fn segment(src: &str, dst: &str, flags: u8, (seq, ack): (u32, u32)) -> Forgery {
    let address = |text: &str| -> SocketAddr { text.parse().expect("an address with a port") };
    Forgery {
        macs: ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]),
        src: address(src),
        dst: address(dst),
        seq,
        ack,
        flags,
        window: 64_240,
        ttl: 64,
        ip_id: 7,
        dont_fragment: true,
        tos: 0,
        flow_label: 0,
        options: Vec::new(),
        payload: Vec::new(),
    }
}

/// What a client and a server say when nobody listens: a SYN, and a RST.
pub fn refused(client: &str, server: &str) -> [Forgery; 2] {
    [segment(client, server, SYN, (1000, 0)), segment(server, client, RST | ACK, (0, 1001))]
}

/// `count` refused connections from 10.0.0.1 to 10.0.0.2:443, each with a port of its own.
pub fn many_refused(count: u16) -> Vec<Forgery> {
    let one = |n| refused(&format!("10.0.0.1:{}", 20_000 + n), "10.0.0.2:443");
    (0..count).flat_map(one).collect()
}

/// A pcap file with these segments, a millisecond apart.
pub fn pcap(segments: &[Forgery]) -> Vec<u8> {
    file(ETHERNET, segments.iter().map(Forgery::to_frame))
}

/// The same as `tcpdump -i any` writes it on a router: each segment at two interfaces.
pub fn seen_twice(segments: &[Forgery]) -> Vec<u8> {
    let seen = |segment: &Forgery, interface: u8| {
        let mut frame = bytes::sll2(&segment.to_frame()[14..]);
        frame[7] = interface;
        frame
    };
    file(link::LINUX_SLL2, segments.iter().flat_map(|segment| [seen(segment, 3), seen(segment, 4)]))
}

fn file(link: u32, frames: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let words = [MAGIC, 2 | 4 << 16, 0, 0, 65_535, link];
    let mut file: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    for (n, frame) in (0..).zip(frames) {
        let length = u32::try_from(frame.len()).expect("a short frame");
        let (seconds, nanoseconds) = (1_700_000_000 + n / 1000, n % 1000 * 1_000_000);
        let header = [seconds, nanoseconds, length, length];
        file.extend(header.into_iter().flat_map(u32::to_le_bytes));
        file.extend(frame);
    }
    file
}

/// A folder for the files of one test; it goes when dropped.
pub struct Folder(TempDir);

impl Folder {
    /// An empty folder.
    #[expect(clippy::new_without_default, reason = "making a folder is no default")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and returns its path as an argument.
    pub fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, content).expect("a file is written");
        path.to_str().expect("UTF-8").to_owned()
    }
}
