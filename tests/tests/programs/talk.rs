//! A conversation in front of a program: one side speaks, then the other.

use std::net::IpAddr;

use rst_tracer_common::{
    event::{Counters, RstWithFlow},
    flow::{self, Count, Flow, Hot, Identity},
    wire::{Address, Endpoint},
};
use rst_tracer_tests::{
    frames::{CLIENT, CLIENT_PORT, SERVER, SERVER_PORT, Tcp, V4, flags::*, tcp},
    kernel::{KEYS, Kernel, Program, Ran, Record},
};

use crate::behaviour::leaves_the_frame_alone;

/// The client's initial sequence number; the server's is [`SERVER_ISN`].
pub(crate) const CLIENT_ISN: u32 = 100;
pub(crate) const SERVER_ISN: u32 = 5000;

/// Client and server, and the program that sees both.
pub(crate) struct Talk<'a> {
    pub(crate) kernel: &'a mut Kernel,
    pub(crate) program: Program,
    /// The client's port; another one is another connection.
    pub(crate) port: u16,
}

/// Bits, sequence number, acknowledgment.
pub(crate) fn segment(flags: u8, seq: u32, ack: u32) -> Tcp {
    Tcp { flags, seq, ack, ..Tcp::default() }
}

/// With payload.
pub(crate) fn data(seq: u32, ack: u32, payload: &[u8]) -> Tcp {
    Tcp { payload: payload.to_vec(), ..segment(PSH | ACK, seq, ack) }
}

/// The client's first word.
pub(crate) fn syn() -> Tcp {
    Tcp { options: vec![2, 4, 5, 180, 1, 3, 3, 7], ..segment(SYN, CLIENT_ISN, 0) }
}

/// The server's answer.
pub(crate) fn syn_ack() -> Tcp {
    Tcp {
        options: vec![2, 4, 5, 120],
        window: 28_960,
        ..segment(SYN | ACK, SERVER_ISN, CLIENT_ISN + 1)
    }
}

impl<'a> Talk<'a> {
    pub(crate) fn new(kernel: &'a mut Kernel, program: Program) -> Self {
        Self { kernel, program, port: CLIENT_PORT }
    }

    /// The client sends a segment.
    pub(crate) fn client(&mut self, segment: Tcp) -> Ran {
        self.see(&self.of_client(segment))
    }

    /// The server sends a segment.
    pub(crate) fn server(&mut self, segment: Tcp) -> Ran {
        self.see(&self.of_server(segment))
    }

    /// The frame of a client's segment.
    pub(crate) fn of_client(&self, segment: Tcp) -> Vec<u8> {
        tcp(Tcp { from: self.port, ..segment }).v4().frame()
    }

    /// The frame of a server's segment, from another hop count away.
    pub(crate) fn of_server(&self, segment: Tcp) -> Vec<u8> {
        let header = V4 { ttl: 57, id: 0, ..V4::default() };
        tcp(Tcp { from: self.port, ..segment }.back()).in_v4(header.back()).frame()
    }

    /// The program sees a frame, and leaves it alone.
    pub(crate) fn see(&mut self, frame: &[u8]) -> Ran {
        let ran = self.kernel.run(self.program, frame);
        leaves_the_frame_alone(self.program, frame, &ran);
        ran
    }

    /// SYN, SYN-ACK, ACK.
    pub(crate) fn handshake(&mut self) -> [Ran; 3] {
        [
            self.client(syn()),
            self.server(syn_ack()),
            self.client(segment(ACK, CLIENT_ISN + 1, SERVER_ISN + 1)),
        ]
    }

    /// The two ends, hashed.
    pub(crate) fn identity(&self) -> Identity {
        let end = |ip: [u8; 4], port: u16| Endpoint {
            address: Address::from_ip(IpAddr::from(ip)),
            port: port.into(),
        };
        Identity::of(&end(CLIENT, self.port), &end(SERVER, SERVER_PORT), &KEYS)
    }

    /// The side number of the client; the server's is the other one.
    pub(crate) fn client_side(&self) -> usize {
        self.identity().side as usize
    }

    /// The flow as it stands in the table.
    pub(crate) fn flow(&self) -> Option<Flow> {
        Some(self.entry()?.1)
    }

    /// What the table counted of the client.
    pub(crate) fn client_count(&self) -> Option<Count> {
        Some(self.entry()?.0.counts[self.client_side()])
    }

    fn entry(&self) -> Option<(Hot, Flow)> {
        let id = self.identity();
        let number = id.bucket(self.kernel.mask());
        let bucket = self.kernel.bucket(number);
        let way = flow::find(&bucket, &id)?;
        Some((bucket.hot[way as usize], self.kernel.flow(number, way)))
    }
}

/// What one hook counted.
pub(crate) fn counted(ran: &Ran, program: Program) -> Counters {
    ran.counted[usize::from(program.hook().0)]
}

/// The one record there must be, of a RST with its flow.
pub(crate) fn with_flow(ran: &Ran) -> &RstWithFlow {
    match &ran.records[..] {
        [Record::RstWithFlow(record)] => record,
        records => panic!("not one RST with its flow: {records:?}"),
    }
}

/// The history that a record shows, as Zeek writes it.
pub(crate) fn history(record: &RstWithFlow) -> String {
    let opener = record.hot.opener().expect("who opened it is known");
    record.flow.history_letters(opener).map(char::from).collect()
}
