//! What shows only over many resets: the body of `"type":"finding"`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{bounded, bounded_map, is_zero};
use super::schema::ip;
use super::{FindingKind, FindingState, Severity, Text, Timestamp};

/// Something that shows only over many resets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Identifies the finding; the same when it is reported again.
    pub id: String,
    /// Counts the lines of a run from 1, whatever their type: where one is missing, it was lost on its way. Left out
    /// where nobody counts.
    #[serde(default, skip_serializing_if = "is_zero", serialize_with = "bounded")]
    pub seq: u64,
    /// When it was concluded.
    pub time: Timestamp,
    /// Name of the observing host.
    pub host: String,
    pub kind: FindingKind,
    pub state: FindingState,
    /// The rule of the policy file that it is about, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Text>,
    /// When what was found began.
    pub start: Timestamp,
    /// When it was last seen to go on.
    pub end: Timestamp,
    pub severity: Severity,
    /// What was found and what would help, as a sentence.
    pub text: Text,
    /// Named numbers that the finding rests on.
    #[serde(serialize_with = "bounded_map")]
    pub counts: BTreeMap<Text, u64>,
    /// The addresses that it is about, the busiest first.
    pub sources: Vec<Source>,
    /// Present when something was left out to keep the line short.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// An address that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// IPv4 or IPv6 address.
    #[schemars(schema_with = "ip")]
    pub ip: IpAddr,
    /// Port, where the finding is about one service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Resets that travelled in its name.
    #[serde(serialize_with = "bounded")]
    pub resets: u64,
}
