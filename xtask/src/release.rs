//! `release`: all that is published of a version, the same bytes wherever and whenever it is built.
//!
//! Comes in: a checkout. Goes out: in target/dist the program with its manual page and completions as an archive, the
//! Debian package, the bills of materials, and SHA256SUMS of these.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::command::{output_of, run};
use crate::package;
use crate::workspace::{STATIC_TARGET, Workspace, read};

const SUMS: &str = "SHA256SUMS";

/// What `release` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build it a second time, from a copy of the commit at another path with another CARGO_HOME, and compare
    #[arg(long)]
    check: bool,
}

/// Carries out the verb.
///
/// # Errors
/// When something cannot be built, or the second time it becomes something else.
pub(crate) fn make(workspace: &Workspace, args: &Args) -> Result<()> {
    if args.check {
        let changed = git(workspace, &["status", "--porcelain"])?;
        ensure!(changed.is_empty(), "only a commit can be built twice; not committed:\n{changed}");
    }
    let folder = dist(&workspace.target);
    let sums = build(workspace, &folder)?;
    print!("{sums}");
    if args.check {
        let again = build_elsewhere(workspace)?;
        if again != sums {
            bail!("the second time it is another:\n{again}");
        }
        println!("the same, built twice");
    }
    Ok(())
}

fn dist(target: &Path) -> PathBuf {
    target.join("dist")
}

/// Fills `folder`, and returns the sums.
fn build(workspace: &Workspace, folder: &Path) -> Result<String> {
    fs::remove_dir_all(folder).ok();
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let package = package::make(workspace)?;
    let said = package::said(workspace);
    let name = format!("rst-tracer-{}-{STATIC_TARGET}", env!("CARGO_PKG_VERSION"));
    let mut files = vec![package];
    files.push(archive(workspace, &name, &said)?);
    files.extend(["rst-tracer.cdx.json", "rst-tracer-ebpf.cdx.json"].map(|bill| said.join(bill)));
    let mut sums = String::new();
    for file in files {
        let name = file.file_name().context("it has a name")?.to_string_lossy().into_owned();
        fs::copy(&file, folder.join(&name)).with_context(|| format!("copying {name}"))?;
        let hash = Sha256::digest(read(&file)?);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        // A String takes every write.
        let _ = writeln!(sums, "{hash}  {name}");
    }
    fs::write(folder.join(SUMS), &sums).with_context(|| format!("cannot write {SUMS}"))?;
    Ok(sums)
}

/// The program and what is said about it in a folder of this name, as a .tar.gz.
fn archive(workspace: &Workspace, name: &str, said: &Path) -> Result<PathBuf> {
    let folder = workspace.target.join(name);
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (root, program) = (&workspace.root, crate::program::folder(workspace).join("rst-tracer"));
    let mut files = vec![program];
    files.extend(["README.md", "CHANGELOG.md"].map(|name| root.join(name)));
    files.extend(["APACHE", "GPL2", "MIT"].map(|name| root.join(format!("LICENSE-{name}"))));
    files.extend(package::SAID.map(|(_, name)| said.join(name)));
    for file in files {
        let name = file.file_name().context("it has a name")?;
        fs::copy(&file, folder.join(name)).with_context(|| format!("{}", file.display()))?;
    }
    let tar = workspace.target.join(format!("{name}.tar"));
    run(Command::new("tar")
        .args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
        .args(["--mode=u=rwX,go=rX", "--format=ustar"])
        .arg(format!("--mtime=@{}", workspace.commit_time()?))
        .arg("--file")
        .arg(&tar)
        .args(["--directory"])
        .arg(&workspace.target)
        .arg(name))?;
    run(Command::new("gzip").args(["-9nf"]).arg(&tar))?;
    Ok(tar.with_extension("tar.gz"))
}

/// Builds the commit from a copy elsewhere, with packages that are fetched anew, and returns the sums.
fn build_elsewhere(workspace: &Workspace) -> Result<String> {
    let elsewhere = workspace.target.join("elsewhere");
    let (copy, home) = (elsewhere.join("a/copy/of/it"), elsewhere.join("cargo"));
    fs::remove_dir_all(&elsewhere).ok();
    for folder in [&copy.join("target"), &home] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let tar = elsewhere.join("commit.tar");
    let path = tar.to_str().context("the path of the target directory is not UTF-8")?;
    git(workspace, &["archive", "--output", path, "HEAD"])?;
    run(Command::new("tar").arg("-xf").arg(&tar).arg("-C").arg(&copy))?;
    // Tools are not what is compared.
    std::os::unix::fs::symlink(workspace.target.join("tools"), copy.join("target/tools"))?;
    // Which registries, proxies and mirrors there are.
    let usual = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let usual = usual.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    if let Some(usual) = usual {
        fs::copy(usual.join("config.toml"), home.join("config.toml")).ok();
    }
    run(Command::new(std::env::current_exe()?)
        .arg("release")
        .current_dir(&copy)
        .env("CARGO_MANIFEST_DIR", copy.join("xtask"))
        .env("CARGO_HOME", &home)
        .env("SOURCE_DATE_EPOCH", workspace.commit_time()?)
        .env_remove("CARGO_TARGET_DIR"))?;
    let sums = dist(&copy.join("target")).join(SUMS);
    fs::read_to_string(&sums).with_context(|| format!("cannot read {}", sums.display()))
}

fn git(workspace: &Workspace, arguments: &[&str]) -> Result<String> {
    output_of(Command::new("git").args(arguments).current_dir(&workspace.root))
}
