//! The parts of a reset event: endpoints, the segment itself, the flow around it, the evidence.
//!
//! Optional keys are left out when nothing is known; nothing is ever null.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::bounded;
use super::schema::ip;
use super::{
    Cause, Class, Confidence, Direction, Expect, Flags, Hook, KnownBy, Mac, PolicyVerdict, Speaker,
    Text, Timestamp, Weight,
};

/// One end of a connection.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// IPv4 or IPv6 address.
    #[schemars(schema_with = "ip")]
    pub ip: IpAddr,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    /// `10.0.0.9:443` or `[2001:db8::9]:443`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip(), port: address.port() }
    }
}

/// One reason for the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Fixed name of the rule.
    pub id: Text,
    /// What was observed, as a sentence.
    pub text: Text,
    /// How much it counts; negative speaks against the verdict.
    pub weight: Weight,
}

/// Another explanation that remains possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    pub class: Class,
    pub cause: Cause,
    /// Probability that this is the cause.
    pub confidence: Confidence,
}

impl Alternative {
    /// This cause, in the class that it belongs to.
    pub const fn new(cause: Cause, confidence: Confidence) -> Self {
        Self { class: cause.class(), cause, confidence }
    }
}

/// The reset segment, as its headers have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// TCP flags: letters in the order `F S R P A U E C` of those set.
    pub flags: Flags,
    /// Sequence number, raw.
    pub seq: u32,
    /// Acknowledgement field, raw, whether or not the ACK flag makes it count.
    pub ack: u32,
    /// Window field, not scaled.
    pub window: u16,
    /// IPv4 time to live or IPv6 hop limit.
    pub ttl: u8,
    /// IPv4 identification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_id: Option<u16>,
    /// IPv4 don't-fragment bit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub df: Option<bool>,
    /// IPv4 type of service or IPv6 traffic class, with the ECN bits.
    pub tos: u8,
    /// IPv6 flow label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_label: Option<u32>,
    /// TCP payload, in bytes.
    pub payload_len: u32,
    /// Source hardware address of the Ethernet frame that it came in: of the sender, if that is on the same link, else of
    /// the last router. Left out where the reset left this host, and where the link has no such addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_mac: Option<Mac>,
    /// Destination hardware address of the Ethernet frame: of the receiver, or of the next router. Left out inside tunnels, and
    /// where the link has no such addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst_mac: Option<Mac>,
}

/// The connection as it stood before the reset. Its sides are `client` and `server` when they
/// are known, else `src` and `dst` as in the reset's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// First segment seen.
    pub start: Timestamp,
    /// From the first segment to the reset, in milliseconds.
    #[serde(serialize_with = "bounded")]
    pub duration_ms: u64,
    /// Silence before the reset, in milliseconds.
    #[serde(serialize_with = "bounded")]
    pub idle_ms: u64,
    /// Round trip of the handshake, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u32>,
    /// What the side that opened the connection sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Side>,
    /// What the side that was connected to sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Side>,
    /// What the source address of the reset sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<Side>,
    /// What the destination address of the reset sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst: Option<Side>,
}

impl Flow {
    /// The sides that are there, named.
    pub fn sides(&self) -> impl Iterator<Item = (Speaker, &Side)> {
        [
            (Speaker::Client, &self.client),
            (Speaker::Server, &self.server),
            (Speaker::Src, &self.src),
            (Speaker::Dst, &self.dst),
        ]
        .into_iter()
        .filter_map(|(name, side)| side.as_ref().map(|side| (name, side)))
    }
}

/// What one side had sent before the reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// Segments.
    #[serde(serialize_with = "bounded")]
    pub packets: u64,
    /// Payload bytes, retransmissions included.
    #[serde(serialize_with = "bounded")]
    pub bytes: u64,
    /// Segments sent again.
    #[serde(serialize_with = "bounded")]
    pub retransmits: u64,
    /// Usual TTL or hop limit; left out when the side sent nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
}

/// A segment before the reset, from the flight recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recent {
    /// How long before the reset, in microseconds.
    #[serde(serialize_with = "bounded")]
    pub ago_us: u64,
    /// Who sent it.
    pub from: Speaker,
    /// TCP flags.
    pub flags: Flags,
    /// Sequence number, raw.
    pub seq: u32,
    /// Acknowledgement field, raw.
    pub ack: u32,
    /// Payload, in bytes; more than one packet's worth where the hook sees segments joined.
    pub len: u32,
    /// Window field, not scaled.
    pub window: u16,
    /// Time to live or hop limit.
    pub ttl: u8,
}

/// The local process that the connection belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Process id in the tracer's pid namespace.
    pub pid: u32,
    /// The name it gave itself.
    pub name: String,
    pub known_by: KnownBy,
    /// User id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Control group path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Container id, from the control group path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// What runs the container, where the control group path tells it: `docker`, `containerd`, `cri-o`, `podman`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_runtime: Option<Text>,
    /// Unique id of the Kubernetes pod, from the control group path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// Path of the program, as the process sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// When it was started, to the hundredth of a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The same in every event about this process and in none about another one, which may get its `pid`: a hash of the
    /// host's boot, the `pid` and the time of the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<String>,
}

impl Process {
    /// An owner of a socket of which no more is known.
    pub(crate) const fn bare(pid: u32, name: String) -> Self {
        Self {
            pid,
            name,
            known_by: KnownBy::SocketOwner,
            uid: None,
            cgroup: None,
            container_id: None,
            container_runtime: None,
            pod_uid: None,
            executable: None,
            start: None,
            entity_id: None,
        }
    }
}

/// What the kernel said about the reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Why, by the running kernel's own name: of the reset it sent, else of the drop of the reset or
    /// of the segment that the reset answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// State of the connection before the reset, by the kernel's name. A socket that is being closed
    /// is in CLOSE when its reset goes out; then it is the state before, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Text>,
    /// Network namespace that this comes from, when it is not the one of the tracer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
}

/// What the first rule of the policy file that matches a reset says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Name of the rule.
    pub rule: Text,
    pub expect: Expect,
    pub verdict: PolicyVerdict,
    /// Why it is violated or unclear, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
}

/// One of several places where the same reset was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sighting {
    /// Interface name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    pub hook: Hook,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
}
