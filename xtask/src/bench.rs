//! `bench`: measures rst-tracer beside what people use.
//!
//! Comes in: a checkout, root. Goes out: `docs/performance.md` and `docs/performance.json`, and a failure where
//! something is worse than it may be (bench/src/floors.rs).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command::{output_of, run};
use crate::test::BUILD_ALL;
use crate::workspace::{Workspace, cargo};
use crate::{apt, ebpf, packages};

/// What `bench` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A smoke run; nothing is written.
    #[arg(long)]
    quick: bool,
    /// The kernel object to measure, if not the prebuilt one.
    #[arg(long, value_name = "FILE")]
    object: Option<PathBuf>,
    /// What is measured, if not everything: packet, replay, agent, resets, device; may be given more than once.
    #[arg(long, value_name = "PART")]
    part: Vec<String>,
    /// Captures that `replay` is to read beside those it makes.
    #[arg(long, value_name = "DIR")]
    captures: Option<PathBuf>,
}

impl Args {
    /// As the tests do it.
    pub(crate) fn for_tests() -> Self {
        Self { quick: true, object: None, part: Vec::new(), captures: None }
    }
}

/// Carries out the verb.
///
/// # Errors
/// When something cannot be installed, built, loaded or measured.
pub(crate) fn measure(workspace: &Workspace, args: &Args) -> Result<()> {
    let needs = |part: &String| ["packet", "device"].contains(&part.as_str());
    let needs_baselines = args.part.is_empty() || args.part.iter().any(needs);
    let baselines = needs_baselines.then(|| ebpf::baselines(workspace)).transpose()?;
    measure_with(workspace, baselines.as_deref(), args)
}

/// The same, beside baselines that are there.
///
/// # Errors
/// As [`measure`].
pub(crate) fn measure_with(
    workspace: &Workspace,
    baselines: Option<&Path>,
    args: &Args,
) -> Result<()> {
    apt::install(packages::BENCH)?;
    let mut build = cargo();
    build.current_dir(&workspace.root);
    // A smoke run takes the programs as they were built for the tests.
    let built = if args.quick {
        build.args(BUILD_ALL);
        workspace.target.join("debug")
    } else {
        build.args([
            "build",
            "--release",
            "--locked",
            "-p",
            "rst-tracer",
            "-p",
            "rst-tracer-bench",
        ]);
        workspace.target.join("release")
    };
    run(&mut build)?;
    let mut command = Command::new(built.join("rst-tracer-bench"));
    command.current_dir(&workspace.root);
    command.arg("--binary").arg(built.join("rst-tracer"));
    if let Some(baselines) = baselines {
        command.arg("--baselines").arg(baselines);
    }
    if let Some(object) = &args.object {
        command.arg("--object").arg(std::path::absolute(object)?);
    }
    if let Some(captures) = &args.captures {
        command.arg("--captures").arg(std::path::absolute(captures)?);
    }
    command.args(args.part.iter().flat_map(|part| ["--part", part]));
    if args.quick {
        command.arg("--quick");
    } else {
        command.args(["--commit", &commit(&workspace.root)]);
        command.args(["--markdown", "docs/performance.md", "--json", "docs/performance.json"]);
    }
    run(&mut command)
}

/// The commit that is measured, with `-dirty` where something else than the last measurement differs from it.
fn commit(root: &Path) -> String {
    let git = |words: &[&str]| output_of(Command::new("git").current_dir(root).args(words));
    let Ok(commit) = git(&["rev-parse", "--short=7", "HEAD"]) else { return "unknown".into() };
    let changed = git(&["status", "--porcelain", "--", ".", ":!docs/performance.*"]);
    let mark = if changed.is_ok_and(|changed| changed.trim().is_empty()) { "" } else { "-dirty" };
    format!("{}{mark}", commit.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_measurement_makes_no_commit_dirty() {
        let root = std::env::temp_dir().join(format!("measured-{}", std::process::id()));
        std::fs::create_dir_all(root.join("docs")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
        let git = |words: &[&str]| {
            let who = ["-c", "user.name=a", "-c", "user.email=a@b.invalid"];
            output_of(Command::new("git").current_dir(&root).args(who).args(words)).unwrap()
        };
        write("docs/performance.md", "old");
        write("program", "old");
        git(&["init", "--quiet"]);
        git(&["add", "."]);
        git(&["commit", "--quiet", "-m", "x"]);
        write("docs/performance.md", "new");
        let clean = commit(&root);
        write("program", "new");
        let dirty = commit(&root);
        std::fs::remove_dir_all(&root).unwrap();
        assert!(clean.len() >= 7 && !clean.ends_with("-dirty"), "{clean}");
        assert_eq!(dirty, format!("{clean}-dirty"));
    }
}
