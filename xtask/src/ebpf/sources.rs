//! The sources of the kernel object: which files they are, and one hash over all of them.
//!
//! Comes in: the root of a checkout. Goes out: paths with contents, sorted, and their SHA-256.

use crate::workspace::read;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The files and directories that the object is compiled from, below the root.
const SOURCES: &[&str] = &[
    "rst-tracer-ebpf/Cargo.toml",
    "rst-tracer-ebpf/Cargo.lock",
    "rst-tracer-ebpf/src",
    "rst-tracer-common/Cargo.toml",
    "rst-tracer-common/src",
];

/// One source file: its path below the root, with `/` between parts, and its bytes.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) contents: Vec<u8>,
}

/// Reads every source.
///
/// # Errors
/// When one cannot be read, or a path is not UTF-8.
pub(crate) fn collect(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut pending: Vec<PathBuf> = SOURCES.iter().map(|path| root.join(path)).collect();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path)
                .with_context(|| format!("cannot list {}", path.display()))?;
            for entry in entries {
                pending.push(entry.with_context(|| format!("in {}", path.display()))?.path());
            }
        } else {
            let below = path.strip_prefix(root).expect("every path was joined to the root");
            let name = below.to_str().with_context(|| format!("{below:?} is not UTF-8"))?;
            sources.push(Source { path: name.to_owned(), contents: read(&path)? });
        }
    }
    Ok(sources)
}

/// SHA-256 over the sources in the order of their paths, in hex. Every path and every content is
/// preceded by its length (u64, little-endian), so that no two sets of files run into the same
/// bytes.
pub(crate) fn hash(sources: &[Source]) -> String {
    let mut sorted: Vec<&Source> = sources.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut digest = Sha256::new();
    for source in sorted {
        for part in [source.path.as_bytes(), &source.contents] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    hex(&digest.finalize())
}

/// SHA-256 of one blob, in hex.
pub(crate) fn hash_of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, contents: &str) -> Source {
        Source { path: path.to_owned(), contents: contents.as_bytes().to_vec() }
    }

    #[test]
    fn the_hash_does_not_depend_on_the_order_the_files_were_found_in() {
        let (a, b) = (source("a/x.rs", "one"), source("b/y.rs", "two"));
        assert_eq!(hash(&[a.clone(), b.clone()]), hash(&[b, a]));
    }

    #[test]
    fn the_hash_changes_with_any_path_and_any_byte() {
        let base = hash(&[source("a", "bc"), source("d", "")]);
        for other in [
            [source("a", "bd"), source("d", "")],
            [source("ab", "c"), source("d", "")],
            [source("a", "bcd"), source("", "")],
            [source("a", ""), source("d", "bc")],
        ] {
            assert_ne!(base, hash(&other));
        }
    }

    #[test]
    fn a_known_digest_is_written_in_hex() {
        // FIPS 180-2, the empty message.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash_of_bytes(b""), empty);
    }

    #[test]
    fn the_sources_of_this_checkout_are_the_two_crates_and_nothing_built() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let sources = collect(&root).expect("the checkout can be read");
        let has = |path: &str| sources.iter().any(|source| source.path == path);
        assert!(has("rst-tracer-ebpf/src/main.rs") && has("rst-tracer-common/src/lib.rs"));
        assert!(has("rst-tracer-ebpf/Cargo.lock"));
        assert!(!sources.iter().any(|s| s.path.contains("target") || s.path.contains("prebuilt")));
    }
}
