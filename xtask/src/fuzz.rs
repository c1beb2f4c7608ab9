//! `fuzz`: runs every fuzz target of tests/fuzz for some seconds, on the stable toolchain.
//!
//! Comes in: how long, perhaps one target, and seeds in tests/fuzz/seeds/TARGET. Goes out: nothing
//! but an exit code; an input that breaks a target stays in tests/fuzz/artifacts.

use crate::command::run;
use crate::workspace::{Workspace, cargo, installed_tool};
use crate::{apt, packages};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;

/// The cargo-fuzz that is installed when it is missing.
const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// What `fuzz` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each target runs.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Build without optimisation: in a third of the time, for fewer inputs a second.
    #[arg(long)]
    dev: bool,
    /// Only this target.
    target: Option<String>,
}

impl Args {
    /// The smoke run of `test`.
    pub(crate) fn for_tests() -> Self {
        Self { seconds: 10, dev: true, target: None }
    }
}

/// Carries out the verb; returns a sentence that sums it up.
///
/// # Errors
/// When there is no target, one is not declared, or one breaks.
pub(crate) fn run_targets(workspace: &Workspace, args: &Args) -> Result<String> {
    let crate_root = workspace.root.join("tests/fuzz");
    let mut targets = targets(&crate_root)?;
    if let Some(wanted) = &args.target {
        let known = targets.join(", ");
        targets.retain(|target| target == wanted);
        ensure!(!targets.is_empty(), "no fuzz target `{wanted}`; there are: {known}");
    }
    ensure!(!targets.is_empty(), "no target in {}", crate_root.join("fuzz_targets").display());
    apt::install(packages::FUZZ)?;
    installed_tool(workspace, "cargo-fuzz", CARGO_FUZZ_VERSION, |install| {
        // It only starts others: optimised it is built in twice the time and no faster at that.
        install.arg("--debug");
    })?;
    let bin = workspace.tool_root("cargo-fuzz", CARGO_FUZZ_VERSION).join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path)))?;
    for target in &targets {
        let corpus = crate_root.join("corpus").join(target);
        let seeds = Some(crate_root.join("seeds").join(target)).filter(|seeds| seeds.is_dir());
        // libFuzzer writes what it finds to the first directory and only reads the others.
        std::fs::create_dir_all(&corpus)
            .with_context(|| format!("cannot create {}", corpus.display()))?;
        run(cargo()
            .args(["fuzz", "run", "--fuzz-dir", "tests/fuzz", target])
            .args(args.dev.then_some("--dev"))
            .arg(corpus)
            .args(seeds)
            .arg("--")
            .arg(format!("-max_total_time={}", args.seconds))
            .args(["-timeout=10", "-rss_limit_mb=2048"])
            .current_dir(&workspace.root)
            .env("PATH", &path)
            .env("CARGO_TARGET_DIR", workspace.target.join("fuzz"))
            // The sanitizer's flags are unstable; the compiler is the one of everything else.
            .env("RUSTC_BOOTSTRAP", "1"))
        .with_context(|| {
            format!("fuzz target {target} broke; see tests/fuzz/artifacts/{target}")
        })?;
    }
    Ok(format!("{} x {} s", targets.join(", "), args.seconds))
}

/// The names of the targets: the files of fuzz_targets, each of which Cargo.toml must declare.
fn targets(crate_root: &Path) -> Result<Vec<String>> {
    let directory = crate_root.join("fuzz_targets");
    let manifest = crate_root.join("Cargo.toml");
    let manifest = std::fs::read_to_string(&manifest)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    let mut targets = Vec::new();
    let entries = std::fs::read_dir(&directory)
        .with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !manifest.contains(&format!("name = \"{name}\"")) {
                bail!("{} has no [[bin]] in tests/fuzz/Cargo.toml", path.display());
            }
            targets.push(name);
        }
    }
    targets.sort();
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_not_declared_is_not_silently_left_out() {
        let root = std::env::temp_dir().join(format!("xtask-fuzz-{}", std::process::id()));
        let file = |name: &str, text: &str| std::fs::write(root.join(name), text);
        std::fs::create_dir_all(root.join("fuzz_targets")).expect("a temporary directory");
        file("fuzz_targets/known.rs", "").expect("written");
        file("Cargo.toml", "[[bin]]\nname = \"known\"\n").expect("written");
        let declared = targets(&root);
        file("fuzz_targets/forgotten.rs", "").expect("written");
        let undeclared = targets(&root);
        std::fs::remove_dir_all(&root).expect("removed");
        assert_eq!(declared.expect("one target"), ["known"]);
        assert!(undeclared.expect_err("not declared").to_string().contains("forgotten"));
    }
}
