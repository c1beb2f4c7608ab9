//! The summary as people read it on stderr, read back into numbers.

use std::collections::HashMap;

/// The numbers of the first summary line, by the word that follows each.
#[derive(Clone, Debug)]
pub struct Summary(HashMap<String, u64>);

impl Summary {
    /// Reads `summary: 12 segments, 3 resets: 2 events, 1 further sightings, …`.
    ///
    /// `None` if the line is another one.
    pub fn parse(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("summary: ").filter(|rest| rest.contains(" resets: "))?;
        let counts = counts.split([',', ':']).map(|count| {
            let (number, what) = count.trim().split_once(' ')?;
            Some((what.to_owned(), number.parse().ok()?))
        });
        counts.collect::<Option<_>>().map(Self)
    }

    /// The last summary among these lines.
    ///
    /// # Panics
    /// If there is none.
    pub fn last_of(lines: &[String]) -> Self {
        let last = lines.iter().rev().find_map(|line| Self::parse(line));
        last.unwrap_or_else(|| panic!("no summary in {lines:#?}"))
    }

    /// A number by its name in the line; 0 if it was left out.
    pub fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Every reset became exactly one of these.
    ///
    /// # Panics
    /// If the numbers do not add up.
    #[track_caller]
    pub fn assert_balanced(&self) {
        let ends = [
            "events",
            "repeated",
            "further sightings",
            "filtered",
            "suppressed",
            "lost",
            "pending",
            "not written",
        ];
        let sum: u64 = ends.iter().map(|what| self.count(what)).sum();
        assert_eq!(self.count("resets"), sum, "the summary does not add up: {self:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "summary: 9 segments, 3 resets: 1 events, 1 further sightings, 0 filtered, \
                        0 suppressed, 0 lost, 1 not written";

    #[test]
    fn a_summary_reads_back_by_its_words() {
        let summary = Summary::parse(LINE).expect("a summary");
        assert_eq!((summary.count("resets"), summary.count("further sightings")), (3, 1));
        summary.assert_balanced();
        assert!(Summary::parse("summary: 2 flows, 0 evicted").is_none());
    }

    #[test]
    #[should_panic(expected = "does not add up")]
    fn a_missing_reset_is_noticed() {
        let line = LINE.replace("1 events", "0 events");
        Summary::parse(&line).expect("a summary").assert_balanced();
    }
}
