//! `accuracy`: plays the laboratory and writes how often the engine was right.
//!
//! Comes in: a checkout, root. Goes out: `docs/accuracy.md`, and the same on stdout.

use anyhow::Result;

use crate::command::run;
use crate::workspace::{Workspace, cargo};
use crate::{apt, packages};

/// What `accuracy` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these scenarios; nothing is written then.
    #[arg(value_name = "ID")]
    only: Vec<String>,
    /// Tell every miss with its evidence, save those of scenarios that are kept aside.
    #[arg(long)]
    explain: bool,
    /// Tell how often each kind of verdict was right, save those of scenarios that are kept aside.
    #[arg(long)]
    kinds: bool,
    /// Put each host so many milliseconds away from the router; what is kept aside is not played then, and nothing is
    /// written.
    #[arg(long, value_name = "MS")]
    far: Option<u64>,
}

/// Carries out the verb.
///
/// # Errors
/// When the laboratory cannot be played or a goal is missed.
pub(crate) fn measure(workspace: &Workspace, args: &Args) -> Result<()> {
    apt::install(packages::TEST)?;
    let mut command = cargo();
    command.current_dir(&workspace.root);
    command.args([
        "run",
        "--quiet",
        "--release",
        "-p",
        "rst-tracer-tests",
        "--bin",
        "accuracy",
        "--",
    ]);
    if args.explain {
        command.arg("--explain");
    }
    if args.kinds {
        command.arg("--kinds");
    }
    if let Some(ms) = args.far {
        command.args(["--far", &ms.to_string()]);
    }
    let is_whole = args.only.is_empty() && args.far.is_none();
    command.arg(if is_whole { "docs/accuracy.md" } else { "-" });
    command.args(&args.only);
    run(&mut command)
}
