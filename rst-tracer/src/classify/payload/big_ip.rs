//! The reasons of F5 BIG-IP: with `tm.rstcause.pkt` it writes one into each reset it sends.
//!
//! In: the text. Out: the cause that it names.

use crate::event::Cause;

/// Words of a reason, in lower case, and the cause they name. The first match counts.
const REASONS: [(&str, Option<Cause>); 29] = [
    ("flow expired", Some(Cause::IdleTimeoutMiddlebox)),
    ("idle timeout", Some(Cause::IdleTimeoutMiddlebox)),
    ("keep-alive timeout", Some(Cause::KeepaliveTimeout)),
    ("zero window timeout", Some(Cause::ProxyAbort)),
    ("retransmit timeout", Some(Cause::ProxyAbort)),
    ("handshake timeout", Some(Cause::ProxyAbort)),
    // It does not know the connection any more, mostly because it was silent too long.
    ("no flow found", Some(Cause::IdleTimeoutMiddlebox)),
    ("no local listener", Some(Cause::ClosedPort)),
    ("port denied", Some(Cause::NetworkFirewallReject)),
    ("policy action", Some(Cause::NetworkFirewallReject)),
    ("irule reject", Some(Cause::NetworkFirewallReject)),
    ("3whs rejected", Some(Cause::NetworkFirewallReject)),
    ("dos signature", Some(Cause::IpsActiveResponse)),
    ("connection limit", Some(Cause::MiddleboxTableFull)),
    ("no available snat", Some(Cause::MiddleboxTableFull)),
    ("out of ports", Some(Cause::MiddleboxTableFull)),
    ("sweeper", Some(Cause::MiddleboxTableFull)),
    ("memory", Some(Cause::MiddleboxTableFull)),
    ("no pool member", Some(Cause::ProxyAbort)),
    ("pool member", Some(Cause::ProxyAbort)),
    ("no available pool", Some(Cause::ProxyAbort)),
    ("vip down", Some(Cause::ProxyAbort)),
    ("virtual server", Some(Cause::ProxyAbort)),
    ("vip disabled", Some(Cause::ProxyAbort)),
    ("from remote system", Some(Cause::ProxyAbort)),
    ("internal linux host", Some(Cause::ProxyAbort)),
    ("tcp closed", Some(Cause::RstAfterFin)),
    ("closing", Some(Cause::RstAfterFin)),
    ("rst from big-ip", None),
];

/// The cause that a text names: `None` when it is none of BIG-IP's.
pub(super) fn cause(text: &str) -> Option<Option<Cause>> {
    let lower = text.to_ascii_lowercase();
    let is_signed = lower.contains("big-ip") || lower.contains("tcp rst from remote system");
    let named = REASONS.iter().find(|(words, _)| lower.contains(words));
    is_signed.then(|| named.and_then(|(_, cause)| *cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_names_its_cause() {
        let said = |reason: &str| cause(&format!("BIG-IP: [0x2409a71:704] {reason}"));
        assert_eq!(said("Flow expired (sweeper)"), Some(Some(Cause::IdleTimeoutMiddlebox)));
        assert_eq!(said("No flow found for ACK"), Some(Some(Cause::IdleTimeoutMiddlebox)));
        assert_eq!(said("connection limit exceeded"), Some(Some(Cause::MiddleboxTableFull)));
        assert_eq!(said("No available SNAT addr"), Some(Some(Cause::MiddleboxTableFull)));
        assert_eq!(said("Port denied"), Some(Some(Cause::NetworkFirewallReject)));
        assert_eq!(said("DOS signature"), Some(Some(Cause::IpsActiveResponse)));
        assert_eq!(said("{peer} TCP RST from remote system"), Some(Some(Cause::ProxyAbort)));
        assert_eq!(said("TCP keep-alive timeout"), Some(Some(Cause::KeepaliveTimeout)));
        assert_eq!(said("something new"), Some(None));
    }

    #[test]
    fn words_of_others_are_not_taken_for_its_own() {
        assert_eq!(cause("connection limit exceeded"), None);
        assert_eq!(cause("go away"), None);
    }
}
