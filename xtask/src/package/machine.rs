//! The package in a machine: Debian's systemd starts the service on Debian's kernel, and it traces.
//!
//! Comes in: the package, and a root that debootstrap made. Goes out: how each step of trial.sh went.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::run;
use crate::vm::{self, Step};
use crate::workspace::{Workspace, read};
use crate::{apt, packages};

/// The kernel of the Debian that the package is tried in.
const KERNEL: &str = "6.1";
const TRIAL: &[u8] = include_bytes!("trial.sh");

/// Each is a function of trial.sh.
const STEPS: &[&str] = &[
    "installing_starts_nothing",
    "starts",
    "runs_with_less",
    "tells_a_reset",
    "reloads_after_a_rotation",
    "becomes_nobody",
    "is_watched",
    "survives_an_upgrade",
    "ends_when_removed",
    "leaves_nothing_when_purged",
];
/// Lines worth showing.
const TELLING: &[&str] = &["Uid:", "CapEff:", "in vain:"];

/// Boots the root with its systemd, and installs, runs, upgrades and purges the package there.
///
/// # Errors
/// When the machine cannot be made, or a step failed; the table is printed first.
pub(super) fn try_it(workspace: &Workspace, root: &Path, package: &Path) -> Result<()> {
    apt::install(packages::VM)?;
    let disk = disk(root)?;
    let step = |name: &&str| Step {
        command: format!("bash /trial.sh {name}"),
        degraded_exits: &[],
        telling: TELLING,
    };
    let steps = STEPS.iter().map(step).collect();
    let files = [("rst-tracer.deb", read(package)?), ("trial.sh", TRIAL.to_vec())];
    let run = vm::run_debian(workspace, KERNEL, &disk, &files, steps)?;
    eprint!("{}", vm::table(&run));
    if run.failed() {
        bail!("the service does not do what it must; the console is target/vm/debian.log");
    }
    Ok(())
}

/// An image of the root, made once.
fn disk(root: &Path) -> Result<std::path::PathBuf> {
    let disk = root.with_extension("ext4");
    if !disk.is_file() {
        let partial = root.with_extension("partial");
        fs::remove_file(&partial).ok();
        let mut mke2fs = Command::new("/sbin/mke2fs");
        run(mke2fs.args(["-q", "-t", "ext4", "-d"]).args([root, &partial]).arg("1G"))?;
        fs::rename(&partial, &disk).with_context(|| format!("cannot make {}", disk.display()))?;
    }
    Ok(disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_the_script_is_taken_in_its_order() {
        let script = std::str::from_utf8(TRIAL).unwrap();
        let steps: Vec<&str> =
            script.lines().filter_map(|line| line.strip_suffix("() {")).collect();
        assert_eq!(steps, STEPS);
    }
}
