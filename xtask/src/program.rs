//! The program as it is shipped, and as it runs in the machines of `vm`: static, stripped, and the same bytes wherever
//! and whenever it is built with the same Rust and the same C library.
//!
//! Comes in: a checkout. Goes out: the program, in a target directory of its own: other flags would rebuild everything
//! in the usual one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{output_of, run};
use crate::dependencies::{self, AGENT};
use crate::workspace::{STATIC_TARGET, Workspace, cargo, read};

/// What glibc reads to find users and hosts. In a static program it then loads libraries, which ends in a segmentation
/// fault.
const NAME_SERVICE: &[u8] = b"nsswitch.conf";

/// The target directory.
pub(crate) fn target(workspace: &Workspace) -> PathBuf {
    workspace.target.join("static")
}

/// Where cargo puts what it builds there.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    target(workspace).join(STATIC_TARGET).join("release")
}

/// Builds it.
///
/// # Errors
/// When cargo cannot, or the program would not run everywhere.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    for (from, to) in renamed(workspace)? {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    run(cargo()
        .args(["build", "--release", "--locked", "--target", STATIC_TARGET, "-p", "rst-tracer"])
        .current_dir(&workspace.root)
        .env("CARGO_TARGET_DIR", target(workspace))
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        // What these would leave names paths, too.
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols"))?;
    let program = folder(workspace).join("rst-tracer");
    let asks_for_names = read(&program)?.windows(NAME_SERVICE.len()).any(|at| at == NAME_SERVICE);
    ensure!(!asks_for_names, "the program asks the C library for users or hosts, and would crash");
    Ok(program)
}

/// Paths of this machine that the compiler would write into the program (panics name their place), and what it writes
/// instead. Of those that fit, the last counts.
fn renamed(workspace: &Workspace) -> Result<Vec<(PathBuf, String)>> {
    let mut renamed = vec![
        (workspace.root.clone(), "/rst-tracer".to_owned()),
        (target(workspace), "/target".to_owned()),
    ];
    // One folder, as a rule, whose name tells the registry or its mirror.
    let packages = dependencies::of(workspace, &AGENT)?;
    let fetched = packages.iter().filter(|package| package.source.is_some());
    let folders: BTreeSet<&Path> = fetched
        .filter_map(|package| Some(package.manifest_path.parent()?.parent()?.as_std_path()))
        .collect();
    renamed.extend(folders.into_iter().map(|folder| (folder.to_owned(), "/registry".to_owned())));
    // Where the component rust-src is installed, the compiler takes the standard library's places from it.
    let ask = |arguments: &[&str]| {
        output_of(Command::new("rustc").args(arguments).current_dir(&workspace.root))
    };
    let sources = Path::new(ask(&["--print", "sysroot"])?.trim()).join("lib/rustlib/src/rust");
    let version = ask(&["-vV"])?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
    let commit = commit.context("`rustc -vV` tells no commit-hash")?;
    renamed.push((sources, format!("/rustc/{commit}")));
    Ok(renamed)
}
