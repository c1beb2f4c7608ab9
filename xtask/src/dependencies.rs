//! What the shipped program is compiled from.
//!
//! Comes in: the manifests of the agent and of the kernel programs, and their lock files. Goes out: every package that
//! a normal dependency leads to, for the platform that is shipped for; procedural macros are among them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

use crate::workspace::{STATIC_TARGET, Workspace};

/// A program that is shipped: its manifest, its package, and what it is compiled for.
pub(crate) struct Shipped {
    pub(crate) manifest: &'static str,
    pub(crate) package: &'static str,
    pub(crate) target: &'static str,
}

pub(crate) const AGENT: Shipped =
    Shipped { manifest: "Cargo.toml", package: "rst-tracer", target: STATIC_TARGET };
/// The agent embeds it.
pub(crate) const KERNEL_PROGRAMS: Shipped = Shipped {
    manifest: "rst-tracer-ebpf/Cargo.toml",
    package: "rst-tracer-ebpf",
    target: "bpfel-unknown-none",
};

/// The packages that `shipped` is compiled from, itself included.
///
/// # Errors
/// When cargo cannot resolve them as the lock file has them.
pub(crate) fn of(workspace: &Workspace, shipped: &Shipped) -> Result<Vec<Package>> {
    let Shipped { manifest, package, .. } = shipped;
    reachable(resolved(workspace, shipped)?, package)
        .with_context(|| format!("{manifest} has no {package}"))
}

/// Name and folder of each member of the workspace that `shipped` is in.
///
/// # Errors
/// As [`of`].
pub(crate) fn members(workspace: &Workspace, shipped: &Shipped) -> Result<Vec<(String, PathBuf)>> {
    let metadata = resolved(workspace, shipped)?;
    let folder = |package: &Package| {
        let folder = package.manifest_path.parent().context("a manifest is in a folder")?;
        Ok((package.name.to_string(), folder.into()))
    };
    metadata.workspace_packages().into_iter().map(folder).collect()
}

fn resolved(workspace: &Workspace, shipped: &Shipped) -> Result<Metadata> {
    let options = ["--locked", "--filter-platform", shipped.target].map(str::to_owned);
    MetadataCommand::new()
        .manifest_path(workspace.root.join(shipped.manifest))
        .other_options(options)
        .exec()
        .with_context(|| format!("what is {} compiled from?", shipped.package))
}

fn reachable(metadata: Metadata, package: &str) -> Option<Vec<Package>> {
    let root = metadata.workspace_packages().into_iter().find(|p| p.name == package)?.id.clone();
    let nodes = metadata.resolve?.nodes.into_iter().map(|node| (node.id.clone(), node));
    let nodes: BTreeMap<PackageId, _> = nodes.collect();
    let mut packages: BTreeMap<PackageId, Package> =
        metadata.packages.into_iter().map(|package| (package.id.clone(), package)).collect();
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(id) = next.pop() {
        // What was found before is no longer there.
        let Some(package) = packages.remove(&id) else { continue };
        found.push(package);
        let needed = nodes[&id].deps.iter().filter(|dependency| {
            dependency.dep_kinds.iter().any(|how| how.kind == DependencyKind::Normal)
        });
        next.extend(needed.map(|dependency| dependency.pkg.clone()));
    }
    found.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    Some(found)
}
