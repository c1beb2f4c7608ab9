//! `prebuilt/manifest.json`: what the prebuilt object was made from, with what, and how.
//!
//! Comes in and goes out: the JSON file beside the object. Its hashes are what CI holds the
//! object and its sources against.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The object's file name beside the manifest.
pub(crate) const OBJECT: &str = "rst-tracer.bpf.o";
const MANIFEST: &str = "manifest.json";

/// The provenance of a prebuilt object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// File name of the object.
    pub(crate) object: String,
    /// SHA-256 of the object, hex.
    pub(crate) object_sha256: String,
    /// SHA-256 over the sources, hex; see `sources::hash`.
    pub(crate) sources_sha256: String,
    /// What it was compiled with.
    pub(crate) toolchain: Record,
    /// The commands, with `$STAGE`, `$REGISTRY` and `$CARGO_HOME` for the machine's paths.
    pub(crate) commands: Vec<String>,
}

/// The programs that decide about the object's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// `debian` or `nightly`.
    pub(crate) name: String,
    /// `release` of `rustc -vV`.
    pub(crate) rustc: String,
    /// `commit-hash` of `rustc -vV`.
    pub(crate) rustc_commit: String,
    /// `LLVM version` of `rustc -vV`.
    pub(crate) llvm: String,
    /// `bpf-linker --version`.
    pub(crate) bpf_linker: String,
    /// Debian packages and their versions; empty for other toolchains. A record for people: the
    /// fields above decide whether two toolchains are the same.
    pub(crate) packages: BTreeMap<String, String>,
}

impl Record {
    /// Whether both would write the same bytes.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let deciding = |r: &Self| {
            [&r.name, &r.rustc, &r.rustc_commit, &r.llvm, &r.bpf_linker].map(String::clone)
        };
        deciding(self) == deciding(other)
    }

    /// One line for people.
    pub(crate) fn describe(&self) -> String {
        let Self { name, rustc, llvm, bpf_linker, .. } = self;
        format!("{name}: rustc {rustc}, LLVM {llvm}, {bpf_linker}")
    }
}

/// Reads the manifest in the directory of the prebuilt object.
///
/// # Errors
/// When it is not there or not a manifest; the error names the remedy.
pub(crate) fn load(prebuilt: &Path) -> Result<Manifest> {
    let path = prebuilt.join(MANIFEST);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}: run `cargo xtask build-ebpf`", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged: run `cargo xtask build-ebpf`", path.display()))
}

/// Writes object and manifest; the manifest last, so that a torn write is found by its hashes.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn store(prebuilt: &Path, manifest: &Manifest, object: &[u8]) -> Result<()> {
    let mut json = serde_json::to_string_pretty(manifest)?;
    json.push('\n');
    for (name, contents) in [(OBJECT, object), (MANIFEST, json.as_bytes())] {
        let path = prebuilt.join(name);
        std::fs::write(&path, contents)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Checks that manifest, object and sources belong together. Needs no toolchain.
///
/// # Errors
/// Which of the two disagrees, and the remedy.
pub(crate) fn verify(manifest: &Manifest, sources_sha256: &str, object_sha256: &str) -> Result<()> {
    if manifest.sources_sha256 != sources_sha256 {
        bail!(
            "the prebuilt kernel object is older than its sources (built from {}, now {}):\n\
             run `cargo xtask build-ebpf` and commit rst-tracer-ebpf/prebuilt/",
            short(&manifest.sources_sha256),
            short(sources_sha256),
        );
    }
    if manifest.object_sha256 != object_sha256 {
        bail!(
            "{OBJECT} is not the file its manifest describes ({} instead of {}):\n\
             run `cargo xtask build-ebpf` and commit rst-tracer-ebpf/prebuilt/",
            short(object_sha256),
            short(&manifest.object_sha256),
        );
    }
    Ok(())
}

/// Enough of a hash to tell two apart by eye.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            object: OBJECT.to_owned(),
            object_sha256: "0bject".to_owned(),
            sources_sha256: "s0urces".to_owned(),
            toolchain: Record {
                name: "debian".to_owned(),
                rustc: "1.96.0".to_owned(),
                rustc_commit: "ac68faa".to_owned(),
                llvm: "22.1.8".to_owned(),
                bpf_linker: "bpf-linker 0.13.0".to_owned(),
                packages: BTreeMap::new(),
            },
            commands: vec![],
        }
    }

    #[test]
    fn changed_sources_are_refused_with_the_command_that_helps() {
        let error = verify(&manifest(), "changed", "0bject").expect_err("sources changed");
        assert!(error.to_string().contains("cargo xtask build-ebpf"), "{error}");
    }

    #[test]
    fn a_swapped_object_is_refused_though_the_sources_agree() {
        assert!(verify(&manifest(), "s0urces", "0bject").is_ok());
        assert!(verify(&manifest(), "s0urces", "swapped").is_err());
    }

    #[test]
    fn a_rebuilt_debian_package_of_the_same_compiler_is_the_same_toolchain() {
        let (ours, mut theirs) = (manifest().toolchain, manifest().toolchain);
        theirs.packages.insert("rustc-web".to_owned(), "1.96.0-2".to_owned());
        assert!(ours.agrees_with(&theirs));
        theirs.llvm = "22.1.9".to_owned();
        assert!(!ours.agrees_with(&theirs));
    }
}
