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
    /// The bootable image: in boot, or in newer packages beside the modules.
    pub(crate) fn image(&self) -> PathBuf {
        let old = self.root.join("boot").join(format!("vmlinuz-{}", self.release));
        if old.is_file() { old } else { self.modules().join("vmlinuz") }
    }

    /// The directory that holds modules.dep. Where packages unpack below usr/lib, `lib` is a link.
    pub(crate) fn modules(&self) -> PathBuf {
        self.root.join("lib/modules").join(&self.release)
    }
}

/// Fetches the newest build of a kernel; one that was fetched before is not fetched again.
///
/// # Errors
/// When no suite of this machine's mirrors carries it, or apt fails.
pub(crate) fn fetch(kernel: &Kernel, directory: &Path) -> Result<Unpacked> {
    let apt = PrivateApt::prepare(kernel, &directory.join("apt"))?;
    let names = apt.names("linux-")?;
    let release = newest(names.lines(), &kernel.series()).with_context(|| {
        format!(
            "no suite of {} on this machine's mirrors has a linux-image-{}*-cloud-amd64",
            kernel.suites.join(", "),
            kernel.name
        )
    })?;
    let root = directory.join(release);
    let unpacked = Unpacked { release: release.to_owned(), root: root.clone() };
    if root.is_dir() {
        return Ok(unpacked);
    }
    // Newer image packages are empty and depend on three others.
    let candidates =
        ["image", "base", "binary", "modules"].map(|kind| format!("linux-{kind}-{release}"));
    let packages = candidates.iter().filter(|name| names.lines().any(|known| known == **name));
    let downloads = fresh(&directory.join("download"))?;
    run(apt.get().arg("download").args(packages).current_dir(&downloads))?;

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
    configuration: PathBuf,
}

impl PrivateApt {
    fn prepare(kernel: &Kernel, directory: &Path) -> Result<Self> {
        let mirrors = own_mirrors()?;
        for below in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(below))
                .with_context(|| format!("cannot create {}", directory.join(below).display()))?;
        }
        let write = |name: &str, text: &str| -> Result<String> {
            let path = directory.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path.display().to_string())
        };
        let entries: String = kernel.suites.iter().map(|suite| entry(&mirrors, suite)).collect();
        let options = [
            ("Dir::State", directory.display().to_string()),
            ("Dir::State::status", write("status", "")?),
            ("Dir::Cache", directory.join("cache").display().to_string()),
            ("Dir::Etc::sourcelist", write("suite.sources", &entries)?),
            ("Dir::Etc::sourceparts", "/dev/null".to_owned()),
            // Package lists only: no translations, no metadata for software centres.
            ("Acquire::Languages", "none".to_owned()),
            ("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false".to_owned()),
            // apt's own user may not enter this directory.
            ("APT::Sandbox::User", "root".to_owned()),
        ];
        let text: String =
            options.iter().map(|(name, value)| format!("{name} \"{value}\";\n")).collect();
        let apt = Self { configuration: write("apt.conf", &text)?.into() };
        // One suite of several may be gone from the mirrors; what the others say is still good.
        if let Err(error) = run(apt.get().arg("update")) {
            eprintln!("going on with what could be fetched: {error}");
        }
        Ok(apt)
    }

    fn get(&self) -> Command {
        let mut command = apt_get();
        command.env("APT_CONFIG", &self.configuration);
        command
    }

    /// The names of all packages that begin with `prefix`.
    fn names(&self, prefix: &str) -> Result<String> {
        let mut command = Command::new("apt-cache");
        output_of(command.args(["pkgnames", prefix]).env("APT_CONFIG", &self.configuration))
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
