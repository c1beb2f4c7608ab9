//! Connections told segment by segment, for tests: frames through the real parser, tracker and
//! correlator, and out come the events.

mod kernel;

use rst_tracer_common::{
    event::{Hook, Kind, Rst, RstWithFlow, Sighting},
    flow::{self, Identity, Keys, Memory, Observed, Port},
    wire::{Frame, LinkType, Segment, locate},
};
use zerocopy::FromZeros;

pub(crate) use kernel::{ELSEWHERE, HERE};

use super::{Correlator, Joined, Rules, Scene, describe};
use crate::{
    event::{RstEvent, Timestamp},
    source::{After, Origin, Record, Reset, table::Table},
};

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// When the stories begin: far from zero, so that nothing hides in small numbers.
const EPOCH_NS: u64 = 1_700_000_000_000_000_000;

/// Of the flow's identity.
const KEYS: [u32; 6] = [3, 5, 7, 11, 13, 17];

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Client = 0,
    Server = 1,
}

pub(crate) use Who::{Client, Server};

impl Who {
    fn other(self) -> Self {
        if self == Client { Server } else { Client }
    }
}

/// One segment, every field open.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: Who,
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) ttl: u8,
    pub(crate) ip_id: u16,
    pub(crate) df: bool,
    pub(crate) tos: u8,
    pub(crate) flow_label: u32,
    pub(crate) options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) mac: u8,
    pub(crate) reserved: u8,
}

/// What one side's TCP would send next.
#[derive(Clone, Debug)]
struct Peer {
    ip: [u8; 16],
    port: u16,
    next: u32,
    ip_id: u16,
    ttl: u8,
    tos: u8,
    last: Option<Packet>,
}

/// A connection being told.
pub(crate) struct Story {
    v6: bool,
    now: u64,
    peers: [Peer; 2],
    table: Table,
    correlator: Correlator,
    pub(crate) hook: Hook,
    pub(crate) ifindex: u32,
    pub(crate) came_by: u32,
    frame: u64,
    /// The namespace of the tracer, where it has one.
    netns: Option<u32>,
}

impl Story {
    pub(crate) fn v4() -> Self {
        Self::between(false, 51234, 443)
    }

    pub(crate) fn v6() -> Self {
        Self::between(true, 51234, 443)
    }

    /// Client and server on these ports; a capture that stands before the client.
    pub(crate) fn between(v6: bool, client: u16, server: u16) -> Self {
        let mut ips = [[0; 16]; 2];
        for (ip, (v4, v6_tail)) in ips.iter_mut().zip([([10, 0, 1, 5], 5), ([10, 0, 2, 9], 9)]) {
            if v6 {
                ip[..2].copy_from_slice(&[0x20, 0x01]);
                ip[7] = v6_tail;
                ip[15] = v6_tail;
            } else {
                ip[..4].copy_from_slice(&v4);
            }
        }
        let peer =
            |ip, port, next, ip_id, ttl| Peer { ip, port, next, ip_id, ttl, tos: 0, last: None };
        let peers =
            [peer(ips[0], client, 1_000_000, 100, 64), peer(ips[1], server, 0xffff_ff00, 7000, 57)];
        let rules = Rules { merge_ns: 1_000_000, ..Rules::default() };
        Self {
            v6,
            now: EPOCH_NS,
            peers,
            table: Table::with_room_for(64).unwrap().reporting_every_reset(),
            correlator: Correlator::new(rules),
            hook: Hook::PCAP,
            ifindex: 0,
            came_by: 0,
            frame: 0,
            netns: None,
        }
    }

    /// Sets the type of service of both sides.
    pub(crate) fn with_tos(mut self, tos: u8) -> Self {
        self.peers.iter_mut().for_each(|peer| peer.tos = tos);
        self
    }

    /// A new connection of the same client from another port.
    pub(crate) fn another_client(&mut self, port: u16) -> &mut Self {
        self.peers[Client as usize].port = port;
        self
    }

    /// A new connection to another port of the same server.
    pub(crate) fn another_server(&mut self, port: u16) -> &mut Self {
        self.peers[Server as usize].port = port;
        self
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, ms: u64) -> &mut Self {
        self.now += ms * 1_000_000;
        self
    }

    /// Sets the clock, which may jump either way in a capture.
    pub(crate) fn at(&mut self, now: u64) -> &mut Self {
        self.now = now;
        self
    }

    /// What a side's TCP would send with these flags.
    pub(crate) fn packet(&self, from: Who, flags: u8) -> Packet {
        let (me, peer) = (&self.peers[from as usize], &self.peers[from.other() as usize]);
        let tsval = (self.now / 1_000_000) as u32;
        let mut options = vec![1, 1, 8, 10];
        options.extend(tsval.to_be_bytes());
        options.extend([0; 4]);
        if flags & SYN != 0 {
            options.extend([2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7]);
        }
        Packet {
            from,
            flags,
            seq: me.next,
            ack: if flags & ACK != 0 { peer.next } else { 0 },
            window: 502,
            ttl: me.ttl,
            ip_id: me.ip_id,
            df: true,
            tos: me.tos,
            flow_label: if self.v6 { 0x51ab1 + from as u32 } else { 0 },
            options,
            payload: vec![],
            mac: 2,
            reserved: 0,
        }
    }

    pub(crate) fn syn(&mut self) -> &mut Self {
        self.send(self.packet(Client, SYN))
    }

    pub(crate) fn syn_ack(&mut self) -> &mut Self {
        self.send(Packet { ip_id: 0, ..self.packet(Server, SYN | ACK) })
    }

    pub(crate) fn ack(&mut self, from: Who) -> &mut Self {
        self.send(self.packet(from, ACK))
    }

    pub(crate) fn fin(&mut self, from: Who) -> &mut Self {
        self.send(self.packet(from, FIN | ACK))
    }

    pub(crate) fn say(&mut self, from: Who, words: &[u8]) -> &mut Self {
        self.send(Packet { payload: words.to_vec(), ..self.packet(from, PSH | ACK) })
    }

    /// Says something without having heard the other side's last words: something stopped them on their way.
    pub(crate) fn say_deaf(&mut self, from: Who, words: &[u8], unheard: &[u8]) -> &mut Self {
        let usual = self.packet(from, PSH | ACK);
        let ack = usual.ack.wrapping_sub(unheard.len() as u32);
        self.send(Packet { payload: words.to_vec(), ack, ..usual })
    }

    /// SYN, SYN-ACK, ACK, 10 ms apart.
    pub(crate) fn handshake(&mut self) -> &mut Self {
        self.syn().wait(10).syn_ack().wait(10).ack(Client).wait(1)
    }

    /// A request, an answer, and the acknowledgment of each.
    pub(crate) fn exchange(&mut self) -> &mut Self {
        self.say(Client, b"GET / HTTP/1.1\r\n\r\n").wait(5).ack(Server).wait(5);
        self.say(Server, b"HTTP/1.1 200 OK\r\n\r\n").wait(5).ack(Client).wait(5)
    }

    /// A keepalive probe.
    pub(crate) fn probe(&mut self, from: Who) -> &mut Self {
        let usual = self.packet(from, ACK);
        self.send(Packet { seq: usual.seq.wrapping_sub(1), ..usual })
    }

    /// The reset of a live socket.
    pub(crate) fn abort(&mut self, from: Who) -> &mut Self {
        self.send(self.packet(from, RST | ACK))
    }

    /// The answer of a TCP that has no socket for the other side's last segment.
    pub(crate) fn answer(&self, from: Who) -> Packet {
        let trigger = self.peers[from.other() as usize].last.clone().unwrap();
        let usual = Packet {
            options: vec![],
            window: 0,
            ip_id: 0,
            tos: trigger.tos,
            ..self.packet(from, RST)
        };
        if trigger.flags & ACK != 0 {
            return Packet {
                seq: trigger.ack,
                ack: 0,
                flow_label: usual.flow_label | 0xf0000,
                ..usual
            };
        }
        let syn_fin = u32::from(trigger.flags & 1) + u32::from(trigger.flags >> 1 & 1);
        let ack = trigger.seq.wrapping_add(trigger.payload.len() as u32).wrapping_add(syn_fin);
        Packet { seq: 0, ack, flags: RST | ACK, ..usual }
    }

    /// Sends the answer of a TCP without a socket.
    pub(crate) fn disown(&mut self, from: Who) -> &mut Self {
        self.send(self.answer(from))
    }

    /// The same from a packet filter.
    pub(crate) fn reject(&mut self, as_if: Who) -> &mut Self {
        self.send(Packet { tos: 0, flow_label: 0, ..self.answer(as_if) })
    }

    /// Puts a segment on the wire.
    pub(crate) fn send(&mut self, packet: Packet) -> &mut Self {
        self.see(&packet);
        if packet.flags & RST == 0 {
            let me = &mut self.peers[packet.from as usize];
            let syn_fin = u32::from(packet.flags & 1) + u32::from(packet.flags >> 1 & 1);
            let end = packet.seq.wrapping_add(packet.payload.len() as u32).wrapping_add(syn_fin);
            if end.wrapping_sub(me.next) < 1 << 31 {
                me.next = end;
            }
            me.ip_id = me.ip_id.wrapping_add(1);
            me.last = Some(packet);
        }
        self.now = self.now.saturating_add(10_000);
        self
    }

    /// The same segment at another hook of the same host.
    pub(crate) fn seen_at(&mut self, hook: Hook, ifindex: u32, packet: &Packet) -> &mut Self {
        (self.hook, self.ifindex) = (hook, ifindex);
        self.see(packet);
        self
    }

    fn see(&mut self, packet: &Packet) {
        let bytes = self.frame_of(packet);
        let frame = Frame::whole(&bytes);
        let mut segment = Segment::new_zeroed();
        locate(&frame, LinkType::ETHERNET, false, &mut segment).unwrap();
        let id = Identity::of(&segment.src, &segment.dst, &Keys(KEYS));
        let port = match self.hook {
            Hook::TC_EGRESS => Port::egress(self.ifindex),
            _ => Port::ingress(self.ifindex),
        };
        self.frame += 1;
        let mut sighting = Sighting {
            time_ns: self.now,
            flow_hash: id.hash,
            side: id.side,
            hook: self.hook,
            ifindex: self.ifindex,
            came_by: self.came_by,
            src_accepted: 0,
        };
        let is_file = self.hook == Hook::PCAP;
        let origin = Origin {
            interface: (!is_file).then(|| format!("eth{}", self.ifindex).into()),
            file: is_file.then(|| "story.pcap".into()),
            frame: is_file.then_some(self.frame),
            is_ethernet: true,
        };
        let time = Timestamp(self.now);
        let observed = flow::observe(&mut self.table, &id, &segment, port, self.now);
        if let Observed::Reset(_) = observed {
            sighting.src_accepted = flow::accepted_ago(&mut self.table, &id, self.now);
        }
        match observed {
            Observed::Tracked(tracked) => {
                flow::note_server(&mut self.table, tracked.place, &id, &segment, self.now);
                flow::note_payload(&mut self.table, tracked.place, id.side, &segment, &frame);
                if tracked.is_aftermath {
                    let mut head = rst_tracer_common::event::Head::default();
                    head.write(Kind::AFTERMATH, &sighting, &segment, bytes.len() as u32);
                    self.correlator.take(Record::After(After { time, head }));
                }
            }
            Observed::Reset(None) => {
                let mut rst = Rst::new_zeroed();
                rst.write(Kind::RST, &sighting, &segment, &frame);
                let reset = Reset { time, origin, rst: Box::new(rst), flow: None };
                self.correlator.take(Record::Reset(reset));
            }
            Observed::Reset(Some(place)) => {
                let mut record = RstWithFlow::new_zeroed();
                let entry = self.table.entry(place.bucket, place.way).unwrap();
                record.write(&sighting, &segment, &frame, &entry);
                self.correlator.take(Record::Reset(Reset::of(&record, time, origin)));
                flow::note_reset(&mut self.table, place, id.side, &segment, port, self.now);
            }
            Observed::SecondSighting => {}
            other => panic!("{other:?}"),
        }
    }

    fn frame_of(&self, packet: &Packet) -> Vec<u8> {
        let (me, to) =
            (&self.peers[packet.from as usize], &self.peers[packet.from.other() as usize]);
        let mut tcp = Vec::new();
        tcp.extend(me.port.to_be_bytes());
        tcp.extend(to.port.to_be_bytes());
        tcp.extend(packet.seq.to_be_bytes());
        tcp.extend(packet.ack.to_be_bytes());
        let words = 5 + packet.options.len().div_ceil(4);
        tcp.extend([(words as u8) << 4 | packet.reserved, packet.flags]);
        tcp.extend(packet.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(&packet.options);
        tcp.resize(words * 4, 0);
        tcp.extend(&packet.payload);
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, packet.mac];
        if self.v6 {
            frame.extend([0x86, 0xdd]);
            let first = 6 << 28 | u32::from(packet.tos) << 20 | packet.flow_label;
            frame.extend(first.to_be_bytes());
            frame.extend((tcp.len() as u16).to_be_bytes());
            frame.extend([6, packet.ttl]);
            frame.extend(me.ip);
            frame.extend(to.ip);
        } else {
            frame.extend([8, 0, 0x45, packet.tos]);
            frame.extend((20 + tcp.len() as u16).to_be_bytes());
            frame.extend(packet.ip_id.to_be_bytes());
            frame.extend([if packet.df { 0x40 } else { 0 }, 0, packet.ttl, 6, 0, 0]);
            frame.extend(&me.ip[..4]);
            frame.extend(&to.ip[..4]);
        }
        frame.extend(tcp);
        frame
    }

    /// Statements of the kernel are lost now.
    pub(crate) fn lose_statements(&mut self) {
        self.correlator.statements_lost(self.now);
    }

    /// The events of all resets so far, in order.
    pub(crate) fn told(&mut self) -> Vec<RstEvent> {
        let scene = Scene { host: "here".into(), netns: self.netns, ..Scene::default() };
        std::iter::from_fn(|| self.correlator.release())
            .map(|joined| describe(&joined, &scene))
            .collect()
    }

    /// The first reset with everything that belongs to it, to say more about it.
    pub(crate) fn joined(&mut self) -> Joined {
        self.correlator.release().unwrap()
    }

    /// The event of the first reset.
    pub(crate) fn first(&mut self) -> RstEvent {
        self.told().into_iter().next().unwrap()
    }
}
