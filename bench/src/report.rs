//! docs/performance.json, which keeps what each part measured last, and docs/performance.md, made of it.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What one part measured, and where.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Section {
    /// What was measured and how, for people, in Markdown.
    pub(crate) text: String,
    /// Processor and number of CPUs.
    pub(crate) machine: String,
    pub(crate) kernel: String,
    pub(crate) commit: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) goals: Vec<Goal>,
    /// What must hold (see [`floors`](crate::floors)).
    #[serde(skip)]
    pub(crate) floors: Vec<Goal>,
}

/// Numbers under a heading.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// What the rows are, then what each number is.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// One line of a table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// A number a column; none where it could not be measured.
    pub(crate) numbers: Vec<Option<f64>>,
}

/// What was hoped for, beside what is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) measured: f64,
    pub(crate) bound: Bound,
}

/// On which side of a number the measured one is to be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub(crate) fn at_most(what: impl Into<String>, bound: f64, measured: f64) -> Self {
        Self { what: what.into(), measured, bound: Bound::AtMost(bound) }
    }

    pub(crate) fn at_least(what: impl Into<String>, bound: f64, measured: f64) -> Self {
        Self { what: what.into(), measured, bound: Bound::AtLeast(bound) }
    }

    pub(crate) fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtMost(most) => self.measured <= most,
            Bound::AtLeast(least) => self.measured >= least,
        }
    }

    /// What it is about, what was measured, and what it was to be.
    pub(crate) fn in_words(&self) -> String {
        format!("{}: measured {}, {}", self.what, number(self.measured), self.bound())
    }

    fn bound(&self) -> String {
        match self.bound {
            Bound::AtMost(most) => format!("at most {}", number(most)),
            Bound::AtLeast(least) => format!("at least {}", number(least)),
        }
    }
}

impl Table {
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self { title: title.to_owned(), columns, rows: Vec::new() }
    }

    /// Adds a line, and shows it on the terminal while the rest is being measured.
    pub(crate) fn add(&mut self, what: impl Into<String>, numbers: &[Option<f64>]) {
        let row = Row { what: what.into(), numbers: numbers.to_vec() };
        let names = self.columns.iter().skip(1);
        let shown = names.zip(numbers).map(|(name, n)| format!("{name} {}", maybe(*n)));
        println!("{:48} {}", row.what, shown.collect::<Vec<_>>().join("  "));
        self.rows.push(row);
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\n### {}\n", self.title)?;
        writeln!(text, "| {} |", self.columns.join(" | "))?;
        writeln!(text, "|{}", "---|".repeat(self.columns.len()))?;
        for row in &self.rows {
            let numbers: Vec<String> = row.numbers.iter().map(|n| maybe(*n)).collect();
            writeln!(text, "| {} | {} |", row.what, numbers.join(" | "))?;
        }
        Ok(())
    }
}

/// With as many digits as tell something.
fn number(n: f64) -> String {
    let sign = if n < 0.0 { "−" } else { "" };
    let digits = match n.abs() {
        n if n >= 1000.0 => {
            let digits = format!("{n:.0}");
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        n if n >= 100.0 || n == n.trunc() => format!("{n:.0}"),
        n if n >= 20.0 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    };
    format!("{sign}{digits}")
}

fn maybe(n: Option<f64>) -> String {
    n.map_or("–".to_owned(), number)
}

/// Everything that was measured last, by part.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) sections: BTreeMap<String, Section>,
}

impl Report {
    /// What a file keeps; nothing when there is none yet.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{}: not a report", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// For people; parts in the order of `order`, with their titles.
    pub(crate) fn markdown(&self, order: &[(&str, &str)]) -> String {
        let mut text = String::from(INTRODUCTION);
        for (name, title) in order {
            if let Some(section) = self.sections.get(*name) {
                // Writing to a string does not fail.
                let _ = section.write(title, &mut text);
            }
        }
        text
    }
}

impl Section {
    fn write(&self, title: &str, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\n## {title}\n\n{}", self.text.trim())?;
        writeln!(text, "\n{}; Linux {}; commit {}.", self.machine, self.kernel, self.commit)?;
        if !self.goals.is_empty() {
            writeln!(text, "\n| goal | wanted | measured | |\n|---|---|---|---|")?;
        }
        for goal in &self.goals {
            let met = if goal.is_met() { "met" } else { "**missed**" };
            let (bound, measured) = (goal.bound(), number(goal.measured));
            writeln!(text, "| {} | {bound} | {measured} | {met} |", goal.what)?;
        }
        self.tables.iter().try_for_each(|table| table.write(text))
    }
}

const INTRODUCTION: &str = "\
# Performance

Written by `cargo xtask bench`; do not edit. Every part stands beside what people use instead, measured in the
same run, in turns. Nanoseconds are this machine's; the ratios are what another one can be expected to show.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_digits_as_tell_something() {
        let numbers = [1.444, 36.04, 123.4, 3.0, 1_234_567.8, 0.031, -36.04].map(number);
        assert_eq!(numbers, ["1.44", "36.0", "123", "3", "1,234,568", "0.03", "−36.0"]);
    }

    #[test]
    fn a_goal_missed_is_said_to_be_missed() {
        let goals = vec![Goal::at_most("a", 2.0, 2.1), Goal::at_least("b", 3.0, 3.0)];
        let section = Section { goals, ..Section::default() };
        let report = Report { sections: BTreeMap::from([("x".to_owned(), section)]) };
        let text = report.markdown(&[("x", "X")]);
        assert!(text.contains("| a | at most 2 | 2.10 | **missed** |"), "{text}");
        assert!(text.contains("| b | at least 3 | 3 | met |"), "{text}");
    }
}
