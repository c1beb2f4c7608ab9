//! Fetching a kernel from another Debian suite without touching this machine's apt.
//!
//! Comes in: a line of the matrix. Goes out: a directory with its vmlinuz and modules, unpacked
//! and indexed. Packages are downloaded and unpacked, never installed; apt keeps its state below
//! target/vm/NAME.

use super::kernels::{Kernel, newest};
use super::sources::{Mirror, entry, mirrors};
use crate::apt::apt_get;
use crate::command::{output_of, run};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An unpacked kernel.
pub(crate) struct Unpacked {
    /// What `uname -r` will say.
    pub(crate) release: String,
    /// Where the packages were unpacked.
    root: PathBuf,
}

impl Unpacked {
    /// The bootable image.
    pub(crate) fn image(&self) -> PathBuf {
        self.root.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// The directory that holds modules.dep; below /usr since Debian merged it.
    pub(crate) fn modules(&self) -> PathBuf {
        modules_of(&self.root, &self.release)
    }
}

fn modules_of(root: &Path, release: &str) -> PathBuf {
    let old = root.join("lib/modules").join(release);
    if old.is_dir() { old } else { root.join("usr/lib/modules").join(release) }
}

/// Fetches the newest build of a kernel; one that was fetched before is not fetched again.
///
/// # Errors
/// When no suite of this machine's mirrors carries it, or apt fails.
pub(crate) fn fetch(kernel: &Kernel, directory: &Path) -> Result<Unpacked> {
    let apt = PrivateApt::prepare(kernel, &directory.join("apt"))?;
    let names = output_of(apt.command("apt-cache").args(["pkgnames", "linux-image-"]))?;
    let release = newest(names.lines(), &kernel.series()).with_context(|| {
        format!(
            "no suite of {} on this machine's mirrors has a kernel {} for the cloud",
            kernel.suites.join(", "),
            kernel.name
        )
    })?;
    let root = directory.join(release);
    let unpacked = Unpacked { release: release.to_owned(), root: root.clone() };
    if root.is_dir() {
        return Ok(unpacked);
    }
    // Since 6.17 the image package is empty and depends on two others.
    let candidates = ["image", "binary", "modules"].map(|kind| format!("linux-{kind}-{release}"));
    let all = output_of(apt.command("apt-cache").args(["pkgnames", "linux-"]))?;
    let packages = candidates.iter().filter(|name| all.lines().any(|known| known == **name));
    let downloads = fresh(&directory.join("download"))?;
    run(apt.command("apt-get").arg("-q").arg("download").args(packages).current_dir(&downloads))?;

    let partial = fresh(&directory.join("unpacking"))?;
    for package in fs::read_dir(&downloads)? {
        let package = package?.path();
        run(Command::new("dpkg-deb").arg("-x").arg(package).arg(&partial))?;
    }
    // depmod looks below lib/modules only.
    if !partial.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", partial.join("lib"))?;
    }
    run(Command::new("/sbin/depmod").arg("-b").arg(&partial).arg(release))?;
    fs::remove_dir_all(&downloads)?;
    fs::rename(&partial, &root)?;
    Ok(unpacked)
}

/// An apt with its own sources, lists and caches, but this machine's proxies and keyrings.
struct PrivateApt {
    options: Vec<String>,
}

impl PrivateApt {
    fn prepare(kernel: &Kernel, directory: &Path) -> Result<Self> {
        let mirrors = own_mirrors()?;
        for below in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(below))
                .with_context(|| format!("cannot create {}", directory.join(below).display()))?;
        }
        let at = |name: &str| directory.join(name).display().to_string();
        let text: String = kernel.suites.iter().map(|suite| entry(&mirrors, suite)).collect();
        fs::write(at("suite.sources"), text)?;
        fs::write(at("status"), "")?;
        let options = [
            format!("Dir::State={}", directory.display()),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::State::status={}", at("status")),
            format!("Dir::Cache={}", at("cache")),
            format!("Dir::Etc::sourcelist={}", at("suite.sources")),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "APT::Sandbox::User=".to_owned(),
        ];
        let apt = Self { options: options.into() };
        // One suite of several may be gone from the mirrors; what the others say is still good.
        if let Err(error) = run(apt.command("apt-get").args(["-q", "update"])) {
            eprintln!("going on with what could be fetched: {error}");
        }
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = if program == "apt-get" { apt_get() } else { Command::new(program) };
        command.args(self.options.iter().flat_map(|option| ["-o", option]));
        command
    }
}

/// The mirrors this machine takes its own suite from.
fn own_mirrors() -> Result<Vec<Mirror>> {
    let release = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .context("/etc/os-release names no VERSION_CODENAME: is this Debian?")?
        .trim_matches('"');
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(directory) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(directory.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files.sort();
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let mut found: Vec<Mirror> = Vec::new();
    for mirror in texts.flat_map(|text| mirrors(&text, suite)) {
        if !found.contains(&mirror) {
            found.push(mirror);
        }
    }
    if found.is_empty() {
        bail!("no entry for {suite} in /etc/apt/sources.list(.d): where would kernels come from?");
    }
    Ok(found)
}

/// An empty directory.
fn fresh(directory: &Path) -> Result<PathBuf> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    Ok(directory.to_path_buf())
}
