//! Settings that are read anew while a trace runs.

use std::path::Path;

use anyhow::Result;

use super::{Pipeline, tell};
use crate::{
    cli::{Command, TraceArgs},
    config::{self, Loaded, Setting},
};

/// Options that take effect at once. All others are those of what is loaded, attached or open.
const AT_ONCE: [&str; 7] =
    ["cause", "class", "direction", "sent-by", "min-confidence", "heartbeat", "policy"];

/// The settings in use.
pub struct Settings {
    in_use: Vec<Setting>,
}

impl Settings {
    /// Those that the trace began with.
    pub const fn new(in_use: Vec<Setting>) -> Self {
        Self { in_use }
    }

    /// Reads them anew, and says what changed, and what of it has to wait for the next start. `None` when nothing did or
    /// they are wrong, which is said too.
    pub(super) fn reread(&mut self) -> Option<TraceArgs> {
        match Self::read() {
            Ok((args, in_use)) => {
                let changed = self.take(in_use);
                changed.iter().for_each(tell);
                (!changed.is_empty()).then_some(args)
            }
            Err(error) => {
                tell(format_args!("rst-tracer: {error:#}; going on as before"));
                None
            }
        }
    }

    fn read() -> Result<(TraceArgs, Vec<Setting>)> {
        let Loaded { cli, in_use, .. } = config::load(std::env::args_os().collect())?;
        match cli.command {
            Some(Command::Trace(args)) => Ok((args, in_use)),
            _ => Ok((cli.trace, in_use)),
        }
    }

    /// Takes over what is in use now; a line for each option that changed.
    fn take(&mut self, now: Vec<Setting>) -> Vec<String> {
        let differs = |from: &[Setting], one: &Setting| {
            !from.iter().any(|other| other.option == one.option && other.values == one.values)
        };
        let mut changed: Vec<String> = now
            .iter()
            .filter(|one| differs(&self.in_use, one))
            .chain(self.in_use.iter().filter(|one| differs(&now, one)))
            .map(|one| one.option.clone())
            .collect();
        changed.sort();
        changed.dedup();
        self.in_use = now;
        let line = |option: String| match AT_ONCE.contains(&option.as_str()) {
            true => format!("settings: {option} changed"),
            false => format!("settings: {option} changes at the next start"),
        };
        changed.into_iter().map(line).collect()
    }
}

/// Reads the rules of the policy anew, from this file or none, and says what changed. Where the file is wrong, those in
/// force stay, and that is said too.
pub(super) fn reread_policy(path: Option<&Path>, pipeline: &mut Pipeline<'_>) {
    match path.map_or(Ok(Vec::new()), config::read_policy) {
        Ok(rules) => match (rules.len(), pipeline.judge_by(rules)) {
            (_, false) => {}
            (0, true) => tell("policy: no rule is in force any more"),
            (1, true) => tell("policy: one rule is in force"),
            (more, true) => tell(format_args!("policy: {more} rules are in force")),
        },
        Err(error) => tell(format_args!("rst-tracer: {error:#}; the rules in force stay")),
    }
}
