//! `soak`: mixed traffic in front of the tracer for a long time, beside an independent capture.
//!
//! Comes in: a checkout, root. Goes out: exit code 0 when nothing was lost, drifted or grew.

use anyhow::Result;

use crate::command::run;
use crate::workspace::{Workspace, cargo};

/// What `soak` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=24 * 60))]
    minutes: u64,
}

/// Carries out the verb.
///
/// # Errors
/// When the test fails.
pub(crate) fn soak(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut command = cargo();
    command.current_dir(&workspace.root);
    command.env("RST_TRACER_SOAK_SECONDS", (args.minutes * 60).to_string());
    command.args(["test", "-p", "rst-tracer-tests", "--test", "operations"]);
    command.args(["--", "--nocapture", "soak"]);
    run(&mut command)
}
