//! Measuring fairly: every subject once a round, rounds interleaved, medians of what is paired by round.

use anyhow::Result;

use crate::{
    crowd::{Crowd, Strangers},
    frames::{Kind, Road},
    loaded::{Bench, MOST},
    subject::{Hook, Subject},
};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Frames of a subject in a round.
    pub(crate) frames: u32,
    /// Places of a sequence.
    pub(crate) sequence: usize,
}

impl Effort {
    pub(crate) const QUICK: Self = Self { rounds: 5, frames: 20_000, sequence: 1 << 14 };
    pub(crate) const WHOLE: Self = Self { rounds: 31, frames: 150_000, sequence: 1 << 20 };
}

/// Nanoseconds a frame, by subject, in each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    rounds: Vec<[f64; Subject::ALL.len()]>,
}

impl Measured {
    /// Keeps a round; the first one only warms up.
    fn add(&mut self, number: usize, round: [f64; Subject::ALL.len()]) {
        if number > 0 {
            self.rounds.push(round);
        }
    }

    fn paired(&self, of: impl Fn(&[f64; Subject::ALL.len()]) -> f64) -> f64 {
        let mut all: Vec<f64> = self.rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// What a subject took, as it is.
    pub(crate) fn raw(&self, subject: Subject) -> f64 {
        self.paired(|round| round[subject as usize])
    }

    /// What a subject took more than the empty program.
    pub(crate) fn net(&self, subject: Subject) -> f64 {
        self.paired(|round| round[subject as usize] - round[Subject::Empty as usize])
    }

    /// How many times as long as `beside` the subject took, as they are.
    pub(crate) fn times(&self, subject: Subject, beside: Subject) -> f64 {
        self.paired(|round| round[subject as usize] / round[beside as usize])
    }
}

/// The opening of a connection, frame by frame.
const OPENING: [Kind; 4] = [Kind::Syn, Kind::SynAck, Kind::Ack, Kind::Data];

/// Data segments of each connection before anything is measured: with its opening as many as the flight
/// recorder holds, so that what is measured is a connection in full swing.
const BEFORE: usize = 16;

/// Where each subject stands: the next place of the sequence, and the sequence number of the last frame.
pub(crate) type Stands = [(u32, u32); Subject::ALL.len()];

/// Opens a connection of each client of a crowd with every subject that keeps any. Data goes on from where this
/// leaves it.
pub(crate) fn open(bench: &mut Bench, hook: Hook, road: Road, crowd: Crowd) -> Result<Stands> {
    let mut stands = Stands::default();
    for block in crowd.everyone(MOST) {
        bench.write_sequence(&block)?;
        for subject in Subject::TRACKING {
            let feed = |bench: &mut Bench, kind| {
                bench.run(subject, hook, (kind, road), block.len(), block.len() as u32)
            };
            for kind in OPENING {
                bench.rewind()?;
                feed(bench, kind)?;
            }
            for _ in 0..BEFORE {
                feed(bench, Kind::Data)?;
            }
            stands[subject as usize] = bench.stands()?;
        }
    }
    Ok(stands)
}

/// Measures all subjects with the clients that `sequence` names.
pub(crate) fn measure(
    bench: &mut Bench,
    hook: Hook,
    what: (Kind, Road),
    sequence: &[u32],
    stood: &mut Stands,
    effort: Effort,
) -> Result<Measured> {
    let run =
        |bench: &mut Bench, subject| bench.run(subject, hook, what, sequence.len(), effort.frames);
    measure_with(bench, sequence, stood, effort.rounds, run)
}

/// Measures all subjects with clients that none of them has met: others in every round.
pub(crate) fn measure_new(
    bench: &mut Bench,
    hook: Hook,
    what: (Kind, Road),
    strangers: Strangers,
    effort: Effort,
) -> Result<Measured> {
    let mut measured = Measured::default();
    for number in 0..=effort.rounds {
        let them = strangers.of_round(number, effort.frames);
        bench.write_sequence(&them)?;
        let round = in_turns(number, |subject| {
            bench.rewind()?;
            bench.run(subject, hook, what, them.len(), effort.frames)
        })?;
        measured.add(number, round);
    }
    Ok(measured)
}

/// The same, in whatever way a subject is fed.
pub(crate) fn measure_with(
    bench: &mut Bench,
    sequence: &[u32],
    stood: &mut Stands,
    rounds: usize,
    mut run: impl FnMut(&mut Bench, Subject) -> Result<f64>,
) -> Result<Measured> {
    bench.write_sequence(sequence)?;
    let mut measured = Measured::default();
    for number in 0..=rounds {
        let round = in_turns(number, |subject| {
            bench.stand(stood[subject as usize])?;
            let took = run(bench, subject)?;
            stood[subject as usize] = bench.stands()?;
            Ok(took)
        })?;
        measured.add(number, round);
    }
    Ok(measured)
}

/// One round: every subject once. Who follows whom changes from round to round.
fn in_turns(
    number: usize,
    mut run: impl FnMut(Subject) -> Result<f64>,
) -> Result<[f64; Subject::ALL.len()]> {
    let mut round = [0.0; Subject::ALL.len()];
    for turn in 0..Subject::ALL.len() {
        let subject = Subject::ALL[(turn + number) % Subject::ALL.len()];
        round[subject as usize] = run(subject)?;
    }
    Ok(round)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_paired_by_round() {
        let rounds =
            vec![[10., 20., 60., 30., 24.], [20., 40., 120., 60., 48.], [1., 2., 6., 3., 2.4]];
        let measured = Measured { rounds };
        assert_eq!(measured.times(Subject::Ours, Subject::Parse), 1.5);
        assert_eq!(measured.times(Subject::Ours, Subject::Textbook), 0.5);
        assert_eq!(measured.times(Subject::Unrecorded, Subject::Textbook), 0.4);
        assert_eq!(measured.net(Subject::Ours), 20.0);
        assert_eq!(measured.raw(Subject::Empty), 10.0);
    }
}
