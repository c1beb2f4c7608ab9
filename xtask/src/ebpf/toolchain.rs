//! The two toolchains that can compile the kernel object: Debian's, and a nightly with rust-src.
//!
//! Comes in: which one is wanted. Goes out: the programs, installed where that is possible, and
//! the record of their versions for the manifest.

use super::manifest::Record;
use crate::command::output_of;
use crate::workspace::{Workspace, installed_tool};
use crate::{apt, packages};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The bpf-linker that `debian` uses, and where Debian keeps the LLVM it links.
const BPF_LINKER_VERSION: &str = "0.13.0";
const LLVM_FEATURE: &str = "llvm-22";
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

/// Which toolchain to build with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Choice {
    /// Debian's rustc-web with its own core for bpfel: the one the prebuilt object comes from.
    Debian,
    /// rustup's nightly with rust-src; needs a bpf-linker on PATH that links an LLVM at least as
    /// new as the nightly's.
    Nightly,
}

/// The programs of a toolchain, found and runnable.
pub(crate) struct Toolchain {
    choice: Choice,
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    pub(crate) bpf_linker: PathBuf,
    /// llvm-objcopy, or rustc's own copy of it.
    pub(crate) objcopy: PathBuf,
}

impl Choice {
    /// The toolchain of this name in a manifest.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Debian, Self::Nightly].into_iter().find(|choice| choice.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::Nightly => "nightly",
        }
    }

    /// Finds the toolchain, installing what is missing where that is possible.
    ///
    /// # Errors
    /// What is missing and how to get it.
    pub(crate) fn provide(self, workspace: &Workspace) -> Result<Toolchain> {
        match self {
            Self::Debian => debian(workspace),
            Self::Nightly => nightly(),
        }
    }
}

fn debian(workspace: &Workspace) -> Result<Toolchain> {
    apt::install(packages::EBPF)?;
    let bpf_linker = installed_tool(workspace, "bpf-linker", BPF_LINKER_VERSION, |install| {
        install.args(["--no-default-features", "--features", LLVM_FEATURE]);
        install.env("LLVM_PREFIX", LLVM_PREFIX);
    })?;
    Ok(Toolchain {
        choice: Choice::Debian,
        cargo: PathBuf::from("/usr/bin/cargo"),
        rustc: PathBuf::from("/usr/bin/rustc"),
        bpf_linker,
        objcopy: Path::new(LLVM_PREFIX).join("bin/llvm-objcopy"),
    })
}

fn nightly() -> Result<Toolchain> {
    let remedy = "run: rustup toolchain install nightly --component rust-src";
    let which = |program: &str| -> Result<PathBuf> {
        let path = output_of(
            Command::new("rustup").args(["which", "--toolchain", "nightly"]).arg(program),
        )
        .context(remedy)?;
        Ok(PathBuf::from(path.trim()))
    };
    let (cargo, rustc) = (which("cargo")?, which("rustc")?);
    let sysroot = output_of(Command::new(&rustc).args(["--print", "sysroot"]))?;
    let rustlib = Path::new(sysroot.trim()).join("lib/rustlib");
    anyhow::ensure!(
        rustlib.join("src/rust/library/core").is_dir(),
        "the nightly toolchain has no rust-src; run: rustup component add rust-src --toolchain nightly"
    );
    let host = field(&output_of(Command::new(&rustc).arg("-vV"))?, "host")?;
    let bpf_linker = on_path("bpf-linker").context(
        "no bpf-linker on PATH; run `cargo install bpf-linker` with the LLVM of the nightly's \
         `rustc -vV` or a newer one",
    )?;
    let objcopy = rustlib.join(host).join("bin/rust-objcopy");
    Ok(Toolchain { choice: Choice::Nightly, cargo, rustc, bpf_linker, objcopy })
}

impl Toolchain {
    /// What cargo is told beyond the common arguments: nightly compiles core itself.
    pub(crate) fn extra_arguments(&self) -> &'static [&'static str] {
        match self.choice {
            Choice::Debian => &[],
            Choice::Nightly => &["-Z", "build-std=core"],
        }
    }

    /// The versions that decide about the object's bytes.
    ///
    /// # Errors
    /// When a program does not tell its version.
    pub(crate) fn record(&self) -> Result<Record> {
        let about = output_of(Command::new(&self.rustc).arg("-vV"))?;
        let bpf_linker = output_of(Command::new(&self.bpf_linker).arg("--version"))?;
        let packages = match self.choice {
            Choice::Nightly => &[][..],
            Choice::Debian => packages::EBPF,
        };
        let version = |name: &str| Some((name.to_owned(), apt::installed_version(name)?));
        Ok(Record {
            name: self.choice.name().to_owned(),
            rustc: field(&about, "release")?,
            rustc_commit: field(&about, "commit-hash")?,
            llvm: field(&about, "LLVM version")?,
            bpf_linker: bpf_linker.trim().to_owned(),
            packages: packages.iter().filter_map(|package| version(package.name)).collect(),
        })
    }
}

/// A `name: value` line of `rustc -vV`.
fn field(about: &str, name: &str) -> Result<String> {
    about
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .map(str::to_owned)
        .with_context(|| format!("`rustc -vV` has no line `{name}:`"))
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_rustc_are_read_by_their_whole_name() {
        let about = "rustc 1.96.0 (x)\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(field(about, "LLVM version").expect("is there"), "22.1.8");
        assert!(field(about, "LLVM").is_err());
    }

    #[test]
    fn every_choice_is_found_again_by_the_name_in_the_manifest() {
        for choice in [Choice::Debian, Choice::Nightly] {
            assert_eq!(Choice::named(choice.name()), Some(choice));
        }
        assert_eq!(Choice::named("gcc"), None);
    }
}
