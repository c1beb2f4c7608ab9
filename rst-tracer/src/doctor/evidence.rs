//! Which tracepoints this kernel has for us, with the arguments they really carry, and whether it lets
//! us listen.

use serde::Serialize;

use crate::source::live::{
    btf::{Argument, Btf},
    evidence::Listening,
};

/// Tracepoint, the type of the argument that makes it worth most, what goes without the
/// tracepoint, what goes without the argument.
const WANTED: [(&str, Option<&str>, &str, Option<&str>); 4] = [
    (
        "tcp_send_reset",
        Some("sk_rst_reason"),
        "why this host reset a connection is guessed from the wire",
        Some("it carries no reason (Linux 6.10 does)"),
    ),
    (
        "tcp_receive_reset",
        None,
        "whether this host believed a reset is guessed from the wire",
        None,
    ),
    ("inet_sock_set_state", None, "no process is named", None),
    (
        "kfree_skb",
        Some("skb_drop_reason"),
        "why the kernel ignored a segment is not known",
        Some("it carries no reason (Linux 5.17 does)"),
    ),
];

/// One tracepoint.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Its name.
    pub tracepoint: &'static str,
    /// Whether the running kernel has it.
    pub present: bool,
    /// Whether the kernel took the program that listens to it.
    pub loads: bool,
    /// Why it did not: what is missing, or the verifier's last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// What it passes to a program, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
    /// What is not known without it, or without the argument it lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<&'static str>,
}

/// Looks each tracepoint up in the kernel's BTF; `listening`: after an attempt to load each program.
pub(super) fn available(btf: Option<&Btf>, listening: Option<&Listening>) -> Vec<Evidence> {
    let look = |(tracepoint, valued, without, without_valued): (_, Option<&str>, _, _)| {
        let found = btf.and_then(|btf| btf.tracepoint(tracepoint));
        let arguments = found.clone().unwrap_or_default();
        let carries = |part: &str| arguments.iter().any(|a| a.c_type.contains(part));
        let heard = listening.and_then(|all| all.points().iter().find(|p| p.name == tracepoint));
        let refusal = heard.and_then(|point| point.refusal.clone());
        let loads = heard.is_some() && refusal.is_none();
        let cost = match (&found, valued) {
            _ if !loads => Some(without),
            (Some(_), Some(part)) if !carries(part) => without_valued,
            _ => None,
        };
        Evidence { tracepoint, present: found.is_some(), loads, refusal, arguments, cost }
    };
    WANTED.into_iter().map(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_btf_every_loss_is_said() {
        for evidence in available(None, None) {
            assert!(
                !evidence.present && !evidence.loads && evidence.cost.is_some(),
                "{evidence:?}"
            );
        }
    }
}
