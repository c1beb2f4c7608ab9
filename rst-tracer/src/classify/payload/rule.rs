//! What follows from the words of a reset.

use super::{Diagnostic, Payload};
use crate::classify::{Case, Opinion, Rule, security::hand};
use crate::event::{Cause, Origin};

pub(in crate::classify) const RULES: &[Rule] = &[big_ip, diagnostic];

/// A BIG-IP signs what it sends. It speaks of itself, whoever owns the address.
fn big_ip(case: &Case<'_>) -> Vec<Opinion> {
    let Payload::BigIp(said, named) = case.payload() else { return vec![] };
    let (cause, probability) = named.map_or((Cause::ProxyAbort, 0.4), |cause| (cause, 0.93));
    let text = format!("its payload says “{said}”, as F5 BIG-IP writes its reason");
    let opinion = Opinion::new(cause, probability).because("payload_text", 3.0, text);
    vec![opinion.made_by(Origin::MiddleboxProven).whatever_came_before()]
}

/// Causes that a code of the registry stands for, and how surely. Codes 8 to 14 may be used by
/// boxes on the path as well as by the endpoint.
const CODES: [(u64, &[(Cause, f64)]); 14] = [
    (1, &[(Cause::ProtocolMismatch, 0.6)]),
    (2, &[(Cause::HalfOpenStaleState, 0.6), (Cause::BadHandshakeAck, 0.2)]),
    (3, &[(Cause::DataAfterClose, 0.93)]),
    (4, &[(Cause::Linger0Close, 0.6), (Cause::ClientCancel, 0.1)]),
    (5, &[(Cause::BadHandshakeAck, 0.7), (Cause::StraySegment, 0.2)]),
    (8, &[(Cause::ProtocolMismatch, 0.6)]),
    (9, &[(Cause::NetworkFirewallReject, 0.7), (Cause::HostFirewallReject, 0.2)]),
    (10, &[(Cause::MiddleboxTableFull, 0.82), (Cause::OrphanOrMemoryPressure, 0.12)]),
    (11, &[(Cause::ProxyAbort, 0.5)]),
    (12, &[(Cause::ProxyAbort, 0.8)]),
    (13, &[(Cause::ProxyAbort, 0.6)]),
    (14, &[(Cause::IdleTimeoutMiddlebox, 0.8)]),
    (15, &[(Cause::MptcpProtocol, 0.8)]),
    (17, &[(Cause::MptcpProtocol, 0.8)]),
];

/// A reason in the form of the IETF's draft.
fn diagnostic(case: &Case<'_>) -> Vec<Opinion> {
    let Payload::Diagnostic(said) = case.payload() else { return vec![] };
    let Diagnostic { code: Some(code), enterprise: 0, .. } = said else { return vec![] };
    let Some((_, causes)) = CODES.iter().find(|(known, _)| known == code) else { return vec![] };
    let origin = match (8..=14).contains(code) {
        _ if case.forgery().proven => hand(case),
        true if case.forgery().suspected() => hand(case),
        true => Origin::Unknown,
        false => Origin::Endpoint,
    };
    let text = format!("its payload gives {}, in the form of an IETF draft", said.words());
    let opinion = |(cause, probability): &(Cause, f64)| {
        let opinion = Opinion::new(*cause, *probability).made_by(origin);
        opinion.because("payload_code", 3.0, text.clone()).whatever_came_before()
    };
    causes.iter().map(opinion).collect()
}
