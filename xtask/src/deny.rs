//! `deny`: cargo-deny with our deny.toml. It takes minutes to compile; most of what the file says is a test, too.
//!
//! Comes in: deny.toml and the lock files. Goes out: what cargo-deny says of them.

#[cfg(test)]
mod policy;

use std::process::Command;

use anyhow::Result;

use crate::command::run;
use crate::dependencies::{AGENT, KERNEL_PROGRAMS};
use crate::workspace::{Workspace, installed_tool};

/// Newer ones may want another Rust.
const CARGO_DENY: &str = "0.20.2";
const FILE: &str = "deny.toml";

/// What `deny` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Known vulnerabilities and yanked versions, too (which takes the network)
    #[arg(long)]
    advisories: bool,
}

/// Carries out the verb.
///
/// # Errors
/// When something is denied, or cargo-deny cannot be had.
pub(crate) fn check(workspace: &Workspace, args: &Args) -> Result<()> {
    let cargo_deny = installed_tool(workspace, "cargo-deny", CARGO_DENY, |_| {})?;
    let checks: &[&str] = &["licenses", "bans", "sources", "advisories"];
    let checks = if args.advisories { checks } else { &checks[..3] };
    for shipped in [AGENT, KERNEL_PROGRAMS] {
        let mut command = Command::new(&cargo_deny);
        command.args(["--locked", "--manifest-path", shipped.manifest, "--config", FILE, "check"]);
        // What only one of the two programs needs is no mistake of the file.
        command.args(["--allow", "license-not-encountered", "--allow", "unmatched-skip"]);
        run(command.args(checks).current_dir(&workspace.root))?;
    }
    Ok(())
}
