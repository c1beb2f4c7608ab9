//! The closed vocabularies of the contract, one enum each; causes are in `taxonomy`.
//!
//! The comment on each value is its description in the JSON Schema.

use super::vocabulary::vocabulary;

vocabulary! {
    /// Where the tracer saw the segment.
    Hook {
        /// XDP, on ingress.
        Xdp = "xdp",
        /// Traffic control, on ingress.
        TcIngress = "tc_ingress",
        /// Traffic control, on egress.
        TcEgress = "tc_egress",
        /// A capture file; `file` and `frame` say where in it.
        Pcap = "pcap",
    }
}

vocabulary! {
    /// Which way the segment crossed the interface.
    Direction {
        /// Into the host.
        Ingress = "ingress",
        /// Out of the host.
        Egress = "egress",
    }
}

vocabulary! {
    /// What the observing host is to this reset.
    LocalRole {
        /// The source address is one of this host.
        Sender = "sender",
        /// The destination address is one of this host.
        Receiver = "receiver",
        /// The host forwards the segment; where it translates addresses (NAT), one may be its own.
        Forwarder = "forwarder",
        /// Neither address is, or nothing is known about the host (a capture file).
        Observer = "observer",
    }
}

vocabulary! {
    /// How it is known which side opened the connection.
    Initiator {
        /// The SYN was seen.
        Syn = "syn",
        /// The SYN-ACK was seen.
        SynAck = "syn_ack",
        /// One side has, or had, a listening socket on this port.
        Listener = "listener",
        /// Guessed from the ports: ephemeral against well-known.
        Ports = "ports",
        /// It is not known.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// The side in whose name the reset travels: what its header claims, see `origin`.
    SentBy {
        /// The side that opened the connection.
        Client = "client",
        /// The side that was connected to.
        Server = "server",
        /// It is not known which side opened the connection.
        Unknown = "unknown",
    }
}

impl SentBy {
    /// The same fact in the words of firewall logs.
    pub const fn session_end_reason(self) -> SessionEndReason {
        match self {
            Self::Client => SessionEndReason::TcpRstFromClient,
            Self::Server => SessionEndReason::TcpRstFromServer,
            Self::Unknown => SessionEndReason::Unknown,
        }
    }
}

vocabulary! {
    /// `sent_by` in the words of firewall logs.
    SessionEndReason {
        /// The client's address sent it.
        TcpRstFromClient = "tcp-rst-from-client",
        /// The server's address sent it.
        TcpRstFromServer = "tcp-rst-from-server",
        /// It is not known which side is which.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// What really sent the reset.
    Origin {
        /// The TCP stack of the claimed sender.
        Endpoint = "endpoint",
        /// A packet filter on the claimed sender's host.
        HostFirewall = "host_firewall",
        /// Probably something on the path.
        MiddleboxSuspected = "middlebox_suspected",
        /// Something on the path: the claimed sender's later segments refute the reset.
        MiddleboxProven = "middlebox_proven",
        /// It is not known.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// What the receiver did with the reset.
    Effect {
        /// It ended the connection.
        Accepted = "accepted",
        /// It was answered with a challenge ACK (RFC 5961); the connection went on.
        Challenged = "challenged",
        /// It was dropped; the connection went on.
        Ignored = "ignored",
        /// It is not known.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// How far the connection had come when the reset was sent.
    Stage {
        /// Nothing of this connection was seen before, or one stray segment, which `flow` and `recent` then hold.
        NoFlow = "no_flow",
        /// After the SYN.
        PostSyn = "post_syn",
        /// After the SYN-ACK.
        PostSynack = "post_synack",
        /// After the handshake, before any data.
        PostAck = "post_ack",
        /// After the client's first data.
        PostPush = "post_push",
        /// After more data.
        PostData = "post_data",
        /// After a FIN.
        PostFin = "post_fin",
        /// After both sides had closed, or after an earlier reset.
        Closed = "closed",
    }
}

impl Stage {
    /// The stage in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoFlow => "no flow seen",
            Self::PostSyn => "after SYN",
            Self::PostSynack => "after SYN-ACK",
            Self::PostAck => "after handshake",
            Self::PostPush => "after first data",
            Self::PostData => "after data",
            Self::PostFin => "after FIN",
            Self::Closed => "after close",
        }
    }
}

vocabulary! {
    /// Zeek's connection state.
    ConnState {
        /// Connection attempt seen, no reply.
        S0 = "S0",
        /// Established, not ended.
        S1 = "S1",
        /// Established and closed.
        Sf = "SF",
        /// Connection attempt refused.
        Rej = "REJ",
        /// Established, the originator closed its half, nothing from the responder.
        S2 = "S2",
        /// Established, the responder closed its half, nothing from the originator.
        S3 = "S3",
        /// Established, the originator aborted.
        Rsto = "RSTO",
        /// The responder aborted.
        Rstr = "RSTR",
        /// The originator sent a SYN and then a RST; no SYN-ACK was seen.
        Rstos0 = "RSTOS0",
        /// The responder sent a SYN-ACK and then a RST; no SYN was seen.
        Rstrh = "RSTRH",
        /// The originator sent a SYN and then a FIN; no SYN-ACK was seen.
        Sh = "SH",
        /// The responder sent a SYN-ACK and then a FIN; no SYN was seen.
        Shr = "SHR",
        /// Midstream traffic.
        Oth = "OTH",
    }
}

vocabulary! {
    /// What the verdict rests on.
    Basis {
        /// Packets alone.
        Wire = "wire",
        /// Packets and what the kernel said about them.
        WireKernel = "wire+kernel",
    }
}

vocabulary! {
    /// How much attention this deserves.
    Severity {
        /// Benign, as most resets are.
        Info = "info",
        /// Worth a look when it repeats.
        Low = "low",
        /// Something went wrong.
        Medium = "medium",
        /// Something is wrong now, or somebody is hostile.
        High = "high",
    }
}

vocabulary! {
    /// Error isolation: where to look for the fault.
    AtFault {
        /// The side that opened the connection.
        Client = "client",
        /// The side that was connected to.
        Server = "server",
        /// Something between them.
        Network = "network",
        /// Nobody: nothing is wrong.
        Nobody = "nobody",
        /// It is not known.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// How the process is known; the task on the CPU in softirq is not the owner.
    KnownBy {
        /// It is the task that closed the socket.
        ActiveClose = "active_close",
        /// It owns the socket.
        SocketOwner = "socket_owner",
        /// It owns the listening socket.
        Listener = "listener",
    }
}

vocabulary! {
    /// Who sent a segment: `client` and `server` when they are known, else the `src` and `dst`
    /// of the reset.
    Speaker {
        /// The side that opened the connection.
        Client = "client",
        /// The side that was connected to.
        Server = "server",
        /// The source address of the reset.
        Src = "src",
        /// The destination address of the reset.
        Dst = "dst",
    }
}

vocabulary! {
    /// What a rule of the policy file expects of the resets that it matches.
    Expect {
        /// A firewall denies these connections: its resets are the policy at work.
        Denied = "denied",
        /// They are part of how things work.
        Harmless = "harmless",
        /// There is none.
        Never = "never",
        /// No more than so many within a time.
        AtMost = "at_most",
    }
}

vocabulary! {
    /// What a reset is by the rule that matches it.
    PolicyVerdict {
        /// The policy acted: a firewall denied the connection, as the rule says.
        AsConfigured = "as_configured",
        /// The rule expects it.
        Expected = "expected",
        /// The rule does not expect it, or it shows that the policy did not act.
        Violated = "violated",
        /// It shows neither that the policy acted nor that it did not.
        Unclear = "unclear",
    }
}

vocabulary! {
    /// What a finding is about.
    FindingKind {
        /// More resets than this service usually has.
        Surge = "surge",
        /// One source tries many ports or hosts.
        PortScan = "port_scan",
        /// More resets than are told one by one.
        RstFlood = "rst_flood",
        /// Forged resets on many connections.
        InjectionCampaign = "injection_campaign",
        /// Resets that follow the same length of silence.
        IdleTimeout = "idle_timeout",
        /// A listener that does not accept fast enough.
        AcceptQueueOverflow = "accept_queue_overflow",
        /// A service that went down with connections open.
        Restart = "restart",
        /// Resets that the policy file does not expect.
        PolicyViolation = "policy_violation",
    }
}

vocabulary! {
    /// How far what was found has come. A finding is told when it begins, less and less often while it goes on, and
    /// when it is over, each time with the same `id`.
    FindingState {
        /// It is told for the first time.
        Begins = "begins",
        /// It still goes on.
        GoesOn = "goes_on",
        /// Nothing of it was seen for a while, or the trace ends.
        Over = "over",
    }
}

impl Expect {
    /// What is expected, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Denied => "a firewall denies these connections",
            Self::Harmless => "resets are harmless here",
            Self::Never => "there is no reset here",
            Self::AtMost => "resets are few here",
        }
    }
}

impl PolicyVerdict {
    /// The verdict in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::AsConfigured => "as configured",
            Self::Expected => "expected",
            Self::Violated => "violated",
            Self::Unclear => "unclear",
        }
    }
}

impl FindingState {
    /// The state in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Begins => "it begins",
            Self::GoesOn => "it goes on",
            Self::Over => "it is over",
        }
    }
}

impl FindingKind {
    /// The kind in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Surge => "surge of resets",
            Self::PortScan => "port scan",
            Self::RstFlood => "flood of resets",
            Self::InjectionCampaign => "injection campaign",
            Self::IdleTimeout => "idle timeout",
            Self::AcceptQueueOverflow => "accept queue overflow",
            Self::Restart => "service restart",
            Self::PolicyViolation => "against the policy",
        }
    }
}
