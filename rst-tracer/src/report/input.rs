//! Files of JSON lines: what is in them, line by line, and what is wrong with the rest.
//!
//! In: the name of a file, or `-`. Out: its events in order, and an account of its lines. A line that cannot be read is
//! counted and left out: a file that was rotated or copied while it grew ends in half a line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
};

use anyhow::{Context, Result, bail, ensure};

use crate::event::{Event, Timestamp, read_enriched};

/// How much is looked at before anything is taken; the first line lies in it.
const BUFFER: usize = 64 << 10;
/// A longer line is no event: these have less than 16 KiB, and what collectors add is bounded, too.
const LONGEST: usize = 256 << 10;
/// Starts of compressed files, and who unpacks them.
const PACKED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "zcat"),
    (b"\x28\xb5\x2f\xfd", "zstdcat"),
    (b"\xfd7zXZ", "xzcat"),
    (b"BZh", "bzcat"),
];

/// A file that is open.
pub(super) struct Input {
    name: String,
    reader: Box<dyn BufRead>,
}

/// What became of the lines of a file.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) name: String,
    /// All that are not blank.
    pub(super) lines: u64,
    /// Events among them.
    pub(super) events: u64,
    /// The first line that is none, and why.
    pub(super) trouble: Option<(u64, String)>,
    /// The last line has no end, and is no event: something cut it off.
    pub(super) is_cut_off: bool,
    /// A key that a collector added to a line, and to how many lines one was added.
    pub(super) enriched: Option<(String, u64)>,
}

impl Account {
    /// Lines that were left out.
    pub(super) fn skipped(&self) -> u64 {
        self.lines - self.events
    }

    /// What a collector added, if it did.
    pub(super) fn additions(&self) -> Option<String> {
        let (key, lines) = self.enriched.as_ref()?;
        let Self { name, .. } = self;
        Some(format!(
            "{name}: in {lines} of its lines are keys that are not rst-tracer's, as `{key}`; these are left out"
        ))
    }

    /// What is to be said of the file, if anything is.
    pub(super) fn remark(&self) -> Option<String> {
        let Self { name, lines, events, .. } = self;
        let skipped = self.skipped();
        let (line, why) = self.trouble.as_ref()?;
        Some(match skipped {
            _ if *events == 0 => format!(
                "{name}: none of its {lines} lines is one of rst-tracer's JSON lines (--format json); line {line}: {why}"
            ),
            1 if self.is_cut_off => format!("{name}: line {line} is cut off and left out"),
            1 => format!("{name}: line {line} is left out: {why}"),
            _ => format!("{name}: {skipped} of {lines} lines are left out; line {line}: {why}"),
        })
    }
}

impl Input {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// When it cannot be opened, or is of a kind that must be unpacked first.
    pub(super) fn open(name: &str) -> Result<Self> {
        let source: Box<dyn Read> = match name {
            "-" => Box::new(io::stdin()),
            _ => {
                let file = File::open(name)?;
                let is_folder = file.metadata()?.is_dir();
                ensure!(!is_folder, "is a directory; name the files in it");
                Box::new(file)
            }
        };
        let mut reader = Box::new(BufReader::with_capacity(BUFFER, source));
        let start = reader.fill_buf().context("cannot read it")?;
        if let Some((_, program)) = PACKED.iter().find(|(magic, _)| start.starts_with(magic)) {
            bail!("is compressed: {program} {name} | rst-tracer report -");
        }
        Ok(Self { name: name.to_owned(), reader })
    }

    /// When its first event was, if one of its first lines is an event.
    pub(super) fn begins(&mut self) -> Option<Timestamp> {
        let start = self.reader.fill_buf().ok()?;
        let lines = start.split(|byte| *byte == b'\n').take(16);
        lines.filter_map(|line| decode(line).ok()).map(|(event, _)| event.time()).next()
    }

    /// Hands over every event with the number of its line.
    ///
    /// # Errors
    /// When the file cannot be read to its end.
    pub(super) fn read(
        mut self,
        account: &mut Account,
        mut take: impl FnMut(Event, u64),
    ) -> Result<()> {
        account.name.clone_from(&self.name);
        let mut line = Vec::new();
        for number in 1.. {
            let is_whole = self.next_line(&mut line).context("cannot read it to its end")?;
            if line.is_empty() && !is_whole {
                break;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            account.lines += 1;
            match decode(&line) {
                Ok((event, foreign)) => {
                    account.events += 1;
                    if let Some(key) = foreign {
                        account.enriched.get_or_insert((key, 0)).1 += 1;
                    }
                    take(event, number);
                }
                Err(why) => {
                    account.is_cut_off = !is_whole;
                    account.trouble.get_or_insert((number, why));
                }
            }
        }
        Ok(())
    }

    /// Reads a line without its end; whether it has one. Of a line that is too long the start is kept.
    fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        loop {
            let (start, end) = match self.reader.fill_buf() {
                Ok(start) => (start, start.iter().position(|byte| *byte == b'\n')),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let taken = end.unwrap_or(start.len());
            // One byte more than is allowed tells that it is too long.
            let room = (LONGEST + 1).saturating_sub(line.len());
            line.extend_from_slice(&start[..taken.min(room)]);
            let is_end = start.is_empty();
            self.reader.consume(taken + usize::from(end.is_some()));
            if end.is_some() || is_end {
                return Ok(end.is_some());
            }
        }
    }
}

/// Reads a line, or says in a few words what is wrong with it.
fn decode(line: &[u8]) -> Result<(Event, Option<String>), String> {
    if line.len() > LONGEST {
        return Err(format!("longer than {LONGEST} bytes"));
    }
    read_enriched(line).map_err(|error| {
        let text = error.to_string();
        // Each line is a document of its own, so that its number would always be 1.
        match text.split_once(" at line ") {
            Some((what, place)) => match place.split_once("column ") {
                Some((_, column)) if error.column() > 0 => format!("{what} at column {column}"),
                _ => what.to_owned(),
            },
            None => text,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = include_str!("../event/samples/unread_data.json");

    fn line() -> String {
        serde_json::from_str::<serde_json::Value>(LINE).unwrap().to_string()
    }

    fn read(content: &[u8]) -> (Account, Vec<u64>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, content).unwrap();
        let (mut account, mut numbers) = (Account::default(), Vec::new());
        let input = Input::open(file.path().to_str().unwrap()).unwrap();
        input.read(&mut account, |_, number| numbers.push(number)).unwrap();
        (account, numbers)
    }

    #[test]
    fn a_line_that_was_cut_off_costs_nothing_but_itself() {
        let whole = line();
        let (account, numbers) = read(format!("{whole}\n\n{whole}\n{}", &whole[..99]).as_bytes());
        assert_eq!(numbers, [1, 3]);
        assert_eq!((account.lines, account.skipped(), account.is_cut_off), (3, 1, true));
        assert!(account.remark().unwrap().ends_with("line 4 is cut off and left out"));
    }

    #[test]
    fn a_whole_last_line_needs_no_end() {
        let (account, numbers) = read(line().as_bytes());
        assert_eq!((numbers, account.remark()), (vec![1], None));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_line() {
        let whole = line();
        let other = whole.replace("rst-tracer/1", "rst-tracer/2");
        let (account, _) = read(format!("{whole}\n{other}\n{{\n{whole}\n").as_bytes());
        let told = account.remark().unwrap();
        assert!(told.contains("2 of 4 lines are left out; line 2: "), "{told}");
        assert!(told.contains("the line has rst-tracer/2"), "{told}");
        assert!(!account.is_cut_off);
    }

    #[test]
    fn what_a_collector_added_is_left_out_and_said() {
        let whole = line();
        let added = whole.replacen('{', "{\"@timestamp\":\"2026-01-01\",\"agent\":{\"id\":1},", 1);
        let (account, numbers) = read(format!("{whole}\n{added}\n").as_bytes());
        assert_eq!((numbers, account.remark()), (vec![1, 2], None));
        let told = account.additions().unwrap();
        assert!(
            told.contains(": in 1 of its lines are keys") && told.contains("`@timestamp`"),
            "{told}"
        );
        // A key of ours that was changed is none that was added.
        let damaged = added.replacen("\"seq\":", "\"seq\":\"x\",\"sequence\":", 1);
        let (account, _) = read(damaged.as_bytes());
        assert_eq!((account.lines, account.skipped()), (1, 1), "{account:?}");
    }

    #[test]
    fn a_line_without_an_end_is_not_held_in_memory() {
        let (account, numbers) =
            read(&[&vec![b'x'; 3 * LONGEST], "\n".as_bytes(), line().as_bytes()].concat());
        assert_eq!((account.lines, numbers), (2, vec![2]));
        assert!(account.remark().unwrap().contains("longer than"), "{account:?}");
    }

    #[test]
    fn what_is_packed_is_told_who_unpacks_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, b"\x1f\x8b\x08").unwrap();
        let told = Input::open(file.path().to_str().unwrap()).err().unwrap().to_string();
        assert!(told.starts_with("is compressed: zcat "), "{told}");
    }
}
