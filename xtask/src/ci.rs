//! `ci`: what .ci/run does, for trying it out before a push.
//!
//! Comes in: a checkout. Goes out: what the script says.

use crate::command::run;
use crate::workspace::Workspace;
use anyhow::Result;
use std::process::Command;

/// Carries out the verb.
///
/// # Errors
/// When the script fails.
pub(crate) fn run_script(workspace: &Workspace) -> Result<()> {
    run(Command::new("bash").arg(".ci/run").current_dir(&workspace.root).env("CI", "true"))
}
