//! `sbom`: what the shipped program is compiled from, as a bill of materials (CycloneDX 1.5, JSON).
//!
//! Comes in: the lock files, by way of cargo-cyclonedx. Goes out: a file for the agent and one for the kernel programs
//! it embeds, the same wherever the checkout lies; of each is known that it names exactly what cargo compiles in, with
//! licence, origin and hash.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::Package;
use serde_json::Value;

use crate::command::run;
use crate::dependencies::{self, AGENT, KERNEL_PROGRAMS, Shipped};
use crate::workspace::{Workspace, installed_tool, read};

/// Newer ones may want another Rust.
const CARGO_CYCLONEDX: &str = "0.5.9";
/// It writes beside every manifest of a workspace; nothing else has this name.
const BESIDE_MANIFEST: &str = "rst-tracer-bill-of-materials";

/// What `sbom` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder to write to [default: target/sbom]
    #[arg(long, short, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// Carries out the verb.
///
/// # Errors
/// As [`write`].
pub(crate) fn make(workspace: &Workspace, args: &Args) -> Result<()> {
    let folder = args.output.clone().unwrap_or_else(|| workspace.target.join("sbom"));
    for file in write(workspace, &folder)? {
        println!("{}", file.display());
    }
    Ok(())
}

/// Writes `rst-tracer.cdx.json` and `rst-tracer-ebpf.cdx.json` into `folder`.
///
/// # Errors
/// When cargo-cyclonedx cannot be had, or what it writes is not what cargo compiles.
pub(crate) fn write(workspace: &Workspace, folder: &Path) -> Result<Vec<PathBuf>> {
    let tool = installed_tool(workspace, "cargo-cyclonedx", CARGO_CYCLONEDX, |_| {})?;
    let epoch = workspace.commit_time()?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut files = Vec::new();
    for shipped in [AGENT, KERNEL_PROGRAMS] {
        let made = run_tool(workspace, &tool, &shipped, &epoch)?;
        let text = anywhere(&made, &workspace.root);
        let bill: Value = serde_json::from_str(&text).context("cargo-cyclonedx wrote no JSON")?;
        let found = complaints(&bill, &dependencies::of(workspace, &shipped)?);
        ensure!(found.is_empty(), "of {}: {}", shipped.package, found.join("; "));
        let file = folder.join(format!("{}.cdx.json", shipped.package));
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        files.push(file);
    }
    Ok(files)
}

/// What the tool writes beside the manifest of the program; nothing of it stays there.
fn run_tool(workspace: &Workspace, tool: &Path, shipped: &Shipped, epoch: &str) -> Result<String> {
    let mut command = Command::new(tool);
    command
        .args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5"])
        .args(["--no-build-deps", "--target", shipped.target])
        .args(["--override-filename", BESIDE_MANIFEST, "--manifest-path", shipped.manifest])
        .current_dir(&workspace.root)
        .env("SOURCE_DATE_EPOCH", epoch);
    let ran = run(&mut command);
    let mut made = None;
    for (package, folder) in dependencies::members(workspace, shipped)? {
        let path = folder.join(format!("{BESIDE_MANIFEST}.json"));
        if package == shipped.package {
            made = Some(read(&path));
        }
        fs::remove_file(&path).ok();
    }
    ran?;
    let made = made.context("the program is in no workspace")??;
    String::from_utf8(made).context("cargo-cyclonedx did not write UTF-8")
}

/// Without the path of the checkout.
fn anywhere(bill: &str, root: &Path) -> String {
    bill.replace(&format!("file://{}", root.display()), "file://")
}

/// What is wrong with a bill of materials of these packages.
fn complaints(bill: &Value, packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    if (&bill["bomFormat"], &bill["specVersion"]) != (&"CycloneDX".into(), &"1.5".into()) {
        found.push("it is no CycloneDX 1.5".to_owned());
    }
    let empty = Vec::new();
    let named = bill["components"].as_array().unwrap_or(&empty);
    let named = || named.iter().chain([&bill["metadata"]["component"]]);
    let text = |component: &Value, key: &str| component[key].as_str().unwrap_or("").to_owned();
    let names: BTreeSet<_> = named().map(|one| (text(one, "name"), text(one, "version"))).collect();
    let wanted = packages.iter().map(|one| (one.name.to_string(), one.version.to_string()));
    let wanted: BTreeSet<_> = wanted.collect();
    let lacks = wanted.difference(&names).map(|(name, version)| format!("no {name} {version}"));
    found.extend(lacks);
    let strange = names.difference(&wanted);
    found.extend(strange.map(|(name, version)| format!("{name} {version} is not compiled in")));
    for package in packages.iter().filter(|package| package.source.is_some()) {
        let (name, version) = (package.name.as_str(), package.version.to_string());
        let purl = format!("pkg:cargo/{name}@{version}");
        let Some(component) = named().find(|one| one["purl"] == purl) else {
            found.push(format!("no {purl}"));
            continue;
        };
        if component["licenses"][0].is_null() {
            found.push(format!("no licence of {purl}"));
        }
        let hash = &component["hashes"][0];
        if hash["alg"] != "SHA-256" || text(hash, "content").len() != 64 {
            found.push(format!("no hash of {purl}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bill(packages: &[Package]) -> Value {
        let component = |package: &Package| {
            let (name, version) = (&package.name, &package.version);
            json!({
                "name": name,
                "version": version,
                "purl": format!("pkg:cargo/{name}@{version}"),
                "licenses": [{ "expression": package.license }],
                "hashes": [{ "alg": "SHA-256", "content": "0".repeat(64) }],
            })
        };
        let components: Vec<Value> = packages[1..].iter().map(component).collect();
        json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "metadata": { "component": component(&packages[0]) },
            "components": components,
        })
    }

    #[test]
    fn a_bill_of_other_packages_or_without_licence_or_hash_is_refused() {
        let workspace = Workspace::locate().unwrap();
        let packages = dependencies::of(&workspace, &KERNEL_PROGRAMS).unwrap();
        let right = bill(&packages);
        assert_eq!(complaints(&right, &packages), [""; 0]);
        type Change = fn(&mut Value);
        let changes: [(&str, Change); 5] = [
            ("no CycloneDX 1.5", |bill| bill["specVersion"] = "1.3".into()),
            ("no aya-ebpf", |bill| bill["metadata"]["component"] = Value::Null),
            ("is not compiled in", |bill| bill["components"][0]["version"] = "9.9.9".into()),
            ("no licence of", |bill| bill["components"][0]["licenses"] = json!([])),
            ("no hash of", |bill| bill["components"][0]["hashes"][0]["content"] = "00".into()),
        ];
        for (complaint, change) in changes {
            let mut wrong = right.clone();
            change(&mut wrong);
            let found = complaints(&wrong, &packages);
            assert!(found.iter().any(|said| said.contains(complaint)), "{complaint}: {found:?}");
        }
    }

    #[test]
    fn the_path_of_the_checkout_is_in_no_bill() {
        let made = r#""path+file:///home/me/x/rst-tracer#0.1.0""#;
        let text = anywhere(made, Path::new("/home/me/x"));
        assert_eq!(text, r#""path+file:///rst-tracer#0.1.0""#);
    }
}
