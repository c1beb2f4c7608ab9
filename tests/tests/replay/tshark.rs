//! tshark as the second opinion: which frames hold a RST, and between which ends.
//!
//! In: a capture. Out: frame numbers and the innermost addresses and ports, in order.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A reset's frame and its two ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub frame: u64,
    pub src: SocketAddr,
    pub dst: SocketAddr,
}

impl Ends {
    /// Those of an event.
    ///
    /// # Panics
    /// When it has none.
    pub(super) fn of_event(event: &Value) -> Self {
        let end = |key: &str| {
            let ip: IpAddr = event[key]["ip"].as_str().unwrap().parse().unwrap();
            SocketAddr::new(ip, event[key]["port"].as_u64().unwrap().try_into().unwrap())
        };
        Self { frame: event["frame"].as_u64().unwrap(), src: end("src"), dst: end("dst") }
    }
}

/// Whether there is a tshark; says loudly when not.
pub(super) fn is_installed() -> bool {
    match Command::new("tshark").arg("--version").output() {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            eprintln!("SKIPPED: tshark is not installed, so nobody checks the resets");
            false
        }
        output => {
            assert!(output.unwrap().status.success(), "tshark --version");
            true
        }
    }
}

/// The resets in a capture, each by the headers next to it. TCP in ICMP is left out.
///
/// # Errors
/// tshark's own words, when it cannot open the file.
pub(super) fn resets(path: &Path) -> Result<Vec<Ends>, String> {
    // Reassembly off: a reset stands where its header stands.
    let output = Command::new("tshark")
        .args(["-n", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-r"])
        .arg(path)
        .args(["-Y", "tcp.flags.reset == 1 && !icmp && !icmpv6", "-T", "fields"])
        .args(["-E", "separator=;", "-E", "occurrence=l"])
        .args(["-e", "frame.number", "-e", "frame.protocols"])
        .args(["-e", "ip.src", "-e", "ip.dst", "-e", "ipv6.src", "-e", "ipv6.dst"])
        .args(["-e", "tcp.srcport", "-e", "tcp.dstport"])
        .output()
        .map_err(|e| e.to_string())?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("doesn't support") || complaint.contains("isn't a capture file") {
        return Err(complaint.into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| parse(line).ok_or_else(|| format!("not understood: {line}"))).collect()
}

fn parse(line: &str) -> Option<Ends> {
    let fields: Vec<_> = line.split(';').collect();
    let [frame, protocols, src4, dst4, src6, dst6, src_port, dst_port] = fields[..] else {
        return None;
    };
    // The last network header before TCP.
    let is_v6 = protocols.split(':').rfind(|p| ["ip", "ipv6"].contains(p))? == "ipv6";
    let (src, dst) = if is_v6 { (src6, dst6) } else { (src4, dst4) };
    Some(Ends {
        frame: frame.parse().ok()?,
        src: SocketAddr::new(src.parse().ok()?, src_port.parse().ok()?),
        dst: SocketAddr::new(dst.parse().ok()?, dst_port.parse().ok()?),
    })
}
