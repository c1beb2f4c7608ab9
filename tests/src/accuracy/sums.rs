//! Rates, calibration and confusion over many judgements.

use std::collections::BTreeMap;

use super::judge::Judged;

/// How often class and cause were right.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Judgements.
    pub count: usize,
    /// Their weight.
    pub weight: f64,
    /// Share with the right class, from 0 to 1.
    pub class: f64,
    /// Share with the right cause.
    pub cause: f64,
}

impl Rates {
    /// Over some judgements, by weight.
    pub fn over<'a>(judged: impl IntoIterator<Item = &'a Judged>) -> Self {
        let mut sums = Self::default();
        for one in judged {
            sums.count += 1;
            sums.weight += one.weight;
            sums.class += one.weight * f64::from(u8::from(one.class_is_right()));
            sums.cause += one.weight * f64::from(u8::from(one.cause_is_right()));
        }
        if sums.weight > 0.0 {
            sums.class /= sums.weight;
            sums.cause /= sums.weight;
        }
        sums
    }
}

/// Verdicts of one range of confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Their weight.
    pub weight: f64,
    /// Their mean confidence.
    pub expected: f64,
    /// Share of them that was right.
    pub observed: f64,
}

/// Expected against observed, in ten bins of confidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// From 0.0..0.1 to 0.9..=1.0.
    pub bins: [Bin; 10],
    /// Mean distance of the two, by weight.
    pub error: f64,
}

impl Calibration {
    /// Over some judgements.
    pub fn over<'a>(judged: impl IntoIterator<Item = &'a Judged>) -> Self {
        let mut bins = [Bin::default(); 10];
        for one in judged {
            let confidence = one.confidence();
            let bin = &mut bins[((confidence * 10.0 + 1e-9) as usize).min(9)];
            bin.weight += one.weight;
            bin.expected += one.weight * confidence;
            bin.observed += one.weight * f64::from(u8::from(one.cause_is_right()));
        }
        let all: f64 = bins.iter().map(|bin| bin.weight).sum();
        let mut error = 0.0;
        for bin in bins.iter_mut().filter(|bin| bin.weight > 0.0) {
            bin.expected /= bin.weight;
            bin.observed /= bin.weight;
            error += bin.weight / all * (bin.expected - bin.observed).abs();
        }
        Self { bins, error }
    }
}

/// What was concluded about what was true, by id: `(truth, verdict) -> judgements`.
pub fn confusion<'a>(
    judged: impl IntoIterator<Item = &'a Judged>,
) -> BTreeMap<(&'static str, &'static str), usize> {
    let mut table = BTreeMap::new();
    for one in judged {
        let verdict = one.event.as_ref().map_or("not reported", |event| event.class.id());
        *table.entry((one.truth.class, verdict)).or_default() += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_judged_gives_no_numbers_but_no_nonsense_either() {
        assert_eq!(Rates::over([]), Rates::default());
        assert_eq!(Calibration::over([]).error, 0.0);
    }
}
