//! The taxonomy: nine classes of cause and the causes in them.
//!
//! Ids are fixed by the contract; each cause knows its class and its name in words.

use super::vocabulary::vocabulary;

vocabulary! {
    /// What kind of cause it is.
    Class {
        /// Nobody wanted the connection.
        ConnectionRefused = "connection_refused",
        /// A rule forbade it.
        PolicyEnforcement = "policy_enforcement",
        /// An attack, a scan, or the defence against one.
        SecurityMeasure = "security_measure",
        /// Something was full.
        ResourceLimitation = "resource_limitation",
        /// A program ended it the hard way, or does not speak the protocol.
        ApplicationError = "application_error",
        /// A proxy, load balancer, middlebox or administrator ended it on purpose.
        TrafficManagement = "traffic_management",
        /// The two sides did not agree about the state of the connection.
        ProtocolState = "protocol_state",
        /// A deliberate and harmless way to close.
        NormalAbortiveClose = "normal_abortive_close",
        /// It is not known.
        Unknown = "unknown",
    }
}

impl Class {
    /// The class in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::ConnectionRefused => "connection refused",
            Self::PolicyEnforcement => "policy enforcement",
            Self::SecurityMeasure => "security measure",
            Self::ResourceLimitation => "resource limitation",
            Self::ApplicationError => "application error",
            Self::TrafficManagement => "traffic management",
            Self::ProtocolState => "protocol state",
            Self::NormalAbortiveClose => "normal abortive close",
            Self::Unknown => "unknown",
        }
    }
}

vocabulary! {
    /// Why the connection was reset.
    Cause {
        /// Nothing listens on the port.
        ClosedPort = "closed_port",
        /// Something listened on the port a moment ago.
        ListenerWentAway = "listener_went_away",
        /// The client no longer wanted the connection when the SYN-ACK came.
        ClientGaveUp = "client_gave_up",
        /// A packet filter on the host rejected it.
        HostFirewallReject = "host_firewall_reject",
        /// A packet filter on the path rejected it.
        NetworkFirewallReject = "network_firewall_reject",
        /// Something on the path disliked what was in the data.
        DpiBlock = "dpi_block",
        /// Something on the path forged it in the name of a side.
        InjectedReset = "injected_reset",
        /// An intrusion prevention system ended the connection.
        IpsActiveResponse = "ips_active_response",
        /// The answer of a host to a scan.
        ScanResponse = "scan_response",
        /// A scanner dropped the connection it had probed with.
        ScannerProbe = "scanner_probe",
        /// Somebody off the path guesses at sequence numbers.
        BlindResetAttempt = "blind_reset_attempt",
        /// An answer to traffic that this side never sent: somebody spoofs its address.
        Backscatter = "backscatter",
        /// The listener did not accept fast enough.
        AcceptQueueOverflow = "accept_queue_overflow",
        /// The kernel ran out of TCP memory or of room for orphaned sockets.
        OrphanOrMemoryPressure = "orphan_or_memory_pressure",
        /// Multipath TCP gave up a subflow for lack of resources.
        MptcpResource = "mptcp_resource",
        /// A middlebox has no room for more connections.
        MiddleboxTableFull = "middlebox_table_full",
        /// The application closed while received data was still unread.
        ClosedWithUnreadData = "closed_with_unread_data",
        /// The process died with the connection open.
        ProcessCrashOrKill = "process_crash_or_kill",
        /// The service stopped while connections waited to be accepted.
        RestartWithPendingConnections = "restart_with_pending_connections",
        /// The peer went on sending to a side that had closed.
        DataAfterClose = "data_after_close",
        /// One side did not understand what the other spoke.
        ProtocolMismatch = "protocol_mismatch",
        /// The sender no longer knows the connection.
        HalfOpenStaleState = "half_open_stale_state",
        /// A middlebox forgot the connection during a silence.
        IdleTimeoutMiddlebox = "idle_timeout_middlebox",
        /// A load balancer looked whether the port is open.
        LbHealthCheck = "lb_health_check",
        /// A load balancer drains a backend.
        LbDrain = "lb_drain",
        /// A proxy gave up one leg.
        ProxyAbort = "proxy_abort",
        /// An administrator or a tool destroyed the socket.
        AdminKill = "admin_kill",
        /// One side had lost an older connection on these ports and found out.
        HalfOpenDiscovery = "half_open_discovery",
        /// The ports were reused while the old connection was in TIME_WAIT.
        PortReuseTimewait = "port_reuse_timewait",
        /// The handshake was answered with a wrong acknowledgement.
        BadHandshakeAck = "bad_handshake_ack",
        /// A timestamp did not fit the connection.
        TimestampMismatch = "timestamp_mismatch",
        /// Keepalive probes went unanswered.
        KeepaliveTimeout = "keepalive_timeout",
        /// A segment came after the other side had given up.
        LateSegmentAfterTimeout = "late_segment_after_timeout",
        /// A side that believed an earlier reset answers the other's next segment.
        SegmentAfterReset = "segment_after_reset",
        /// An ACK or FIN that belongs to no connection was answered.
        StraySegment = "stray_segment",
        /// Multipath TCP gave a protocol reason.
        MptcpProtocol = "mptcp_protocol",
        /// The application closed with SO_LINGER 0.
        Linger0Close = "linger0_close",
        /// The client no longer wanted the answer.
        ClientCancel = "client_cancel",
        /// A reset after the connection was all but closed.
        RstAfterFin = "rst_after_fin",
        /// TLS was closed in order, then TCP was reset.
        TlsCloseThenRst = "tls_close_then_rst",
        /// Nothing decides.
        Unknown = "unknown",
        /// The connection began before the tracer did, and nothing else decides.
        NoConnectionSeen = "no_connection_seen",
    }
}

impl Cause {
    /// The one class that this cause belongs to.
    pub const fn class(self) -> Class {
        use Cause::*;
        match self {
            ClosedPort | ListenerWentAway | ClientGaveUp => Class::ConnectionRefused,
            HostFirewallReject | NetworkFirewallReject | DpiBlock => Class::PolicyEnforcement,
            InjectedReset | IpsActiveResponse | ScanResponse | ScannerProbe | BlindResetAttempt
            | Backscatter => Class::SecurityMeasure,
            AcceptQueueOverflow | OrphanOrMemoryPressure | MptcpResource | MiddleboxTableFull => {
                Class::ResourceLimitation
            }
            ClosedWithUnreadData
            | ProcessCrashOrKill
            | RestartWithPendingConnections
            | DataAfterClose
            | ProtocolMismatch
            | HalfOpenStaleState => Class::ApplicationError,
            IdleTimeoutMiddlebox | LbHealthCheck | LbDrain | ProxyAbort | AdminKill => {
                Class::TrafficManagement
            }
            HalfOpenDiscovery
            | PortReuseTimewait
            | BadHandshakeAck
            | TimestampMismatch
            | KeepaliveTimeout
            | LateSegmentAfterTimeout
            | SegmentAfterReset
            | StraySegment
            | MptcpProtocol => Class::ProtocolState,
            Linger0Close | ClientCancel | RstAfterFin | TlsCloseThenRst => {
                Class::NormalAbortiveClose
            }
            Unknown | NoConnectionSeen => Class::Unknown,
        }
    }

    /// The cause in words, of at most thirty characters.
    pub const fn words(self) -> &'static str {
        match self {
            Self::ClosedPort => "closed port",
            Self::ListenerWentAway => "listener went away",
            Self::ClientGaveUp => "client gave up connecting",
            Self::HostFirewallReject => "rejected by a host firewall",
            Self::NetworkFirewallReject => "rejected by a network firewall",
            Self::DpiBlock => "blocked by content inspection",
            Self::InjectedReset => "injected reset",
            Self::IpsActiveResponse => "IPS active response",
            Self::ScanResponse => "answer to a scan",
            Self::ScannerProbe => "scanner probe",
            Self::BlindResetAttempt => "blind reset attempt",
            Self::Backscatter => "backscatter of spoofed traffic",
            Self::AcceptQueueOverflow => "accept queue overflow",
            Self::OrphanOrMemoryPressure => "orphan or memory pressure",
            Self::MptcpResource => "MPTCP out of resources",
            Self::MiddleboxTableFull => "middlebox table full",
            Self::ClosedWithUnreadData => "closed with unread data",
            Self::ProcessCrashOrKill => "process crashed or was killed",
            Self::RestartWithPendingConnections => "restarted with clients waiting",
            Self::DataAfterClose => "data sent after close",
            Self::ProtocolMismatch => "protocol mismatch",
            Self::HalfOpenStaleState => "connection state was lost",
            Self::IdleTimeoutMiddlebox => "idle timeout of a middlebox",
            Self::LbHealthCheck => "load balancer health check",
            Self::LbDrain => "load balancer draining",
            Self::ProxyAbort => "aborted by a proxy",
            Self::AdminKill => "killed by an administrator",
            Self::HalfOpenDiscovery => "half-open connection found",
            Self::PortReuseTimewait => "port reused in TIME_WAIT",
            Self::BadHandshakeAck => "bad ACK in the handshake",
            Self::TimestampMismatch => "timestamp mismatch",
            Self::KeepaliveTimeout => "keepalive timeout",
            Self::LateSegmentAfterTimeout => "late segment after a timeout",
            Self::SegmentAfterReset => "segment after a reset",
            Self::StraySegment => "stray segment",
            Self::MptcpProtocol => "MPTCP protocol reason",
            Self::Linger0Close => "closed with linger 0",
            Self::ClientCancel => "cancelled by the client",
            Self::RstAfterFin => "reset after FIN",
            Self::TlsCloseThenRst => "TLS close, then reset",
            Self::Unknown => "cause unknown",
            Self::NoConnectionSeen => "connection start not seen",
        }
    }
}
