//! Running `cargo test` and adding up what it says.
//!
//! Comes in: the lines cargo test prints (shown as they come). Goes out: how many tests passed,
//! failed and were ignored over all binaries.

use crate::command::shown;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Tests over all test binaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// Whether cargo itself exited with 0: a test binary may also fail to compile or abort.
    pub(crate) exited_ok: bool,
}

impl Tally {
    /// Adds one line of output; other lines than result lines change nothing.
    fn add(&mut self, line: &str) {
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

    /// Whether everything that ran passed, and something ran.
    pub(crate) fn is_good(&self) -> bool {
        self.exited_ok && self.failed == 0 && self.passed > 0
    }
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
