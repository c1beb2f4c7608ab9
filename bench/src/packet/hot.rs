//! Frames of one connection: every kind, every hook.

use anyhow::Result;

use super::{COLUMNS, add};
use crate::{
    frames::{Kind, Road},
    loaded::{Bench, Objects},
    report::{Goal, Table},
    rounds::{Effort, Measured, Stands, measure},
    subject::{Hook, Subject},
};

/// What each of them took.
pub(super) struct Hot(Vec<(Frame, Measured)>);

/// Where a frame is seen, what it is and how it travels.
type Frame = (Hook, Kind, Road);

impl Hot {
    /// Measures them; beside the table one that says how large the programs are.
    pub(super) fn measure(objects: &Objects<'_>, effort: Effort) -> Result<(Self, Table, Table)> {
        let mut bench = Bench::load(objects, 1 << 16)?;
        let mut table = Table::new("One connection", &COLUMNS);
        let mut all = Vec::new();
        let v4 = Kind::ALL.map(|kind| (kind, Road::V4));
        let others = [Road::V6, Road::V4Tagged].map(|road| (Kind::Data, road));
        let frames = || v4.into_iter().chain(others);
        let frames =
            Hook::ALL.into_iter().flat_map(|hook| frames().map(move |(k, r)| (hook, k, r)));
        // A connection of its own for each: elsewhere it would be a second sighting.
        for (client, frame) in (1..).zip(frames) {
            let measured = one(&mut bench, client, frame, effort)?;
            let (hook, kind, road) = frame;
            let what = format!("{}, {}, {}", kind.name(), road.name(), hook.name());
            add(&mut table, what, &measured);
            all.push((frame, measured));
        }
        Ok((Self(all), table, sizes(&bench)?))
    }

    fn of(&self, frame: Frame) -> &Measured {
        let found = self.0.iter().find(|(it, _)| *it == frame);
        found.map(|(_, measured)| measured).expect("it is measured")
    }

    /// What we take for one frame, × another. The processor may have changed its pace in between: each is taken by
    /// what doing nothing took beside it.
    fn beside(&self, one: Frame, other: Frame) -> f64 {
        let [one, other] = [one, other].map(|it| self.of(it).times(Subject::Ours, Subject::Empty));
        one / other
    }

    /// What is hoped for.
    pub(super) fn goals(&self) -> Vec<Goal> {
        let data = |hook, road| (hook, Kind::Data, road);
        let v4 = self.of(data(Hook::Xdp, Road::V4));
        let parse = v4.times(Subject::Ours, Subject::Parse);
        let textbook = v4.times(Subject::Ours, Subject::Textbook);
        let off = [Subject::Parse, Subject::Textbook].map(|it| v4.times(Subject::Unrecorded, it));
        let net = v4.net(Subject::Unrecorded);
        let v6 = self.beside(data(Hook::Xdp, Road::V6), data(Hook::Xdp, Road::V4));
        let egress = self.beside(data(Hook::TcEgress, Road::V4), data(Hook::TcIngress, Road::V4));
        vec![
            Goal::at_most("data segment, one connection: × parse only", 1.7, parse),
            Goal::at_most("data segment, one connection: × textbook", 0.5, textbook),
            Goal::at_most("data segment, one connection, recorder off: × parse only", 1.45, off[0]),
            Goal::at_most("data segment, one connection, recorder off: × textbook", 0.45, off[1]),
            Goal::at_most("data segment, one connection, recorder off: ns net of empty", 22.0, net),
            Goal::at_most("IPv6 × IPv4, XDP ingress", 1.1, v6),
            Goal::at_most("egress × ingress, TC", 1.3, egress),
        ]
    }

    /// What must hold. A data segment that has lost the short way takes 1.4 times what the textbook's does; in a VLAN
    /// it takes 2.6 times what it does without; UDP that goes through the parser takes 0.8 of a data segment, net.
    pub(super) fn floors(&self) -> Vec<Goal> {
        let mut floors: Vec<Goal> = Hook::ALL.into_iter().flat_map(|hook| self.at(hook)).collect();
        let data = |hook| (hook, Kind::Data, Road::V4);
        let egress = self.beside(data(Hook::TcEgress), data(Hook::TcIngress));
        floors.push(Goal::at_most("egress × ingress, data segment, TC", 1.6, egress));
        floors
    }

    fn at(&self, hook: Hook) -> [Goal; 5] {
        let v4 = |kind| self.of((hook, kind, Road::V4));
        let textbook = |kind| v4(kind).times(Subject::Ours, Subject::Textbook);
        let plain = (hook, Kind::Data, Road::V4);
        let beside_plain = |road| self.beside((hook, Kind::Data, road), plain);
        // In units of what doing nothing took at the time.
        let net = |kind| v4(kind).times(Subject::Ours, Subject::Empty) - 1.0;
        let floor = |what, most, measured| {
            Goal::at_most(format!("{what}, {}", hook.name()), most, measured)
        };
        [
            floor("data segment: × textbook", 1.05, textbook(Kind::Data)),
            floor("pure ACK: × textbook", 1.05, textbook(Kind::Ack)),
            floor("data segment: IPv6 × IPv4", 1.6, beside_plain(Road::V6)),
            floor("data segment: in a VLAN × without", 1.7, beside_plain(Road::V4Tagged)),
            floor("UDP × data segment, net of empty", 0.5, net(Kind::Udp) / net(Kind::Data)),
        ]
    }
}

/// One kind of frame of one client's connection.
fn one(bench: &mut Bench, client: u32, frame: Frame, effort: Effort) -> Result<Measured> {
    let (hook, kind, road) = frame;
    bench.write_sequence(&[client])?;
    for subject in Subject::TRACKING {
        for opening in [Kind::Syn, Kind::SynAck, Kind::Ack] {
            bench.rewind()?;
            bench.run(subject, hook, (opening, road), 1, 1)?;
        }
    }
    let mut stands = Stands::default();
    measure(bench, hook, (kind, road), &[client], &mut stands, effort)
}

/// How large the programs are.
fn sizes(bench: &Bench) -> Result<Table> {
    let mut sizes = Table::new("Programs", &["program", "instructions", "verified"]);
    for hook in Hook::ALL {
        for subject in Subject::ALL {
            let (verified, instructions) = bench.size(subject, hook)?;
            let program = format!("{}, {}", subject.name(), hook.name());
            sizes.add(program, &[instructions.map(f64::from), verified.map(f64::from)]);
        }
    }
    Ok(sizes)
}
