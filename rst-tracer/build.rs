//! Which commit is built, for `--version`: of an archive that git made, what it wrote into `commit`; of a checkout, what
//! git says. Builds for development do not ask, or each commit would have everything built anew.
//!
//! Only the commit goes out: no path and no time, so that whoever builds it gets the same bytes.

use std::{env, fs, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=commit");
    let commit =
        env::var("PROFILE").is_ok_and(|profile| profile == "release").then(commit).flatten();
    // As many digits as name a commit of any history for sure enough, and one number of them everywhere.
    let short = commit.as_deref().and_then(|commit| commit.get(..12)).unwrap_or_default();
    println!("cargo::rustc-env=RST_TRACER_COMMIT={short}");
}

fn commit() -> Option<String> {
    let is_commit = |text: &String| text.len() >= 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let written = fs::read_to_string("commit").ok().map(|text| text.trim().to_owned());
    if let Some(commit) = written.filter(is_commit) {
        return Some(commit);
    }
    // Not of a repository in which a copy happens to lie.
    if !Path::new("../.git").exists() {
        return None;
    }
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "HEAD"]).filter(is_commit)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
