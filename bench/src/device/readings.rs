//! What was read off in each round, and medians of what is paired by round.

use std::time::Duration;

use super::{attached::Attached, sender::Size, sockets::Churn};

/// What the device is given to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Live frames from so many senders, taken behind all hooks.
    Frames(Size, usize),
    /// The same from one sender, without GRO: nothing stands between an XDP program and the end of the frame.
    DropPath(Size),
    /// Live frames from one sender, which the stack drops because they are addressed to another host.
    Stray(Size),
    /// A stream of iperf3.
    Stream,
    /// Connections that end in a reset.
    Churn(Churn),
}

impl Load {
    /// Whether it tells anything of somebody.
    pub(crate) const fn is_for(self, who: Attached) -> bool {
        !matches!(self, Self::DropPath(_)) || who.is_native()
    }

    /// Whether GRO is to be on: for connections as a veth has it by itself, on with native XDP and off without. A
    /// veth that has neither takes no live frames.
    pub(crate) const fn wants_gro(self, who: Attached) -> bool {
        match self {
            Self::Frames(..) | Self::Stray(_) => true,
            Self::DropPath(_) => false,
            Self::Stream | Self::Churn(_) => who.is_native(),
        }
    }
}

/// How long each lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) frames: Duration,
    pub(crate) churn: Duration,
    /// As iperf3 is told.
    pub(crate) stream: [&'static str; 2],
}

impl Effort {
    pub(crate) const QUICK: Self = Self {
        rounds: 1,
        frames: Duration::from_millis(30),
        churn: Duration::from_millis(30),
        stream: ["--bytes", "32M"],
    };
    pub(crate) const WHOLE: Self = Self {
        rounds: 7,
        frames: Duration::from_millis(150),
        churn: Duration::from_millis(500),
        stream: ["--time", "1"],
    };
}

/// One load on the device with somebody attached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    /// CPU time of one unit: of a frame, of a byte, of a connection; in seconds.
    pub(crate) cpu: f64,
    /// Units a second: frames, bits, connections.
    pub(crate) rate: f64,
}

/// All of a round.
pub(crate) type Round = Vec<(Attached, Load, Reading)>;

/// All rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readings(pub(crate) Vec<Round>);

fn read(round: &Round, who: Attached, load: Load) -> Option<Reading> {
    let found = round.iter().find(|(w, l, _)| (*w, *l) == (who, load));
    found.map(|(_, _, reading)| *reading)
}

impl Readings {
    /// The median of the rounds that have it.
    fn paired(&self, of: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        let mut all: Vec<f64> = self.0.iter().filter_map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    /// CPU time of one unit.
    pub(crate) fn cpu(&self, who: Attached, load: Load) -> Option<f64> {
        self.paired(|round| Some(read(round, who, load)?.cpu))
    }

    /// How much more CPU time than with somebody else.
    pub(crate) fn added(&self, who: Attached, beside: Attached, load: Load) -> Option<f64> {
        self.paired(|round| Some(read(round, who, load)?.cpu - read(round, beside, load)?.cpu))
    }

    /// How many times the CPU time.
    pub(crate) fn times(&self, who: Attached, beside: Attached, load: Load) -> Option<f64> {
        self.paired(|round| Some(read(round, who, load)?.cpu / read(round, beside, load)?.cpu))
    }

    /// Units a second.
    pub(crate) fn rate(&self, who: Attached, load: Load) -> Option<f64> {
        self.paired(|round| Some(read(round, who, load)?.rate))
    }

    /// What share of the rate is left.
    pub(crate) fn share(&self, who: Attached, beside: Attached, load: Load) -> Option<f64> {
        self.paired(|round| Some(read(round, who, load)?.rate / read(round, beside, load)?.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_is_of_the_same_round() {
        let load = Load::Frames(Size::Short, 1);
        let round = |nothing: f64, ours: f64| {
            let reading = |cpu: f64| Reading { cpu, rate: 1.0 / cpu };
            vec![(Attached::Nothing, load, reading(nothing)), (Attached::Ours, load, reading(ours))]
        };
        let readings = Readings(vec![round(1.0, 2.0), round(10.0, 12.0), round(4.0, 6.0)]);
        let (ours, nothing) = (Attached::Ours, Attached::Nothing);
        assert_eq!(readings.cpu(ours, load), Some(6.0));
        assert_eq!(readings.added(ours, nothing, load), Some(2.0));
        assert_eq!(readings.times(ours, nothing, load), Some(1.5));
        assert_eq!(readings.share(ours, nothing, load), Some(4.0 / 6.0));
        assert_eq!(readings.rate(ours, Load::Stream), None);
    }
}
