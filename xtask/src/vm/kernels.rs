//! The kernels of the matrix: which Debian suites carry them, and how the newest build is picked.
//!
//! Comes in: what `--kernel` names, package names. Goes out: suites to search, releases in order.

use std::borrow::Cow;

/// A line of the matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// What `--kernel` calls it, and what its files under target/vm are called.
    pub(crate) name: Cow<'static, str>,
    /// The Debian suites it is in, without `-security` and `-updates`, which come along.
    pub(crate) suites: &'static [&'static str],
    /// Why this kernel is worth booting.
    pub(crate) why: &'static str,
}

impl Kernel {
    /// What its releases begin with; empty for any.
    pub(crate) fn series(&self) -> String {
        if self.name == "newest" { String::new() } else { format!("{}.", self.name) }
    }
}

/// The matrix. To add a kernel, add a line; `doctor` and `demo` run on each.
pub(crate) const MATRIX: &[Kernel] = &[
    Kernel {
        name: Cow::Borrowed("5.10"),
        suites: &["bullseye"],
        why: "the oldest: before XDP frags (5.18), reset reasons (6.10) and tcx (6.6)",
    },
    Kernel {
        name: Cow::Borrowed("6.1"),
        suites: &["bookworm"],
        why: "XDP frags, but clsact instead of tcx; drop reasons in kfree_skb",
    },
    Kernel {
        name: Cow::Borrowed("6.12"),
        suites: &["trixie"],
        why: "tcx, and tcp_send_reset tells its reason",
    },
    Kernel {
        name: Cow::Borrowed("newest"),
        suites: &["trixie-backports", "sid"],
        why: "what comes next: changed tracepoints and a stricter verifier show here first",
    },
];

/// Where a kernel outside of the matrix is looked for.
const ANYWHERE: &[&str] = &["bullseye", "bookworm", "trixie", "trixie-backports", "sid"];

/// The kernels that `--kernel` names: `all`, a line of the matrix, or any series such as `6.18`.
///
/// # Errors
/// A sentence, when the name is none of these.
pub(crate) fn named(name: &str) -> Result<Vec<Kernel>, String> {
    if name == "all" {
        return Ok(MATRIX.to_vec());
    }
    if let Some(kernel) = MATRIX.iter().find(|kernel| kernel.name == name) {
        return Ok(vec![kernel.clone()]);
    }
    let numbers: Vec<&str> = name.split('.').collect();
    let numeric = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if numbers.len() != 2 || !numbers.iter().all(numeric) {
        let known: Vec<&str> = MATRIX.iter().map(|kernel| &*kernel.name).collect();
        return Err(format!(
            "`{name}` is not one of all, {}, or a series such as 6.18",
            known.join(", ")
        ));
    }
    let name = Cow::Owned(name.to_owned());
    Ok(vec![Kernel { name, suites: ANYWHERE, why: "asked for" }])
}

/// The newest release of `series` among the packages `linux-image-RELEASE-cloud-amd64`.
pub(crate) fn newest<'a>(
    packages: impl IntoIterator<Item = &'a str>,
    series: &str,
) -> Option<&'a str> {
    packages
        .into_iter()
        .filter_map(|package| package.strip_prefix("linux-image-"))
        // Metapackages have fewer than three numbers: 6.1-cloud-amd64, cloud-amd64.
        .filter(|release| release.starts_with(series) && release.ends_with("-cloud-amd64"))
        .filter(|release| numbers(release).len() >= 3)
        .max_by_key(|release| numbers(release))
}

/// The numbers of a release before its flavour, which order releases: 6.12.115+deb13.1 comes after
/// 6.12.115+deb13.
fn numbers(release: &str) -> Vec<u64> {
    let version = release.strip_suffix("-cloud-amd64").unwrap_or(release);
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(u64::MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &[
        "linux-image-cloud-amd64",
        "linux-image-6.1-cloud-amd64",
        "linux-image-6.1.0-9-cloud-amd64",
        "linux-image-6.1.0-50-cloud-amd64",
        "linux-image-6.1.0-51-amd64",
        "linux-image-6.1.0-52-cloud-amd64-unsigned",
        "linux-image-6.12.115+deb13-cloud-amd64",
        "linux-image-6.12.115+deb13.1-cloud-amd64",
    ];

    #[test]
    fn the_newest_build_is_the_one_with_the_largest_numbers_not_the_last_in_the_alphabet() {
        let newest = |series| newest(NAMES.iter().copied(), series);
        assert_eq!(newest("6.1."), Some("6.1.0-50-cloud-amd64"));
        assert_eq!(newest("6.12."), Some("6.12.115+deb13.1-cloud-amd64"));
        assert_eq!(newest(""), Some("6.12.115+deb13.1-cloud-amd64"));
        assert_eq!(newest("5.15."), None);
    }

    #[test]
    fn a_series_outside_of_the_matrix_may_be_asked_for_and_nonsense_may_not() {
        let asked = named("6.18").expect("a series");
        assert_eq!((&*asked[0].name, &*asked[0].series()), ("6.18", "6.18."));
        assert_eq!(named("all").expect("the matrix").len(), MATRIX.len());
        for nonsense in ["", "6", "6.", "six.one", "6.1.0"] {
            assert!(named(nonsense).is_err(), "{nonsense}");
        }
    }
}
