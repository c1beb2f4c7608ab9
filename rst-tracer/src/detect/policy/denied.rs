//! Whether a policy acted that denies connections.
//!
//! A firewall's own reset says that it did. That the server's side had answered, or that the host itself refused, says
//! that it did not. All else says neither: over plain IPv4 a refusal by a packet filter of the server's host and one by
//! its TCP may be the same bytes.

use crate::event::{Cause, Class, Confidence, Origin, PolicyVerdict, RstEvent, SentBy, Text};

/// A verdict counts from this confidence on, in percent.
const SURE: u8 = 50;
/// The host itself wrote it if something before it did with no more than this, in percent.
const HARDLY: u8 = 10;

/// What the reset says about the policy, and why if it did not act or that cannot be told.
pub(super) fn acted(event: &RstEvent) -> (PolicyVerdict, Option<Text>) {
    use PolicyVerdict::{AsConfigured, Unclear, Violated};
    let (sure, before_host) = (event.confidence.percent(), before_host(event));
    if event.class == Class::PolicyEnforcement {
        return match sure {
            SURE.. => (AsConfigured, None),
            _ => (Unclear, Some(format!("that a firewall denied it is {sure}% sure").into())),
        };
    }
    if let Some(text) = says_nothing(event) {
        return (Unclear, Some(Text::Borrowed(text)));
    }
    if let Some(text) = answered(event) {
        return (Violated, Some(text));
    }
    let by_host = event.sent_by == SentBy::Server && event.origin == Origin::Endpoint;
    let text = match by_host && sure >= SURE {
        true if before_host <= HARDLY => {
            let cause = event.cause.words();
            let text = format!(
                "it got through to the host, whose own reset this is: {cause}, {sure}% sure"
            );
            return (Violated, Some(text.into()));
        }
        true => format!("a firewall may have denied it as well ({before_host}%)"),
        false => "nothing of it shows whether a firewall denied the connection".to_owned(),
    };
    (Unclear, Some(text.into()))
}

/// Why the reset is none of the policy's, whatever had been said before.
fn says_nothing(event: &RstEvent) -> Option<&'static str> {
    use Origin::{MiddleboxProven, MiddleboxSuspected};
    match (event.cause, event.origin) {
        (Cause::SegmentAfterReset, _) => {
            Some("it follows an earlier reset of this connection, which says more")
        }
        (_, MiddleboxProven | MiddleboxSuspected) => {
            Some("something on the way cut it, which may or may not be the firewall")
        }
        _ => None,
    }
}

/// How likely it is that a firewall or something else before the host wrote it, in percent.
fn before_host(event: &RstEvent) -> u8 {
    let is_before = |(class, cause): (Class, Cause)| {
        class == Class::PolicyEnforcement
            || matches!(cause, Cause::InjectedReset | Cause::IpsActiveResponse)
    };
    let others = event.alternatives.iter().filter(|other| is_before((other.class, other.cause)));
    Confidence::new(others.map(|other| other.confidence.value()).sum()).percent()
}

/// What the server's side had sent on this connection before: a denied one has nothing of it.
fn answered(event: &RstEvent) -> Option<Text> {
    let server = event.flow.as_ref()?.server.as_ref().filter(|server| server.packets > 0)?;
    let what = match (server.packets, server.bytes) {
        (1, 0) => "a segment without data".to_owned(),
        (packets, 0) => format!("{packets} segments without data"),
        (_, 1) => "a byte of data".to_owned(),
        (_, bytes) => format!("{bytes} bytes of data"),
    };
    Some(format!("the connection got through: {what} had come back from the server").into())
}
