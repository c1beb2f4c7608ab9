//! Running `cargo test` and adding up what it says.
//!
//! Comes in: the lines cargo test prints (shown as they come). Goes out: how many tests passed,
//! failed and were ignored over all binaries, and what those that failed said first.

use crate::command::shown;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// How many lines a failed test may say in the conclusion; the whole is further up.
const LINES: usize = 12;

/// Tests over all test binaries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// Whether cargo itself exited with 0: a test binary may also fail to compile or abort.
    pub(crate) exited_ok: bool,
    /// Of every failed test the line that names it and what it said: from its panic or error on,
    /// where it has one.
    pub(crate) said: Vec<Vec<String>>,
    /// Whether the lines are now those of a failed test.
    pub(crate) told: bool,
}

impl Tally {
    /// Adds one line of output; other lines than result lines and those of failed tests change nothing.
    fn add(&mut self, line: &str) {
        self.add_said(line.trim_end());
        // test result: ok. 31 passed; 0 failed; 0 ignored; 0 measured; …
        let Some(result) = line.trim().strip_prefix("test result: ") else { return };
        let Some((_, counts)) = result.split_once(". ") else { return };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else { continue };
            let number: u64 = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// Adds a line of what a failed test said: `---- NAME stdout ----` to the list of the failed ones.
    fn add_said(&mut self, line: &str) {
        if line.starts_with("---- ") && line.ends_with(" ----") {
            self.said.push(vec![line.to_owned()]);
            self.told = true;
        } else if line == "failures:" {
            self.told = false;
        } else if let Some(said) = self.said.last_mut().filter(|_| self.told)
            && !line.is_empty()
        {
            // What a test printed on its way says less than why it failed.
            if is_reason(line) && !said.get(1).is_some_and(|first| is_reason(first)) {
                said.truncate(1);
            }
            if said.len() <= LINES {
                said.push(line.to_owned());
            }
        }
    }

    /// Whether everything that ran passed, and something ran.
    pub(crate) fn is_good(&self) -> bool {
        self.exited_ok && self.failed == 0 && self.passed > 0
    }
}

/// Whether a failed test begins here to say why: by a panic, or by the error that it returned.
fn is_reason(line: &str) -> bool {
    line.starts_with("Error: ") || (line.starts_with("thread '") && line.contains(" panicked at "))
}

/// Runs a `cargo test` command, showing its output as it comes.
///
/// # Errors
/// When it cannot be started; failing tests are in the tally.
pub(crate) fn tally(command: &mut Command) -> Result<Tally> {
    eprintln!("$ {}", shown(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    let mut tally = Tally::default();
    let mut lines = BufReader::new(child.stdout.take().context("stdout is a pipe")?);
    let mut line = Vec::new();
    // Tests may print what is not UTF-8.
    while lines.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        tally.add(&String::from_utf8_lossy(&line));
        line.clear();
    }
    tally.exited_ok = child.wait()?.success();
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_all_binaries_are_added_up() {
        let mut tally = Tally { exited_ok: true, ..Tally::default() };
        for line in [
            "test result: ok. 31 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out",
            "test a::b ... ok",
            "test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            tally.add(line);
        }
        assert_eq!((tally.passed, tally.failed, tally.ignored), (35, 1, 2));
        assert!(!tally.is_good());
    }

    #[test]
    fn what_a_failed_test_said_is_kept_for_the_conclusion() {
        let mut tally = Tally::default();
        let said: Vec<String> = (0..20).map(|line| format!("line {line}")).collect();
        let before = ["test a::b ... FAILED", "", "failures:", "", "---- a::b stdout ----", ""];
        let after = ["", "---- c stdout ----", "no luck", "", "failures:", "    a::b", "    c"];
        let lines = before.into_iter().chain(said.iter().map(String::as_str)).chain(after);
        lines.for_each(|line| tally.add(&format!("{line}\n")));
        let [first, second] = &tally.said[..] else { panic!("{tally:?}") };
        assert_eq!((first[0].as_str(), &first[1..]), ("---- a::b stdout ----", &said[..LINES]));
        assert_eq!(second[..], ["---- c stdout ----", "no luck"]);
    }

    #[test]
    fn why_a_test_failed_goes_before_what_it_printed() {
        let reasons = ["thread 'a::b' (12) panicked at src/a.rs:3:5:", "Error: no route"];
        for reason in reasons {
            let mut tally = Tally::default();
            let printed = (0..20).map(|line| format!("scenario {line}"));
            let said = [reason, "2 failed:", "closed_port: 0 instead of 1"].map(str::to_owned);
            let header = "---- a::b stdout ----".to_owned();
            let lines: Vec<String> =
                [header.clone()].into_iter().chain(printed).chain(said.clone()).collect();
            lines.iter().for_each(|line| tally.add(line));
            assert_eq!(tally.said, [[vec![header], said.to_vec()].concat()]);
        }
    }

    #[test]
    fn a_run_without_tests_is_not_good() {
        let mut tally = Tally { exited_ok: true, ..Tally::default() };
        tally.add("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        assert!(!tally.is_good());
    }

    #[test]
    fn a_test_binary_that_aborts_is_not_good_though_others_passed() {
        let aborted = tally(
            Command::new("sh")
                .args(["-c", "echo 'test result: ok. 3 passed; 0 failed; 0 ignored'; exit 101"]),
        );
        let aborted = aborted.expect("sh starts");
        assert_eq!(aborted.passed, 3);
        assert!(!aborted.is_good());
    }
}
