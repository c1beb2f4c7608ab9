//! What is measured, and where it stands.

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// Nothing but the return.
    Empty,
    /// Finds the TCP header and looks at its flags.
    Parse,
    /// An LRU hash by the whole tuple, the clock on every packet, one shared ring.
    Textbook,
    /// rst-tracer's.
    Ours,
    /// The same with `--recorder off`.
    Unrecorded,
}

impl Subject {
    pub(crate) const ALL: [Self; 5] =
        [Self::Empty, Self::Parse, Self::Textbook, Self::Ours, Self::Unrecorded];
    /// Those that remember connections.
    pub(crate) const TRACKING: [Self; 3] = [Self::Textbook, Self::Ours, Self::Unrecorded];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Parse => "parse only",
            Self::Textbook => "textbook",
            Self::Ours => "rst-tracer",
            Self::Unrecorded => "recorder off",
        }
    }
}

/// Where programs stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hook {
    Xdp,
    TcIngress,
    TcEgress,
}

impl Hook {
    pub(crate) const ALL: [Self; 3] = [Self::Xdp, Self::TcIngress, Self::TcEgress];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "XDP ingress",
            Self::TcIngress => "TC ingress",
            Self::TcEgress => "TC egress",
        }
    }

    /// The subject's program at this hook.
    pub(crate) const fn program(self, subject: Subject) -> &'static str {
        match (subject, self) {
            (Subject::Empty, Self::Xdp) => "xdp_empty",
            (Subject::Empty, _) => "tc_empty",
            (Subject::Parse, Self::Xdp) => "xdp_parse",
            (Subject::Parse, _) => "tc_parse",
            (Subject::Textbook, Self::Xdp) => "xdp_textbook",
            (Subject::Textbook, _) => "tc_textbook",
            (Subject::Ours | Subject::Unrecorded, Self::Xdp) => "xdp_ingress",
            (Subject::Ours | Subject::Unrecorded, Self::TcIngress) => "tc_ingress",
            (Subject::Ours | Subject::Unrecorded, Self::TcEgress) => "tc_egress",
        }
    }
}
