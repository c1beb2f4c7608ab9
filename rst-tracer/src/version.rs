//! What `--version` says: the package's version, the commit, and which kernel object is inside.

use std::sync::LazyLock;

/// What is known about the object beside which it lies.
const MANIFEST: &str = include_str!("../../rst-tracer-ebpf/prebuilt/manifest.json");
/// Empty where it is not known (see `build.rs`).
const COMMIT: &str = env!("RST_TRACER_COMMIT");
/// So many digits tell one object from another.
const DIGITS: usize = 12;

/// Several lines, of which the first is the version.
pub fn long() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(|| text(COMMIT));
    &LONG
}

fn text(commit: &str) -> String {
    let mut text = env!("CARGO_PKG_VERSION").to_owned();
    if !commit.is_empty() {
        text += &format!("\ncommit {commit}");
    }
    if let Some(hash) = object() {
        text += &format!("\nkernel object {hash}");
    }
    text
}

/// The beginning of the object's SHA-256.
fn object() -> Option<&'static str> {
    let (_, rest) = MANIFEST.split_once("\"object_sha256\": \"")?;
    rest.get(..DIGITS)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::source::live::object::OBJECT;

    #[test]
    fn the_object_is_the_one_inside() {
        let hash = Sha256::digest(OBJECT);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(object(), hash.get(..DIGITS));
    }

    #[test]
    fn the_commit_is_said_where_it_is_known() {
        let version = env!("CARGO_PKG_VERSION");
        let object = format!("kernel object {}", object().expect("it has one"));
        assert_eq!(text(""), format!("{version}\n{object}"));
        assert_eq!(text("0123456789ab"), format!("{version}\ncommit 0123456789ab\n{object}"));
    }
}
