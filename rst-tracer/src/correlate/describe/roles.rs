//! Which side opened the connection, and so in whose name the reset travels.
//!
//! A handshake tells, or a listening socket of this host. Without these the ports are compared: a
//! service's port against an ephemeral one. When they do not differ in kind, nothing is claimed: the form of a reset without flow
//! (the refusal of a SYN that was not seen) is evidence for the verdict, not for the roles.

use rst_tracer_common::{flow::OpenedBy, wire::Segment};

use crate::{
    classify::Past,
    event::{Endpoint, Initiator, SentBy, Speaker},
};

/// The roles of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) struct Roles {
    /// Whether the reset's source opened the connection; `None` when that is not known.
    pub(in crate::correlate) src_opened: Option<bool>,
    /// How that is known.
    pub(super) initiator: Initiator,
}

impl Roles {
    /// `listens`: whether a listening socket is known at the source (or else at the destination).
    pub(in crate::correlate) fn of(
        segment: &Segment,
        past: Option<&Past<'_>>,
        listens: Option<bool>,
    ) -> Self {
        let opened_by = past.map_or(OpenedBy::UNKNOWN, |past| past.state().flow.opened_by);
        let initiator = match opened_by {
            OpenedBy::SYN => Some(Initiator::Syn),
            OpenedBy::SYN_ACK => Some(Initiator::SynAck),
            _ => None,
        };
        if let (Some(opened), Some(initiator)) = (past.and_then(Past::i_opened), initiator) {
            return Self { src_opened: Some(opened), initiator };
        }
        if let Some(is_server) = listens {
            return Self { src_opened: Some(!is_server), initiator: Initiator::Listener };
        }
        match opened_by_ports(segment.src.port as u16, segment.dst.port as u16) {
            Some(opened) => Self { src_opened: Some(opened), initiator: Initiator::Ports },
            None => Self { src_opened: None, initiator: Initiator::Unknown },
        }
    }

    pub(super) fn sent_by(&self) -> SentBy {
        match self.src_opened {
            Some(true) => SentBy::Client,
            Some(false) => SentBy::Server,
            None => SentBy::Unknown,
        }
    }

    /// Client and server, given source and destination.
    pub(super) fn ends(&self, src: Endpoint, dst: Endpoint) -> Option<(Endpoint, Endpoint)> {
        self.src_opened.map(|opened| if opened { (src, dst) } else { (dst, src) })
    }

    /// Who the reset's source (`true`) or destination is.
    pub(super) fn speaker(&self, is_src: bool) -> Speaker {
        match self.src_opened {
            Some(opened) if opened == is_src => Speaker::Client,
            Some(_) => Speaker::Server,
            None if is_src => Speaker::Src,
            None => Speaker::Dst,
        }
    }
}

/// What a port looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Below 1024, or the registered port of a common service.
    Service,
    /// 1024 to 32767: some service, or an ephemeral port of an older system.
    Either,
    /// From 32768: where Linux (32768 to 60999) and the others (49152 to 65535, RFC 6335) take
    /// their ephemeral ports from.
    Ephemeral,
}

/// Registered ports from 1024 on on which servers commonly listen.
const SERVICES: [u16; 46] = [
    1080, 1194, 1433, 1521, 1723, 1883, 2049, 2181, 2375, 2376, 2379, 2380, 3128, 3260, 3268, 3306,
    3389, 4222, 4369, 5044, 5060, 5061, 5222, 5269, 5432, 5601, 5671, 5672, 5900, 5984, 5985, 6379,
    6443, 6667, 8000, 8008, 8080, 8086, 8443, 8883, 9042, 9092, 9200, 9418, 11211, 27017,
];

fn kind(port: u16) -> Kind {
    match port {
        0..1024 => Kind::Service,
        port if SERVICES.contains(&port) => Kind::Service,
        1024..32768 => Kind::Either,
        _ => Kind::Ephemeral,
    }
}

/// Whether the source opened the connection, by the kinds of the two ports.
fn opened_by_ports(src: u16, dst: u16) -> Option<bool> {
    let (src, dst) = (kind(src), kind(dst));
    (src != dst).then_some(src > dst)
}

#[cfg(test)]
mod tests {
    use super::opened_by_ports;

    #[test]
    fn a_service_port_against_an_ephemeral_one_tells_the_client() {
        assert_eq!(opened_by_ports(51234, 443), Some(true));
        assert_eq!(opened_by_ports(5432, 40000), Some(false));
        assert_eq!(opened_by_ports(2527, 80), Some(true));
        assert_eq!(opened_by_ports(4000, 51234), Some(false));
    }

    #[test]
    fn ports_of_one_kind_tell_nothing() {
        assert_eq!(opened_by_ports(443, 80), None);
        assert_eq!(opened_by_ports(6649, 2527), None);
        assert_eq!(opened_by_ports(50000, 60000), None);
    }
}
