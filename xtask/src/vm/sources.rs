//! Where other Debian suites are: derived from where this machine gets its own.
//!
//! Comes in: the text of this machine's apt sources (both formats) and its suite. Goes out: the
//! text of a sources file for another suite on the same mirrors. No mirror is named here.

/// A place apt takes packages from, and the part of a suite it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    /// As it stands in the sources.
    pub(crate) uri: String,
    /// What follows the suite's name: nothing, `-security`, `-updates`.
    pub(crate) part: String,
    /// The keyring named beside it.
    pub(crate) signed_by: Option<String>,
}

/// The parts of a suite that carry kernels.
const PARTS: &[&str] = &["", "-security", "-updates"];

/// The mirrors of this machine's own `suite` in a sources file of either format. What is not
/// Debian's (another vendor's suite) is passed over.
pub(crate) fn mirrors(text: &str, suite: &str) -> Vec<Mirror> {
    let mut found: Vec<Mirror> = Vec::new();
    let entries = one_line_entries(text).chain(stanzas(text));
    for Entry { uris, suites, signed_by } in entries {
        for uri in &uris {
            for part in suites.iter().filter_map(|full| full.strip_prefix(suite)) {
                let mirror = Mirror {
                    uri: uri.clone(),
                    part: part.to_owned(),
                    signed_by: signed_by.clone(),
                };
                if PARTS.contains(&part) && !found.contains(&mirror) {
                    found.push(mirror);
                }
            }
        }
    }
    found
}

/// A sources file for `suite` on these mirrors. Suites without parts of their own (sid, backports)
/// are taken from where the plain suite comes from.
pub(crate) fn entry(mirrors: &[Mirror], suite: &str) -> String {
    let whole = suite == "sid" || suite.ends_with("-backports");
    let fitting = mirrors.iter().filter(|mirror| !whole || mirror.part.is_empty());
    let stanza = |Mirror { uri, part, signed_by }: &Mirror| {
        let signed_by =
            signed_by.as_ref().map(|keyring| format!("Signed-By: {keyring}\n")).unwrap_or_default();
        format!("Types: deb\nURIs: {uri}\nSuites: {suite}{part}\nComponents: main\n{signed_by}\n")
    };
    fitting.map(stanza).collect()
}

struct Entry {
    uris: Vec<String>,
    suites: Vec<String>,
    signed_by: Option<String>,
}

/// `deb [options] URI SUITE COMPONENT…`
fn one_line_entries(text: &str) -> impl Iterator<Item = Entry> {
    text.lines().filter_map(|line| {
        let line = line.trim().strip_prefix("deb")?;
        let line = line.strip_prefix(char::is_whitespace)?.trim_start();
        let (options, rest) = match line.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']')?,
            None => ("", line),
        };
        let signed_by = options.split_whitespace().find_map(|o| o.strip_prefix("signed-by="));
        let mut words = rest.split_whitespace().map(str::to_owned);
        Some(Entry {
            uris: vec![words.next()?],
            suites: vec![words.next()?],
            signed_by: signed_by.map(str::to_owned),
        })
    })
}

/// Paragraphs of `Field: value` lines (deb822). A key written out in place of a keyring's path
/// continues on lines that begin with a space; it is left to apt's own trusted keys.
fn stanzas(text: &str) -> impl Iterator<Item = Entry> {
    text.split("\n\n").filter_map(|paragraph| {
        let value = |name: &str| {
            paragraph.lines().find_map(|line| {
                let (field, value) = line.split_once(':')?;
                field.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let words = |name: &str| Some(value(name)?.split_whitespace().map(str::to_owned).collect());
        if !value("Types")?.split_whitespace().any(|kind| kind == "deb")
            || value("Enabled").is_some_and(|enabled| enabled.eq_ignore_ascii_case("no"))
        {
            return None;
        }
        Some(Entry {
            uris: words("URIs")?,
            suites: words("Suites")?,
            signed_by: value("Signed-By").filter(|path| path.starts_with('/')).map(str::to_owned),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZAS: &str = "\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/k.gpg

Types: deb deb-src
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/k.gpg

Types: deb
URIs: http://vendor.example/node
Suites: nodistro
Components: main
";
    const ONE_LINE: &str = "\
# deb http://off.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main
deb http://mirror.example/security bookworm-security main
";

    #[test]
    fn both_formats_give_the_mirrors_of_the_own_suite_and_no_strangers() {
        let uris = |text| -> Vec<(String, String)> {
            mirrors(text, "bookworm").into_iter().map(|m| (m.uri, m.part)).collect()
        };
        let main = ("http://mirror.example/debian".to_owned(), String::new());
        let security = ("http://mirror.example/security".to_owned(), "-security".to_owned());
        let updates = (main.0.clone(), "-updates".to_owned());
        assert_eq!(uris(STANZAS), [main.clone(), updates, security.clone()]);
        assert_eq!(uris(ONE_LINE), [main, security]);
    }

    #[test]
    fn another_suite_comes_from_the_same_mirrors_with_the_same_keyring() {
        let text = entry(&mirrors(ONE_LINE, "bookworm"), "bullseye");
        assert_eq!(
            text,
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bullseye\n\
             Components: main\nSigned-By: /k.gpg\n\n\
             Types: deb\nURIs: http://mirror.example/security\nSuites: bullseye-security\n\
             Components: main\n\n"
        );
    }

    #[test]
    fn sid_and_backports_have_no_security_suite() {
        for suite in ["sid", "trixie-backports"] {
            let text = entry(&mirrors(STANZAS, "bookworm"), suite);
            assert!(text.contains(&format!("Suites: {suite}\n")), "{text}");
            assert_eq!(text.matches("Suites:").count(), 1, "{text}");
        }
    }

    #[test]
    fn a_disabled_stanza_is_no_mirror() {
        let text = STANZAS.replace("Types: deb\n", "Enabled: no\nTypes: deb\n");
        assert_eq!(mirrors(&text, "bookworm").len(), 1, "only the deb deb-src one is left");
    }
}
