//! The tables of docs/performance.md, and the same as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{rounds::Measured, subject::Subject};

/// One line of a table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// Nanoseconds a frame, as they are.
    pub(crate) empty_ns: f64,
    pub(crate) parse_ns: f64,
    pub(crate) textbook_ns: f64,
    pub(crate) ours_ns: f64,
    /// More than the empty program.
    pub(crate) net_ns: f64,
    pub(crate) times_parse: f64,
    pub(crate) times_textbook: f64,
}

impl Row {
    pub(crate) fn of(what: impl Into<String>, measured: &Measured) -> Self {
        Self {
            what: what.into(),
            empty_ns: measured.raw(Subject::Empty),
            parse_ns: measured.raw(Subject::Parse),
            textbook_ns: measured.raw(Subject::Textbook),
            ours_ns: measured.raw(Subject::Ours),
            net_ns: measured.net(Subject::Ours),
            times_parse: measured.times(Subject::Ours, Subject::Parse),
            times_textbook: measured.times(Subject::Ours, Subject::Textbook),
        }
    }

    /// On the terminal while it is measured.
    pub(crate) fn line(&self) -> String {
        format!(
            "{:44} {:6.1} {:6.1} {:6.1} {:6.1}  net {:6.1}  x{:.2} parse  x{:.2} textbook",
            self.what,
            self.empty_ns,
            self.parse_ns,
            self.textbook_ns,
            self.ours_ns,
            self.net_ns,
            self.times_parse,
            self.times_textbook
        )
    }
}

/// Rows under a heading.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
}

/// A program's size.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Size {
    pub(crate) program: String,
    /// Instructions that the verifier followed.
    pub(crate) verified: Option<u32>,
    /// Instructions that it has.
    pub(crate) instructions: Option<u32>,
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) kernel: String,
    pub(crate) commit: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) sizes: Vec<Size>,
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from(INTRODUCTION);
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\n{}; Linux {}; commit {}.", self.machine, self.kernel, self.commit)?;
        for table in &self.tables {
            writeln!(text, "\n## {}\n", table.title)?;
            writeln!(
                text,
                "| ns a frame | empty | parse only | textbook | rst-tracer | net of empty | \
                 × parse only | × textbook |"
            )?;
            writeln!(text, "|---|---|---|---|---|---|---|---|")?;
            for row in &table.rows {
                writeln!(
                    text,
                    "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} |",
                    row.what,
                    row.empty_ns,
                    row.parse_ns,
                    row.textbook_ns,
                    row.ours_ns,
                    row.net_ns,
                    row.times_parse,
                    row.times_textbook
                )?;
            }
        }
        writeln!(text, "\n## Programs\n\n| program | instructions | verified |\n|---|---|---|")?;
        let number = |it: Option<u32>| it.map_or("unknown".to_owned(), |it| it.to_string());
        for Size { program, verified, instructions } in &self.sizes {
            writeln!(text, "| {program} | {} | {} |", number(*instructions), number(*verified))?;
        }
        Ok(())
    }
}

const INTRODUCTION: &str = "\
# Performance

Written by `cargo xtask bench`; do not edit. CPU time of one frame inside the kernel
(`BPF_PROG_TEST_RUN`), medians over interleaved rounds; ratios are paired by round. A feeding program writes
another client into every frame and hands it on by a tail call; what that takes is in every column, and in
*empty* nothing else. Beside rst-tracer's own programs, which keep the flight recorder:

- **empty**: nothing but the return;
- **parse only**: finds the TCP header over Ethernet and IPv4 or IPv6, and looks at the flags;
- **textbook**: an `LRU_HASH` with a key of 40 bytes, `bpf_ktime_get_ns` on every packet, one shared ring.
";
