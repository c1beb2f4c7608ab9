//! One frame, and what must come of it: the test that every line of the tables is.

use rst_tracer_common::{
    event::{Counters, FRAME, Head, Hook, Kind, PAYLOAD, Rst},
    flow::Identity,
    wire::{
        Address, Endpoint, Flags, Malformed, NO_MPTCP, NO_SCALE, NotOurs, Segment, Seq, Tcp, Tunnel,
    },
};
use rst_tracer_tests::{
    frames::{self, CLIENT, CLIENT_PORT, CLIENT_V6, MAC, SERVER, SERVER_PORT, SERVER_V6},
    kernel::{self, KEYS, Kernel, LOOPBACK, Program, Ran, Record},
};

/// Declares a test per line: a name that says the behaviour, a frame, an outcome.
macro_rules! behaviours {
    ($($name:ident: $frame:expr => $outcome:expr;)*) => {
        $(#[test]
        fn $name() {
            let frame: Vec<u8> = $frame;
            $crate::behaviour::check(&frame, &$outcome);
        })*
    };
}

/// What must come of a frame.
pub(crate) enum Outcome {
    /// Passed over, counted by reason.
    NotOurs(NotOurs),
    /// Counted by what is wrong with it.
    Malformed(Malformed),
    /// A RST without a flow: reported with exactly this segment.
    Reported(Box<Segment>),
}

pub(crate) const fn not_ours(reason: NotOurs) -> Outcome {
    Outcome::NotOurs(reason)
}

pub(crate) const fn malformed(kind: Malformed) -> Outcome {
    Outcome::Malformed(kind)
}

/// Reported as [`frames::rst`] behind default headers, but for what `differs`.
pub(crate) fn reported(differs: impl FnOnce(&mut Segment)) -> Outcome {
    let mut segment = plain_rst();
    differs(&mut segment);
    Outcome::Reported(segment.into())
}

/// As [`reported`], over IPv6.
pub(crate) fn reported_v6(differs: impl FnOnce(&mut Segment)) -> Outcome {
    reported(|s| {
        over_v6(s);
        differs(s);
    })
}

/// What an IPv6 header instead of an IPv4 one changes.
pub(crate) fn over_v6(segment: &mut Segment) {
    segment.src.address = Address::from_ip(CLIENT_V6.into());
    segment.dst.address = Address::from_ip(SERVER_V6.into());
    segment.ip_id = 0;
    segment.traits = Segment::IPV6;
    segment.payload_at += 20;
}

/// Moves the headers `by` bytes further into the frame.
pub(crate) fn deeper(segment: &mut Segment, by: u16) {
    segment.ip_at += by;
    segment.payload_at += by;
}

/// [`frames::rst`] behind default headers, written down without the parser.
fn plain_rst() -> Segment {
    let end = |ip: [u8; 4], port: u16| Endpoint {
        address: Address::from_ip(ip.into()),
        port: port.into(),
    };
    Segment {
        src: end(CLIENT, CLIENT_PORT),
        dst: end(SERVER, SERVER_PORT),
        tcp: Tcp {
            seq: Seq(1000),
            ack: Seq(2000),
            window: 512,
            flags: Flags(Flags::RST.0 | Flags::ACK.0),
            header_len: 20,
            scale: NO_SCALE,
            mptcp_subtype: NO_MPTCP,
            ..Tcp::default()
        },
        ip_at: 14,
        payload_at: 54,
        ip_id: 7,
        ttl: 64,
        traits: Segment::DONT_FRAGMENT,
        mac: MAC,
        ..Segment::default()
    }
}

/// Runs a frame through the Ethernet programs, and what is behind its Ethernet header through those
/// for devices without one.
pub(crate) fn check(frame: &[u8], outcome: &Outcome) {
    let Some(mut kernel) = kernel::shared() else { return };
    assert!(Program::XdpIngress.can_be_tested_on(frame), "a frame that no program can be given");
    for program in Program::ETHERNET {
        check_one(&mut kernel, program, frame, outcome);
    }
    if let Some((packet, outcome)) = without_link(frame, outcome) {
        for program in Program::L3 {
            check_one(&mut kernel, program, packet, &outcome);
        }
    }
}

/// Runs a packet through the programs for devices without a link header only.
pub(crate) fn check_l3(packet: &[u8], outcome: &Outcome) {
    let Some(mut kernel) = kernel::shared() else { return };
    for program in Program::L3 {
        check_one(&mut kernel, program, packet, outcome);
    }
}

/// The same packet on a device without a link header, if that makes sense.
fn without_link<'a>(frame: &'a [u8], outcome: &Outcome) -> Option<(&'a [u8], Outcome)> {
    let (link, packet) = frame.split_at_checked(14)?;
    let version = match link[12..] {
        [0x08, 0x00] => 4,
        [0x86, 0xdd] => 6,
        _ => return None,
    };
    // The version is all that such a device has to tell the family by.
    if packet.first()? >> 4 != version {
        return None;
    }
    let outcome = match outcome {
        Outcome::NotOurs(reason) => not_ours(*reason),
        Outcome::Malformed(kind) => malformed(*kind),
        Outcome::Reported(segment) => {
            let mut segment = segment.clone();
            segment.ip_at -= 14;
            segment.payload_at -= 14;
            if segment.mac == MAC {
                segment.mac = [0; 6];
            }
            Outcome::Reported(segment)
        }
    };
    Some((packet, outcome))
}

fn check_one(kernel: &mut Kernel, program: Program, frame: &[u8], outcome: &Outcome) {
    if !program.can_be_tested_on(frame) {
        return;
    }
    let ran = kernel.run(program, frame);
    let context = format!("{} on {}", program.name(), kernel::hex(frame));
    let mut expected = Counters { frames: 1, ..Counters::default() };
    match outcome {
        Outcome::NotOurs(reason) => expected.not_ours[*reason as usize] = 1,
        Outcome::Malformed(kind) => expected.malformed[*kind as usize] = 1,
        Outcome::Reported(_) => {
            (expected.segments, expected.rsts, expected.delivered) = (1, 1, 1);
        }
    }
    leaves_the_frame_alone(program, frame, &ran);
    assert_eq!(ran.counted, only(program, expected), "{context}");
    match (outcome, &ran.records[..]) {
        (Outcome::Reported(segment), [Record::Rst(rst)]) => {
            assert_eq!(rst.head.segment, **segment, "{context}");
            assert_eq!(**rst, record(program, frame, segment, rst.head.time_ns), "{context}");
        }
        (Outcome::Reported(_), records) => panic!("{context}: reported {records:?}"),
        (_, records) => assert!(records.is_empty(), "{context}: reported {records:?}"),
    }
}

/// The verdict is that of every frame, and no byte was changed.
pub(crate) fn leaves_the_frame_alone(program: Program, frame: &[u8], ran: &Ran) {
    assert_eq!(ran.verdict, program.verdict(), "{} decided something", program.name());
    assert!(ran.frame == frame, "{} changed {}", program.name(), kernel::hex(frame));
}

/// Counters of which those of one program's hook moved, and no others.
pub(crate) fn only(program: Program, counters: Counters) -> [Counters; Hook::COUNT] {
    let mut all = [Counters::default(); Hook::COUNT];
    all[usize::from(program.hook().0)] = counters;
    all
}

/// The whole record of a RST without a flow.
fn record(program: Program, frame: &[u8], segment: &Segment, time_ns: u64) -> Rst {
    let id = Identity::of(&segment.src, &segment.dst, &KEYS);
    let payload = frame.get(usize::from(segment.payload_at)..).unwrap_or_default();
    let payload = &payload[..payload.len().min(segment.tcp.payload_len as usize)];
    let (frame_start, frame_len) = prefix::<FRAME>(frame);
    let (payload_start, payload_len) = prefix::<PAYLOAD>(payload);
    assert!(time_ns > 0);
    Rst {
        head: Head {
            time_ns,
            flow_hash: id.hash,
            kind: Kind::RST,
            hook: program.hook(),
            side: id.side as u8,
            ifindex: LOOPBACK,
            wire_len: frame.len() as u32,
            came_by: 0,
            segment: *segment,
        },
        src_accepted: 0,
        frame_len,
        payload_len,
        frame: frame_start,
        payload: payload_start,
    }
}

/// The first `N` bytes, zeros behind them, and how many there are.
fn prefix<const N: usize>(bytes: &[u8]) -> ([u8; N], u16) {
    let len = bytes.len().min(N);
    let mut start = [0; N];
    start[..len].copy_from_slice(&bytes[..len]);
    (start, len as u16)
}

/// What a tunnel leaves of the outer headers: only where they end.
pub(crate) fn tunnelled(kind: Tunnel, headers: u16) -> Outcome {
    reported(|s| {
        s.tunnel = kind;
        deeper(s, headers);
    })
}

/// As [`tunnelled`], where the tunnel carries Ethernet.
pub(crate) fn bridged(kind: Tunnel, headers: u16) -> Outcome {
    reported(|s| {
        s.tunnel = kind;
        s.mac = frames::INNER_MAC;
        deeper(s, headers);
    })
}
