//! The table at the end of `vm`: per kernel, per command, how it went.
//!
//! Comes in: outcomes. Goes out: text, and whether anything failed.

use super::guest::{Outcome, Step, Verdict};
use std::fmt::Write;
use std::time::Duration;

/// The result of one kernel.
pub(crate) struct Run {
    /// `uname -r`, or the matrix name when it never got that far.
    pub(crate) kernel: String,
    pub(crate) took: Duration,
    pub(crate) steps: Vec<(Step, Outcome)>,
    /// Modules that would not load.
    pub(crate) refused_modules: Vec<String>,
    /// What went wrong with the machine itself.
    pub(crate) trouble: Option<String>,
}

impl Run {
    /// Whether the kernel does not carry out what it must.
    pub(crate) fn failed(&self) -> bool {
        self.trouble.is_some() || self.verdicts().any(|verdict| verdict == Verdict::Fail)
    }

    /// Whether anything works with less than it could.
    pub(crate) fn degraded(&self) -> bool {
        self.verdicts().any(|verdict| verdict == Verdict::Degraded)
    }

    fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        self.steps.iter().map(|(_, outcome)| outcome.verdict)
    }
}

/// The table.
pub(crate) fn table(runs: &[Run]) -> String {
    let mut text = String::new();
    for run in runs {
        let _ = writeln!(text, "\n{} ({} s)", run.kernel, run.took.as_secs());
        for (step, Outcome { exit, verdict, lines }) in &run.steps {
            let verdict = match verdict {
                Verdict::Pass => "PASS",
                Verdict::Degraded => "DEGRADED",
                Verdict::Fail => "FAIL",
            };
            let exit = exit.map_or_else(|| "none".to_owned(), |code| code.to_string());
            let _ = writeln!(text, "  {verdict:<8}  exit {exit:<4}  {}", step.command);
            for line in lines {
                let _ = writeln!(text, "              | {line}");
            }
        }
        if !run.refused_modules.is_empty() {
            let _ = writeln!(text, "  modules not loaded: {}", run.refused_modules.join(" "));
        }
        if let Some(trouble) = &run.trouble {
            let _ = writeln!(text, "  FAIL      {trouble}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(verdict: Verdict, trouble: Option<&str>) -> Run {
        let step = Step { command: "demo".to_owned(), degraded_exits: &[], telling: &[] };
        let outcome = Outcome { exit: Some(0), verdict, lines: vec!["demo: 3 of 3".to_owned()] };
        Run {
            kernel: "6.1.0-50".to_owned(),
            took: Duration::from_secs(40),
            steps: vec![(step, outcome)],
            refused_modules: vec![],
            trouble: trouble.map(str::to_owned),
        }
    }

    #[test]
    fn a_machine_in_trouble_has_failed_though_its_commands_passed() {
        assert!(!run(Verdict::Pass, None).failed());
        assert!(run(Verdict::Pass, Some("stopped")).failed());
        assert!(run(Verdict::Fail, None).failed());
        assert!(run(Verdict::Degraded, None).degraded() && !run(Verdict::Degraded, None).failed());
    }

    #[test]
    fn the_table_shows_kernel_verdict_exit_and_the_telling_line() {
        let table = table(&[run(Verdict::Degraded, None)]);
        assert_eq!(
            table,
            "\n6.1.0-50 (40 s)\n  DEGRADED  exit 0     demo\n              | demo: 3 of 3\n"
        );
    }
}
