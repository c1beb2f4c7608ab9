//! `build-ebpf`: the kernel object, built from source, checked against its source.
//!
//! Comes in: the two kernel-side crates. Goes out: `rst-tracer-ebpf/prebuilt/`, or with `--check`
//! whether what is committed there is what these sources make.

mod build;
mod manifest;
mod sources;
mod toolchain;

use crate::workspace::{Workspace, read};
use anyhow::{Context, Result, bail};
use manifest::{Manifest, OBJECT, short};
use std::path::{Path, PathBuf};
use toolchain::Choice;

/// What `build-ebpf` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail unless the prebuilt object is what these sources compile to.
    #[arg(long, conflicts_with_all = ["toolchain", "check_sources"])]
    check: bool,
    /// Like --check, but compare hashes only: fast, and no toolchain is needed.
    #[arg(long, conflicts_with = "toolchain")]
    check_sources: bool,
    /// The toolchain to build with.
    #[arg(long, value_enum, default_value = "debian")]
    toolchain: Choice,
}

/// Carries out the verb.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    match (args.check, args.check_sources) {
        (true, _) => check(workspace).map(drop),
        (_, true) => check_sources(workspace),
        _ => rebuild(workspace, args.toolchain),
    }
}

fn rebuild(workspace: &Workspace, choice: Choice) -> Result<()> {
    let sources = sources::collect(&workspace.root)?;
    let toolchain = choice.provide(workspace)?;
    let stage = workspace.target.join("ebpf-build");
    // What cargo keeps in stage/target makes the next rebuild fast.
    for leftover in ["src", "rst-tracer-common"] {
        remove(&stage.join(leftover))?;
    }
    let built = build::build(&sources, &toolchain, &stage)?;
    let manifest = Manifest {
        object: OBJECT.to_owned(),
        object_sha256: sources::hash_of_bytes(&built.object),
        sources_sha256: sources::hash(&sources),
        toolchain: toolchain.record()?,
        commands: built.commands,
    };
    manifest::store(&workspace.prebuilt(), &manifest, &built.object)?;
    eprintln!(
        "{OBJECT}: {} bytes, sha256 {}, by {}",
        built.object.len(),
        short(&manifest.object_sha256),
        manifest.toolchain.describe()
    );
    Ok(())
}

/// Compares hashes: sources with the manifest, object with the manifest.
///
/// # Errors
/// What disagrees, and the remedy.
pub(crate) fn check_sources(workspace: &Workspace) -> Result<()> {
    let prebuilt = workspace.prebuilt();
    let manifest = manifest::load(&prebuilt)?;
    let sources = sources::hash(&sources::collect(&workspace.root)?);
    let object = sources::hash_of_bytes(&read(&prebuilt.join(OBJECT))?);
    manifest::verify(&manifest, &sources, &object)?;
    eprintln!("{OBJECT}: hashes agree with the sources ({})", short(&sources));
    Ok(())
}

/// What a check found out about the object's bytes.
pub(crate) enum Equality {
    /// The sources compile to exactly the committed object.
    Proven,
    /// The hashes agree, but no rebuild could be compared, for this reason.
    NotChecked(String),
}

/// [`check_sources`], then a rebuild whose bytes are compared, where the toolchain can be had.
///
/// # Errors
/// When hashes or bytes disagree, or the sources do not compile.
pub(crate) fn check(workspace: &Workspace) -> Result<Equality> {
    check_sources(workspace)?;
    let prebuilt = workspace.prebuilt();
    let manifest = manifest::load(&prebuilt)?;
    let choice = Choice::named(&manifest.toolchain.name).with_context(|| {
        format!("the manifest names an unknown toolchain `{}`", manifest.toolchain.name)
    })?;
    let recorded = manifest.toolchain.describe();
    let toolchain = match choice.provide(workspace) {
        Ok(toolchain) => toolchain,
        Err(error) => {
            return Ok(not_checked(format!("{recorded} cannot be had here: {error:#}")));
        }
    };
    let sources = sources::collect(&workspace.root)?;
    // Nothing kept, and another path than a rebuild's: equal bytes then prove independence of both.
    let stage = workspace.target.join("ebpf-check/stage");
    remove(&stage)?;
    let built = build::build(&sources, &toolchain, &stage)?;
    let here = toolchain.record()?;
    let rebuilt = sources::hash_of_bytes(&built.object);
    if rebuilt == manifest.object_sha256 {
        eprintln!("{OBJECT}: rebuilt byte for byte by {}", here.describe());
        return Ok(Equality::Proven);
    }
    if !here.agrees_with(&manifest.toolchain) {
        let here = here.describe();
        return Ok(not_checked(format!(
            "recorded is {recorded}, here is {here}; the sources do compile"
        )));
    }
    bail!(
        "the same toolchain compiles the same sources to other bytes ({} instead of {}):\n\
         the committed object is not what it claims to be; run `cargo xtask build-ebpf`",
        short(&rebuilt),
        short(&manifest.object_sha256)
    )
}

fn not_checked(reason: String) -> Equality {
    eprintln!(
        "\nNOT CHECKED: whether the object is byte for byte what its sources compile to:\n\
         {reason}\n"
    );
    Equality::NotChecked(reason)
}

/// The object of the programs that rst-tracer is measured beside, compiled.
///
/// # Errors
/// When the toolchain cannot be had, or does not compile it.
pub(crate) fn baselines(workspace: &Workspace) -> Result<PathBuf> {
    build::baselines(workspace, &Choice::Debian.provide(workspace)?)
}

/// Removes a directory and everything in it; it need not exist.
fn remove(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}
