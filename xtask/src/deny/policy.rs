//! deny.toml without cargo-deny: what is shipped is held against it whenever the tests run.
//!
//! Comes in: the file, and the packages that the shipped program is compiled from. Goes out: what of them has a licence
//! that is not allowed, does not come from the registry, or is there in two versions.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use cargo_metadata::{Package, semver::VersionReq};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use super::FILE;
use crate::dependencies::{self, AGENT, KERNEL_PROGRAMS};
use crate::workspace::Workspace;

/// What is read of deny.toml.
#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

#[derive(Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    spec: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

impl Policy {
    fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context(FILE)
    }

    /// What is wrong with packages that are shipped together.
    fn complaints(&self, packages: &[Package]) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut versions: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
        for package in packages {
            // Our own have no source.
            let Some(source) = &package.source else { continue };
            let registry = source.repr.strip_prefix("registry+");
            if !registry.is_some_and(|url| self.sources.allow_registry.iter().any(|a| a == url)) {
                found.push(format!("{} comes from {source}", package.id));
            }
            if !self.allows(package.license.as_deref())? {
                found.push(format!("{} is licensed as {:?}", package.id, package.license));
            }
            if !self.skips(package)? {
                versions.entry(&package.name).or_default().push(package);
            }
        }
        let twice = versions.into_iter().filter(|(_, packages)| packages.len() > 1);
        found.extend(twice.map(|(name, packages)| format!("{name} {} times", packages.len())));
        Ok(found)
    }

    fn allows(&self, licence: Option<&str>) -> Result<bool> {
        let Some(licence) = licence else { return Ok(false) };
        let allowed: Vec<Licensee> =
            self.licenses.allow.iter().map(|one| Licensee::parse(one)).collect::<Result<_, _>>()?;
        // Old packages write `MIT/Apache-2.0`.
        let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else {
            return Ok(false);
        };
        Ok(expression.evaluate(|wanted| allowed.iter().any(|one| one.satisfies(wanted))))
    }

    fn skips(&self, package: &Package) -> Result<bool> {
        for Skip { spec } in &self.bans.skip {
            let (name, version) = spec.split_once('@').context("a skip without a version")?;
            if name == package.name.as_str()
                && VersionReq::parse(version)?.matches(&package.version)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn shipped() -> Vec<Vec<Package>> {
    let workspace = Workspace::locate().unwrap();
    let programs = [AGENT, KERNEL_PROGRAMS];
    programs.iter().map(|program| dependencies::of(&workspace, program).unwrap()).collect()
}

fn policy(change: impl Fn(String) -> String) -> Policy {
    let file = Workspace::locate().unwrap().root.join(FILE);
    Policy::parse(&change(std::fs::read_to_string(file).unwrap())).unwrap()
}

#[test]
fn all_that_is_shipped_has_a_licence_that_is_allowed_and_comes_from_the_registry() {
    let policy = policy(|text| text);
    let [agent, kernel] = &shipped()[..] else { panic!("two programs") };
    assert!(agent.len() > 100 && kernel.len() > 5, "{} and {}", agent.len(), kernel.len());
    for packages in [agent, kernel] {
        assert_eq!(policy.complaints(packages).unwrap(), [""; 0]);
    }
}

#[test]
fn each_part_of_the_policy_is_held() {
    let agent = &shipped()[0];
    for (part, without, complaint) in [
        ("\"Zlib\"", "\"ISC\"", "is licensed as Some(\"Zlib\")"),
        ("\"Unicode-3.0\"", "\"ISC\"", "Unicode-3.0\")"),
        ("jiff@0.2", "jiff@0.3", "jiff 2 times"),
        ("https://github.com/rust-lang", "https://registry.example", "comes from registry+"),
    ] {
        let policy = policy(|text| text.replace(part, without));
        let found = policy.complaints(agent).unwrap();
        assert!(found.iter().any(|said| said.contains(complaint)), "{complaint}: {found:?}");
    }
}
