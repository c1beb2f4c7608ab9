//! A conversation told segment by segment, with what is known of each reset in it.
//!
//! In: who says what. Out: frames for a capture file and the events that a replay of it must yield.
//! What is expected is told by the one who made the frames; nothing of it comes from the tracer.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::bytes::{self, ACK, FIN, PSH, RST, SYN, Segment};
use crate::capture_file::Frame;

/// A side of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}
use Side::{Client, Server};

impl Side {
    fn name(self) -> &'static str {
        if self == Client { "client" } else { "server" }
    }

    fn peer(self) -> Self {
        if self == Client { Server } else { Client }
    }
}

/// The shapes in which stacks send resets (Linux: `tcp_send_active_reset`, `tcp_v4_send_reset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A socket is aborted: RST+ACK at the next sequence number, window as usual.
    Active,
    /// The answer to a segment with ACK: RST at the number it acknowledged, window 0.
    Passive,
    /// The answer to a SYN: RST+ACK, sequence number 0.
    Refusal,
}

/// A packet around which link headers are put.
pub type Wrap = fn(&[u8]) -> Vec<u8>;

const START_NS: u64 = 1_700_000_000_000_000_000;
const STEP_NS: u64 = 1_000_000;

/// Frames so far, and the connection that speaks.
pub struct Story {
    client: SocketAddr,
    server: SocketAddr,
    next: [u32; 2],
    ip_ids: [u16; 2],
    /// How we know who opened the connection: what the tracer can know, too.
    initiator: Option<&'static str>,
    pub now_ns: u64,
    pub wrap: Wrap,
    pub interface: u32,
    pub frames: Vec<Frame>,
    pub events: Vec<Value>,
}

impl Story {
    /// Between 10.0.0.5:51234 and 10.0.0.9:443 over Ethernet.
    pub fn v4() -> Self {
        Self::between("10.0.0.5:51234", "10.0.0.9:443")
    }

    /// Between 2001:db8::5 and 2001:db8::9.
    pub fn v6() -> Self {
        Self::between("[2001:db8::5]:51234", "[2001:db8::9]:443")
    }

    /// # Panics
    /// When an address is none.
    pub fn between(client: &str, server: &str) -> Self {
        Self {
            client: client.parse().expect("an address and a port"),
            server: server.parse().expect("an address and a port"),
            next: [1_000_000, 5_000_000],
            ip_ids: [100, 40_000],
            initiator: None,
            now_ns: START_NS,
            wrap: bytes::ethernet,
            interface: 0,
            frames: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Wraps the frames that follow in other headers.
    pub fn over(mut self, wrap: Wrap) -> Self {
        self.wrap = wrap;
        self
    }

    /// Another connection between the same ends, with other sequence numbers.
    pub fn begin_again(&mut self, isn: [u32; 2]) {
        self.next = isn;
        self.initiator = None;
    }

    /// A new connection from another port of the client.
    pub fn begin_from_port(&mut self, port: u16) {
        self.client.set_port(port);
        self.begin_again([2_000_000, 6_000_000]);
    }

    pub fn pause_ms(&mut self, ms: u64) {
        self.now_ns += ms * 1_000_000;
    }

    fn end(&self, side: Side) -> SocketAddr {
        if side == Client { self.client } else { self.server }
    }

    /// The segment that `side` would send next, without sending it.
    pub fn segment(&mut self, side: Side, flags: u8, payload: &[u8]) -> Segment {
        let (me, peer) = (side as usize, side.peer() as usize);
        self.ip_ids[me] = self.ip_ids[me].wrapping_add(1);
        let ack = if flags & ACK != 0 { self.next[peer] } else { 0 };
        let mss: &[u8] = &[2, 4, 5, 0xb4];
        Segment {
            src: self.end(side),
            dst: self.end(side.peer()),
            flags,
            seq: self.next[me],
            ack,
            window: 502,
            ttl: 64,
            ip_id: self.ip_ids[me],
            options: if flags & SYN != 0 { mss.to_vec() } else { Vec::new() },
            payload: payload.to_vec(),
        }
    }

    /// Sends a packet as it is; the number of its frame.
    pub fn send_packet(&mut self, packet: &[u8]) -> u64 {
        let bytes = (self.wrap)(packet);
        self.now_ns += STEP_NS;
        let wire_len = bytes.len() as u32;
        let (time_ns, interface) = (self.now_ns, self.interface);
        self.frames.push(Frame { time_ns, interface, wire_len, bytes });
        self.frames.len() as u64
    }

    /// Sends a segment and moves the sequence number behind it.
    pub fn send(&mut self, side: Side, flags: u8, payload: &[u8]) -> u64 {
        let segment = self.segment(side, flags, payload);
        let used = payload.len() as u32 + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        self.next[side as usize] = segment.seq.wrapping_add(used);
        if flags & SYN != 0 && self.initiator.is_none() {
            self.initiator = Some(if flags & ACK != 0 { "syn_ack" } else { "syn" });
        }
        self.send_packet(&segment.packet())
    }

    pub fn syn(&mut self) {
        self.send(Client, SYN, &[]);
    }

    pub fn syn_ack(&mut self) {
        self.send(Server, SYN | ACK, &[]);
    }

    pub fn ack(&mut self, side: Side) {
        self.send(side, ACK, &[]);
    }

    pub fn data(&mut self, side: Side, len: usize) {
        self.send(side, PSH | ACK, &vec![b'x'; len]);
    }

    pub fn fin(&mut self, side: Side) {
        self.send(side, FIN | ACK, &[]);
    }

    /// SYN, SYN-ACK, ACK.
    pub fn handshake(&mut self) {
        self.syn();
        self.syn_ack();
        self.ack(Client);
    }

    /// Handshake, a request of 100 bytes, its ACK, an answer of 300 bytes.
    pub fn exchange(&mut self) {
        self.handshake();
        self.data(Client, 100);
        self.ack(Server);
        self.data(Server, 300);
    }

    /// A reset in one of the usual forms, not sent.
    pub fn reset_segment(&mut self, side: Side, form: Form) -> Segment {
        let flags = if form == Form::Passive { RST } else { RST | ACK };
        let mut segment = self.segment(side, flags, &[]);
        if form != Form::Active {
            (segment.window, segment.ip_id) = (0, 0);
        }
        if form == Form::Refusal {
            segment.seq = 0;
        }
        segment
    }

    /// Sends a reset and expects its event.
    pub fn reset(&mut self, side: Side, form: Form) -> Expected<'_> {
        let segment = self.reset_segment(side, form);
        let frame = self.send_packet(&segment.packet());
        self.expect(side, frame)
    }

    /// Expects an event for `frame`, a reset that `side` sent.
    pub fn expect(&mut self, side: Side, frame: u64) -> Expected<'_> {
        let end = |end: SocketAddr| json!({"ip": end.ip().to_string(), "port": end.port()});
        let mut event = Map::new();
        event.insert("frame".into(), frame.into());
        event.insert("src".into(), end(self.end(side)));
        event.insert("dst".into(), end(self.end(side.peer())));
        if let Some(initiator) = self.initiator {
            event.insert("client".into(), end(self.client));
            event.insert("server".into(), end(self.server));
            event.insert("initiator".into(), initiator.into());
            event.insert("sent_by".into(), side.name().into());
        }
        self.events.push(Value::Object(event));
        let at = self.events.len() - 1;
        Expected { event: &mut self.events[at] }
    }
}

/// An expected event, to which more is added.
pub struct Expected<'a> {
    event: &'a mut Value,
}

impl Expected<'_> {
    /// The phase of the connection before the reset.
    pub fn stage(self, stage: &str) -> Self {
        self.with("stage", stage)
    }

    /// Zeek's state and history, the reset included.
    pub fn zeek(self, conn_state: &str, history: &str) -> Self {
        self.with("conn_state", conn_state).with("history", history)
    }

    /// Any key of the event.
    pub fn with(self, key: &str, value: impl Into<Value>) -> Self {
        self.event[key] = value.into();
        self
    }
}
