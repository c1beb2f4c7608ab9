//! The observing host, as the formats name hosts beside the name that each event has.
//!
//! In: files of the system, and what is to be said of the host. Out: what is told there, read once; what is not, no
//! format tells.

use std::fs;

use super::{Internal, Marks};
use crate::processes;

/// What is known of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Its machine id: 32 hexadecimal digits, the same over restarts (machine-id(5)).
    pub id: Option<String>,
    /// The release of its kernel.
    pub kernel: Option<String>,
    /// This run of the tracer on it: the `entity_id` of the process.
    pub run: Option<String>,
    /// What else is to be said in every line.
    pub marks: Marks,
    /// Which addresses are inside.
    pub internal: Internal,
}

impl Host {
    /// This host.
    pub fn read() -> Self {
        let text = |path| fs::read_to_string(path).ok();
        Self {
            id: text("/etc/machine-id").and_then(|text| machine_id(&text)),
            kernel: text("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
            run: processes::own_entity_id(),
            marks: Marks::default(),
            internal: Internal::default(),
        }
    }
}

/// The text says `uninitialized` before the first boot, and images of containers have an empty file.
fn machine_id(text: &str) -> Option<String> {
    let id = text.trim();
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

#[cfg(test)]
impl Host {
    /// A host for tests.
    pub(super) fn sample() -> Self {
        Self {
            id: Some("8a2c1d0e9f8b4c7d8e6f5a4b3c2d1e0f".into()),
            kernel: Some("6.18.5-amd64".into()),
            run: Some("0f1e2d3c4b5a69788796a5b4c3d2e1f0".into()),
            marks: Marks::sample(),
            internal: Internal::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_is_one() {
        let id = "8a2c1d0e9f8b4c7d8e6f5a4b3c2d1e0f";
        assert_eq!(machine_id(&format!("{id}\n")).as_deref(), Some(id));
        for other in ["", "\n", "uninitialized\n", &id[1..], &format!("{id}0")] {
            assert_eq!(machine_id(other), None, "{other:?}");
        }
    }

    #[test]
    fn the_kernel_says_which_it_is() {
        let release = nix::sys::utsname::uname().expect("a kernel").release().to_owned();
        assert_eq!(Host::read().kernel.as_deref(), release.to_str());
    }
}
