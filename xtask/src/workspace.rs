//! Where things lie: the checkout, cargo's target directory, the tools built for it.
//!
//! Comes in: nothing but the environment cargo runs us in. Goes out: absolute paths.

use crate::command::output_of;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target whose standard library links statically: what is shipped.
pub(crate) const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";

/// The paths every verb needs.
pub(crate) struct Workspace {
    /// The root of the checkout.
    pub(crate) root: PathBuf,
    /// Cargo's target directory, wherever the user's configuration puts it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Finds the checkout this xtask belongs to and asks cargo for the target directory.
    ///
    /// # Errors
    /// When cargo cannot read the workspace's manifest.
    pub(crate) fn locate() -> Result<Self> {
        // `cargo run` sets the variable anew; the compiled-in value serves a binary run directly.
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir
            .parent()
            .with_context(|| format!("{} has no parent directory", manifest_dir.display()))?
            .to_path_buf();
        let metadata = output_of(
            cargo().args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(&root),
        )?;
        let metadata: serde_json::Value =
            serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?;
        let target = metadata["target_directory"]
            .as_str()
            .context("cargo metadata names no target_directory")?;
        Ok(Self { root, target: PathBuf::from(target) })
    }

    /// The one time that what is shipped may carry: that of the commit, or what `SOURCE_DATE_EPOCH` says, in seconds.
    ///
    /// # Errors
    /// When git does not know the commit.
    pub(crate) fn commit_time(&self) -> Result<String> {
        if let Ok(said) = std::env::var("SOURCE_DATE_EPOCH") {
            return Ok(said);
        }
        let mut git = Command::new("git");
        git.args(["log", "-1", "--format=%ct"]).current_dir(&self.root);
        let time = output_of(&mut git).context("set SOURCE_DATE_EPOCH where there is no git")?;
        Ok(time.trim().to_owned())
    }

    /// The kernel object the agent embeds, and its manifest.
    pub(crate) fn prebuilt(&self) -> PathBuf {
        self.root.join("rst-tracer-ebpf/prebuilt")
    }

    /// Where a tool of this name and version is installed; a new version gets a new directory.
    pub(crate) fn tool_root(&self, tool: &str, version: &str) -> PathBuf {
        self.target.join("tools").join(format!("{tool}-{version}"))
    }
}

/// The cargo that runs us, so that a `cargo +toolchain xtask` stays with its toolchain.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Installs `tool` of exactly `version` from its crate unless it is there, and returns its binary.
///
/// # Errors
/// When cargo cannot fetch or compile it.
pub(crate) fn installed_tool(
    workspace: &Workspace,
    tool: &str,
    version: &str,
    adjust: impl FnOnce(&mut Command),
) -> Result<PathBuf> {
    let root = workspace.tool_root(tool, version);
    let binary = root.join("bin").join(tool);
    if !binary.is_file() {
        let mut install = cargo();
        install.args(["install", "--locked", tool, "--version", version, "--root"]).arg(&root);
        install.env("CARGO_TARGET_DIR", workspace.target.join("tools/build"));
        adjust(&mut install);
        crate::command::run(&mut install)?;
    }
    Ok(binary)
}

/// Reads a file, naming it when it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
