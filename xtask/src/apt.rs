//! Installing Debian packages that are missing, as root; saying what to do where we cannot.
//!
//! Comes in: packages from the list in `packages.rs`. Goes out: they are installed, their
//! services kept down, or an error holds the command that would install them.

use crate::command::{output_of, run};
use crate::packages::{self, Package};
use crate::services;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Seconds to wait for another apt that holds the lock.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=300";

/// Installs those of `packages` that are missing.
///
/// # Errors
/// When there is no apt, we are not root, or apt fails; each names the packages and the remedy.
pub(crate) fn install(packages: &[Package]) -> Result<()> {
    let missing: Vec<&Package> =
        packages.iter().filter(|package| installed_version(package.name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for package in &missing {
        eprintln!("missing: {} ({})", package.name, package.why);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let names = names.join(" ");
    if output_of(Command::new("apt-get").arg("--version")).is_err() {
        bail!("this machine has no apt-get; install what Debian calls: {names}");
    }
    if output_of(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!(
            "only root can install packages; run: sudo apt-get update && sudo apt-get install {names}"
        );
    }
    update_once()?;
    let services: Vec<&str> = missing.iter().filter_map(|package| package.service).collect();
    services::kept_down(&services, || {
        run(apt_get()
            .args(["install", "-y", "--no-install-recommends", "-o", LOCK_TIMEOUT])
            .args(names.split(' ')))
        .with_context(|| format!("apt could not install {names}"))
    })
}

/// What the tests call: installs or unpacks what of it is missing.
///
/// # Errors
/// As [`install`] and [`unpack`].
pub(crate) fn for_tests(workspace: &Workspace) -> Result<()> {
    install(packages::TEST)?;
    unpack(packages::UNPACKED, &workspace.target.join("packages"))
}

/// Downloads those of `packages` that have no folder of their name in `below` yet, and unpacks them there. Nothing of
/// them is installed, none of their scripts runs.
///
/// # Errors
/// When there is no apt, or it cannot download; each names the package.
fn unpack(packages: &[Package], below: &Path) -> Result<()> {
    for Package { name, why, .. } in packages {
        let folder = below.join(name);
        if folder.is_dir() {
            continue;
        }
        eprintln!("missing: {name} ({why})");
        // Whole or not there.
        let half = below.join(format!("{name}.half"));
        fs::remove_dir_all(&half).ok();
        fs::create_dir_all(&half).with_context(|| format!("making {}", half.display()))?;
        let download = || {
            // apt's own user may not enter this directory.
            let arguments = ["-o", "APT::Sandbox::User=root", "download", name];
            run(apt_get().args(arguments).current_dir(&half))
        };
        // Package lists may be too old, which only root can change.
        download()
            .or_else(|_| update_once().and_then(|()| download()))
            .with_context(|| format!("apt could not download {name} into {}", half.display()))?;
        let archive = fs::read_dir(&half)?.next().context("apt downloaded nothing")??.path();
        run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&half))?;
        fs::remove_file(&archive)?;
        fs::rename(&half, &folder)?;
    }
    Ok(())
}

/// The installed version of a package; `None` when it is not installed (or dpkg is not there).
pub(crate) fn installed_version(package: &str) -> Option<String> {
    let query = ["-W", "-f", "${db:Status-Status} ${Version}\n", package];
    let output = output_of(Command::new("dpkg-query").args(query)).ok()?;
    output.lines().find_map(|line| line.strip_prefix("installed ")).map(str::to_owned)
}

/// Fetches the package lists, once in this run.
fn update_once() -> Result<()> {
    static DONE: OnceLock<()> = OnceLock::new();
    if DONE.get().is_none() {
        run(apt_get().args(["update", "-o", LOCK_TIMEOUT]))?;
        let _ = DONE.set(());
    }
    Ok(())
}

/// An apt-get that asks no questions (tshark's package would ask one).
pub(crate) fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    // Without -q and with a pseudo-terminal, progress bars fill the log.
    command.args(["-q", "-o", "Dpkg::Use-Pty=0"]).env("DEBIAN_FRONTEND", "noninteractive");
    command
}
