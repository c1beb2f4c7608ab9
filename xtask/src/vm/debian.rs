//! A Debian on a disk, booted with its own kernel and its own systemd.
//!
//! Comes in: an image of its root, files to put there, steps for its shell. Goes out: how they went. The image stays as
//! it is: what the guest writes is forgotten.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::boot;
use super::guest::{self, Step};
use super::report::{self, Run};
use super::{fetch, finished, kernels, modules};
use crate::workspace::Workspace;

/// What the disk takes, besides what tracing takes.
const DISK_MODULES: &[&str] = &["virtio_pci", "virtio_blk"];

/// Boots the disk with Debian's kernel of this series; `files` are at the root of its file system.
///
/// # Errors
/// When the kernel cannot be had or the machine cannot be started.
pub(crate) fn run(
    workspace: &Workspace,
    series: &str,
    disk: &Path,
    files: &[(&str, Vec<u8>)],
    steps: Vec<Step>,
) -> Result<Run> {
    let place = workspace.target.join("vm");
    let directory = place.join(series);
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let kernel = kernels::named(series).map_err(anyhow::Error::msg)?.remove(0);
    let unpacked = fetch::fetch(&kernel, &directory)?;
    let modules = modules::collect(&unpacked.modules(), &[modules::WANTED, DISK_MODULES].concat())?;

    let mut archive = guest::base(&modules, include_bytes!("init-disk.sh"))?;
    archive.directory("disk");
    archive.directory("files");
    archive.file("files/commands", guest::script(&steps).as_bytes());
    archive.file("files/trial.service", include_bytes!("trial.service"));
    for (name, contents) in files {
        archive.file(&format!("files/{name}"), contents);
    }
    let initramfs = directory.join("initramfs-disk.cpio");
    fs::write(&initramfs, archive.finish())
        .with_context(|| format!("cannot write {}", initramfs.display()))?;
    let log = place.join("debian.log");
    eprintln!("booting Debian with {}; console: {}", unpacked.release, log.display());
    let boot = boot::boot(&unpacked.image(), &initramfs, &log, Some(disk))?;
    Ok(finished(boot, unpacked.release, steps, &log))
}

/// The table of a run.
pub(crate) fn table(run: &Run) -> String {
    report::table(std::slice::from_ref(run))
}
