//! What a cause means for people: how much attention it deserves, and where to look.

use crate::event::{AtFault, Cause, SentBy, Severity};

/// How much attention a cause deserves. Most resets are benign and must look so.
pub(super) fn severity(cause: Cause) -> Severity {
    use Cause::*;
    match cause {
        InjectedReset
        | BlindResetAttempt
        | AcceptQueueOverflow
        | OrphanOrMemoryPressure
        | MiddleboxTableFull
        | ProcessCrashOrKill => Severity::High,
        ListenerWentAway
        | DpiBlock
        | IpsActiveResponse
        | MptcpResource
        | ClosedWithUnreadData
        | RestartWithPendingConnections
        | ProtocolMismatch
        | HalfOpenStaleState
        | IdleTimeoutMiddlebox
        | KeepaliveTimeout => Severity::Medium,
        ClosedPort
        | HostFirewallReject
        | NetworkFirewallReject
        | ScannerProbe
        | DataAfterClose
        | ProxyAbort
        | AdminKill
        | BadHandshakeAck
        | TimestampMismatch
        | LateSegmentAfterTimeout
        | MptcpProtocol
        | Unknown => Severity::Low,
        ClientGaveUp | ScanResponse | Backscatter | LbHealthCheck | LbDrain | HalfOpenDiscovery
        | PortReuseTimewait | SegmentAfterReset | StraySegment | Linger0Close | ClientCancel
        | RstAfterFin | TlsCloseThenRst | NoConnectionSeen => Severity::Info,
    }
}

/// Where to look for the fault.
pub(super) fn at_fault(cause: Cause, sent_by: SentBy) -> AtFault {
    use Cause::*;
    let (sender, receiver) = match sent_by {
        SentBy::Client => (AtFault::Client, AtFault::Server),
        SentBy::Server => (AtFault::Server, AtFault::Client),
        SentBy::Unknown => (AtFault::Unknown, AtFault::Unknown),
    };
    match cause {
        ListenerWentAway | AcceptQueueOverflow | RestartWithPendingConnections => AtFault::Server,
        ScannerProbe => AtFault::Client,
        HostFirewallReject
        | OrphanOrMemoryPressure
        | ClosedWithUnreadData
        | ProcessCrashOrKill
        | HalfOpenStaleState
        | MptcpResource => sender,
        DataAfterClose | ScanResponse => receiver,
        NetworkFirewallReject
        | DpiBlock
        | InjectedReset
        | IpsActiveResponse
        | BlindResetAttempt
        | MiddleboxTableFull
        | IdleTimeoutMiddlebox
        | ProxyAbort => AtFault::Network,
        ClientGaveUp | Backscatter | LbHealthCheck | LbDrain | AdminKill | HalfOpenDiscovery
        | PortReuseTimewait | SegmentAfterReset | Linger0Close | ClientCancel | RstAfterFin
        | TlsCloseThenRst => AtFault::Nobody,
        ClosedPort
        | ProtocolMismatch
        | BadHandshakeAck
        | TimestampMismatch
        | KeepaliveTimeout
        | LateSegmentAfterTimeout
        | StraySegment
        | MptcpProtocol
        | Unknown
        | NoConnectionSeen => AtFault::Unknown,
    }
}
