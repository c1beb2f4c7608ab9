//! A TCP reset and its explanation: the body of `"type":"rst"`, keys in the order of the contract.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{bounded, bounded_option, is_zero};
use super::{
    Alternative, AtFault, Basis, Cause, Class, Confidence, ConnState, Direction, Effect, Endpoint,
    Evidence, Flow, Hook, Initiator, Kernel, LocalRole, Origin, Policy, Process, Recent, Segment,
    SentBy, SessionEndReason, Severity, Sighting, Speaker, Stage, Text, Timestamp,
};

/// A TCP reset and its explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RstEvent {
    /// Identifies the event; the same in every output format.
    pub id: String,
    /// Counts the lines of a run from 1, whatever their type: where one is missing, it was lost on its way. Left out
    /// where nobody counts.
    #[serde(default, skip_serializing_if = "is_zero", serialize_with = "bounded")]
    pub seq: u64,
    /// When the reset was first seen.
    pub time: Timestamp,
    /// Name of the observing host.
    pub host: String,
    /// Name of the interface; in a capture file only if the file names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Index of the interface; left out for capture files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// Inode of the network namespace that the tracer stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
    pub hook: Hook,
    /// Capture file, as its path was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Number of the frame in the capture file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "bounded_option")]
    pub frame: Option<u64>,
    /// Direction at that interface; left out for capture files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    pub local_role: LocalRole,
    /// Source in the reset's own header.
    pub src: Endpoint,
    /// Destination in the reset's own header.
    pub dst: Endpoint,
    /// The side that opened the connection; left out, with `server`, when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Endpoint>,
    /// The side that was connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Endpoint>,
    pub initiator: Initiator,
    pub sent_by: SentBy,
    pub session_end_reason: SessionEndReason,
    pub origin: Origin,
    pub effect: Effect,
    pub stage: Stage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conn_state: Option<ConnState>,
    /// Zeek's history letters: upper case from the originator, lower case from the responder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// `incomplete`, `insufficient-data`, `not-applicable`, `unknown-tcp`, or a protocol such as
    /// `tls`, `http`, `ssh`.
    pub app: Text,
    pub class: Class,
    pub cause: Cause,
    /// Probability that the cause is right.
    pub confidence: Confidence,
    pub basis: Basis,
    pub severity: Severity,
    pub at_fault: AtFault,
    /// The reasons for the verdict, strongest first.
    pub evidence: Vec<Evidence>,
    /// Other possible causes, likeliest first.
    pub alternatives: Vec<Alternative>,
    /// Connection-tampering signature that the flow matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Text>,
    pub segment: Segment,
    /// What the payload of the reset says: some middleboxes write their reason there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_text: Option<String>,
    /// Reason in the MP_TCPRST option (RFC 8684 3.6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mptcp_reason: Option<Text>,
    /// Left out when nothing of the connection was seen before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    /// The last segments before the reset, oldest first; left out when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<Recent>,
    /// Left out when the owner is not known for certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
    /// What the policy file says of it; left out when no rule of it matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Community ID, version 1, of the connection.
    #[schemars(regex(pattern = r"^1:[A-Za-z0-9+/]{27}=$"))]
    pub community_id: String,
    /// VLAN ids, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vlan: Vec<u16>,
    /// Encapsulation that the segment travelled in, for example `vxlan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Text>,
    /// Further resets of the same kind on this connection that this event stands for.
    #[serde(serialize_with = "bounded")]
    pub repeats: u64,
    /// Every place where this reset was seen, when there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sightings: Vec<Sighting>,
    /// Present when something was left out to keep the line short.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl RstEvent {
    /// A reset of which nothing is known but itself, seen by an observer: every judgement is
    /// `unknown`. `id`, `host` and `community_id` are empty and must be filled.
    pub fn unexplained(
        time: Timestamp,
        hook: Hook,
        src: Endpoint,
        dst: Endpoint,
        segment: Segment,
    ) -> Self {
        Self {
            id: String::new(),
            seq: 0,
            time,
            host: String::new(),
            interface: None,
            ifindex: None,
            netns: None,
            hook,
            file: None,
            frame: None,
            direction: None,
            local_role: LocalRole::Observer,
            src,
            dst,
            client: None,
            server: None,
            initiator: Initiator::Unknown,
            sent_by: SentBy::Unknown,
            session_end_reason: SessionEndReason::Unknown,
            origin: Origin::Unknown,
            effect: Effect::Unknown,
            stage: Stage::NoFlow,
            conn_state: None,
            history: None,
            app: Text::Borrowed("incomplete"),
            class: Class::Unknown,
            cause: Cause::NoConnectionSeen,
            confidence: Confidence::default(),
            basis: Basis::Wire,
            severity: Severity::Info,
            at_fault: AtFault::Unknown,
            evidence: Vec::new(),
            alternatives: Vec::new(),
            signature: None,
            segment,
            payload_text: None,
            mptcp_reason: None,
            flow: None,
            recent: Vec::new(),
            process: None,
            kernel: None,
            policy: None,
            community_id: String::new(),
            vlan: Vec::new(),
            tunnel: None,
            repeats: 0,
            sightings: Vec::new(),
            truncated: false,
        }
    }

    /// The endpoint that a speaker stands for, if it is known.
    pub fn endpoint(&self, speaker: Speaker) -> Option<Endpoint> {
        match speaker {
            Speaker::Client => self.client,
            Speaker::Server => self.server,
            Speaker::Src => Some(self.src),
            Speaker::Dst => Some(self.dst),
        }
    }
}
