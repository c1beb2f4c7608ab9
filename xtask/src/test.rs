//! `test`: everything that must hold before a change lands, in one command.
//!
//! Comes in: a checkout on a Debian machine. Goes out: a line per step, then the tests' result;
//! every step runs even when one before it failed.

use crate::cargo_test::{Tally, tally};
use crate::command::run;
use crate::ebpf::{self, Equality};
use crate::workspace::{Workspace, cargo};
use crate::{apt, bench, fuzz, vm};
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// What `test` is asked to do.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Leave out what takes minutes: the rebuild of the kernel object, fuzzing, the VM.
    #[arg(long)]
    quick: bool,
}

/// The workspaces: the kernel's crates and the fuzz crate are some of their own.
const MANIFESTS: [&str; 4] =
    ["Cargo.toml", "rst-tracer-ebpf/Cargo.toml", "bench/ebpf/Cargo.toml", "tests/fuzz/Cargo.toml"];

/// Builds all that there is as tests need it.
pub(crate) const BUILD_ALL: [&str; 4] = ["build", "--workspace", "--all-targets", "--locked"];

/// Names the program that the tests try, so that they need not build it.
const PROGRAM: &str = "RST_TRACER_PROGRAM";

/// Of how many failed tests the conclusion tells what they said.
const TOLD: usize = 4;

/// How a step ended.
enum Ending {
    Passed(String),
    /// It could not be done here, for this reason; not a failure.
    NotChecked(String),
    Failed(String),
}

/// The steps so far.
struct Steps(Vec<(&'static str, Duration, Ending)>);

impl Steps {
    /// Does a step and notes how it ended.
    fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<Ending>) {
        eprintln!("\n== {name}");
        let started = Instant::now();
        let ending = work().unwrap_or_else(|error| Ending::Failed(format!("{error:#}")));
        if let Ending::Failed(why) = &ending {
            eprintln!("FAILED: {name}: {why}");
        }
        self.0.push((name, started.elapsed(), ending));
    }

    fn failed(&self) -> Vec<&'static str> {
        let failed = |(name, _, ending): &(&'static str, Duration, Ending)| {
            matches!(ending, Ending::Failed(_)).then_some(*name)
        };
        self.0.iter().filter_map(failed).collect()
    }

    /// A line a step; only the first line of what a failed step had to say.
    fn table(&self) -> String {
        let line = |(name, took, ending): &(&str, Duration, Ending)| {
            let (word, detail) = match ending {
                Ending::Passed(detail) => ("ok", detail),
                Ending::NotChecked(reason) => ("NOT CHECKED", reason),
                Ending::Failed(why) => ("FAILED", why),
            };
            let detail = detail.lines().next().unwrap_or_default();
            format!("{word:<11} {:>5} s  {name:<22} {detail}", took.as_secs()).trim_end().to_owned()
                + "\n"
        };
        self.0.iter().map(line).collect()
    }
}

/// Carries out the verb.
///
/// # Errors
/// When a step failed, or no test ran.
pub(crate) fn run_all(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut steps = Steps(Vec::new());
    let mut tests = Tally::default();
    let here = |arguments: &[&str]| {
        let mut command = cargo();
        command.args(arguments).current_dir(&workspace.root);
        command
    };
    steps.step("packages", || {
        apt::for_tests(workspace)?;
        passed("")
    });
    steps.step("prebuilt hashes", || {
        ebpf::check_sources(workspace)?;
        passed("")
    });
    steps.step("format", || {
        for manifest in MANIFESTS {
            run(&mut here(&["fmt", "--all", "--check", "--manifest-path", manifest]))?;
        }
        passed("")
    });
    steps.step("clippy", || {
        run(&mut here(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]))?;
        passed("")
    });
    steps.step("cargo test", || {
        // The programs are built together with the tests: alone, they and much below them would be built again, for
        // tests make cargo choose other features of what both use.
        run(&mut here(&BUILD_ALL))?;
        let mut test = here(&["test", "--workspace", "--locked", "--no-fail-fast"]);
        tests = tally(test.env(PROGRAM, workspace.target.join("debug/rst-tracer")))?;
        let Tally { passed, failed, ignored, .. } = &tests;
        let counts = format!("{passed} passed, {failed} failed, {ignored} ignored");
        Ok(if tests.is_good() { Ending::Passed(counts) } else { Ending::Failed(counts) })
    });
    if !args.quick {
        steps.step("rebuild kernel object", || match ebpf::check(workspace)? {
            Equality::Proven => passed("same bytes"),
            Equality::NotChecked(reason) => Ok(Ending::NotChecked(reason)),
        });
        steps.step("fuzz", || {
            Ok(Ending::Passed(fuzz::run_targets(workspace, &fuzz::Args::for_tests())?))
        });
        steps.step("bench", || match ebpf::baselines(workspace) {
            Ok(baselines) => {
                bench::measure_with(workspace, Some(&baselines), &bench::Args::for_tests())?;
                passed("a smoke run")
            }
            Err(error) => Ok(Ending::NotChecked(format!("no object to compare with: {error:#}"))),
        });
        steps.step("vm", || Ok(Ending::Passed(vm::run_matrix(workspace, &vm::Args::for_tests())?)));
    }
    conclude(&steps, &tests)
}

/// Prints what failed tests said, the table and, last, the tests' result in the words of cargo test and in plain ones.
fn conclude(steps: &Steps, tests: &Tally) -> Result<()> {
    let Tally { passed, failed, ignored, .. } = tests;
    let word = if tests.is_good() { "ok" } else { "FAILED" };
    for line in tests.said.iter().take(TOLD).flatten() {
        println!("{line}");
    }
    println!("\n{}", steps.table());
    println!("test result: {word}. {passed} passed; {failed} failed; {ignored} ignored");
    println!("{passed} passed, {failed} failed, {ignored} skipped");
    let failed_steps = steps.failed();
    if !failed_steps.is_empty() {
        bail!("failed: {}", failed_steps.join(", "));
    }
    Ok(())
}

fn passed(detail: &str) -> Result<Ending> {
    Ok(Ending::Passed(detail.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_errs_fails_the_whole_and_the_others_still_run() {
        let mut steps = Steps(Vec::new());
        steps.step("first", || bail!("no luck\nand more"));
        steps.step("second", || passed("fine"));
        steps.step("third", || Ok(Ending::NotChecked("no toolchain".to_owned())));
        assert_eq!(steps.failed(), ["first"]);
        let table = steps.table();
        assert!(table.contains("FAILED          0 s  first                  no luck\n"), "{table}");
        assert!(
            table.contains("NOT CHECKED     0 s  third                  no toolchain\n"),
            "{table}"
        );
        let good = Tally { passed: 1, exited_ok: true, ..Tally::default() };
        assert!(conclude(&steps, &good).is_err());
    }
}
