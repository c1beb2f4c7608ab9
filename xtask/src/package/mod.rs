//! `package`: the Debian package, with what the program says about itself.
//!
//! Comes in: a checkout. Goes out: `target/debian/rst-tracer_VERSION_ARCH.deb`, of which is known that it holds what
//! it should, and that dpkg installs, keeps the configuration of, removes and purges it in a fresh Debian.

mod machine;

use crate::apt;
use crate::command::{output_of, run};
use crate::packages;
use crate::workspace::{STATIC_TARGET, Workspace, installed_tool};
use crate::{program, sbom};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Newer ones may want another Rust.
const CARGO_DEB: &str = "3.8.0";
/// The Debian that the package is tried in.
const SUITE: &str = "bookworm";

/// What `package` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Do not try it in a fresh Debian (which takes root, and some 200 MB below target/)
    #[arg(long)]
    no_trial: bool,
    /// Try it in a machine, too, with systemd: the service traces there
    #[arg(long, conflicts_with = "no_trial")]
    vm: bool,
}

/// A verb of the program, and the file that its output becomes.
pub(crate) const SAID: [(&[&str], &str); 4] = [
    (&["man"], "rst-tracer.8"),
    (&["completions", "bash"], "rst-tracer.bash"),
    (&["completions", "zsh"], "_rst-tracer"),
    (&["completions", "fish"], "rst-tracer.fish"),
];

/// What must be in the package.
const CONTENT: [&str; 12] = [
    "./usr/bin/rst-tracer",
    "./usr/share/man/man8/rst-tracer.8.gz",
    "./usr/share/bash-completion/completions/rst-tracer",
    "./usr/share/zsh/vendor-completions/_rst-tracer",
    "./usr/share/fish/vendor_completions.d/rst-tracer.fish",
    "./etc/rst-tracer/config.toml",
    "./etc/logrotate.d/rst-tracer",
    "./usr/lib/systemd/system/rst-tracer.service",
    "./usr/share/doc/rst-tracer/operation.md",
    "./usr/share/doc/rst-tracer/examples/policy.toml",
    "./usr/share/doc/rst-tracer/rst-tracer.cdx.json",
    "./usr/share/doc/rst-tracer/rst-tracer-ebpf.cdx.json",
];

/// Where dpkg keeps the configuration that somebody changed.
const CONFIG: &str = "etc/rst-tracer/config.toml";

/// Carries out the verb.
///
/// # Errors
/// When it cannot be built, lacks something, or cannot be installed.
pub(crate) fn build(workspace: &Workspace, args: &Args) -> Result<()> {
    let package = make(workspace)?;
    if args.no_trial {
        println!("{} (not tried)", package.display());
    } else {
        let root = fresh_debian(workspace)?;
        try_in(&root, &package)?;
        if args.vm {
            machine::try_it(workspace, &root, &package)?;
        }
        println!("{} (installed, upgraded, removed and purged)", package.display());
    }
    Ok(())
}

/// Builds it, and looks whether it holds what it should.
///
/// # Errors
/// When it cannot be built or lacks something.
pub(crate) fn make(workspace: &Workspace) -> Result<PathBuf> {
    let program = program::build(workspace)?;
    write_what_it_says(&program, &said(workspace))?;
    sbom::write(workspace, &said(workspace))?;
    let cargo_deb = installed_tool(workspace, "cargo-deb", CARGO_DEB, |_| {})?;
    let folder = workspace.target.join("debian");
    run(Command::new(cargo_deb)
        .args(["--no-build", "--no-strip", "--locked", "--package", "rst-tracer"])
        .args(["--target", STATIC_TARGET, "--output"])
        .arg(&folder)
        .current_dir(&workspace.root)
        .env("CARGO_TARGET_DIR", program::target(workspace))
        .env("SOURCE_DATE_EPOCH", workspace.commit_time()?))?;
    let package = newest(&folder)?;
    check_content(&package)?;
    Ok(package)
}

/// Where the manual page, the completions and the bills of materials are.
pub(crate) fn said(workspace: &Workspace) -> PathBuf {
    program::folder(workspace).join("package")
}

/// The manual page and the completions.
fn write_what_it_says(program: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (verb, name) in SAID {
        let said = output_of(Command::new(program).args(verb))?;
        fs::write(folder.join(name), said).with_context(|| format!("cannot write {name}"))?;
    }
    // Without name and time, so that the same page always is the same file.
    run(Command::new("gzip").args(["-9nkf"]).arg(folder.join("rst-tracer.8")))
}

fn newest(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    let packages = entries.flatten().map(|entry| entry.path());
    let packages = packages.filter(|path| path.extension().is_some_and(|end| end == "deb"));
    let changed = |path: &PathBuf| path.metadata().and_then(|known| known.modified()).ok();
    packages.max_by_key(changed).context("cargo-deb made no package")
}

fn check_content(package: &Path) -> Result<()> {
    let listed = output_of(Command::new("dpkg-deb").arg("-c").arg(package))?;
    for wanted in CONTENT {
        let is_there = listed.lines().any(|line| line.split_whitespace().nth(5) == Some(wanted));
        ensure!(is_there, "{} has no {wanted}:\n{listed}", package.display());
    }
    let conffiles = output_of(Command::new("dpkg-deb").arg("-I").arg(package).arg("conffiles"))?;
    for wanted in ["/etc/rst-tracer/config.toml", "/etc/logrotate.d/rst-tracer"] {
        ensure!(conffiles.lines().any(|line| line == wanted), "{wanted} is no conffile");
    }
    let postinst = output_of(Command::new("dpkg-deb").arg("-I").arg(package).arg("postinst"))?;
    let is_restarted = postinst.contains("try-restart") && postinst.contains("daemon-reload");
    ensure!(is_restarted, "an upgrade does not restart the service:\n{postinst}");
    Ok(())
}

/// A Debian below target/.
fn fresh_debian(workspace: &Workspace) -> Result<PathBuf> {
    apt::install(packages::PACKAGE)?;
    let root = workspace.target.join("debian/root");
    if !root.join("var/lib/dpkg/status").is_file() || root.join("debootstrap").exists() {
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.args(["--variant=minbase", "--include=systemd", SUITE]).arg(&root);
        run(&mut debootstrap)?;
    }
    Ok(root)
}

/// Installs, upgrades, removes and purges it there.
fn try_in(root: &Path, package: &Path) -> Result<()> {
    let dpkg = |arguments: &[&str]| {
        let mut dpkg = Command::new("dpkg");
        dpkg.env("DEBIAN_FRONTEND", "noninteractive").arg("--root").arg(root).args(arguments);
        run(&mut dpkg)
    };
    let file = package.to_str().context("the path of the package is not UTF-8")?;
    dpkg(&["--purge", "rst-tracer"]).ok();
    dpkg(&["--install", file])?;
    let within = |words: &[&str]| output_of(Command::new("chroot").arg(root).args(words));
    let version = within(&["/usr/bin/rst-tracer", "--version"])?;
    ensure!(version.starts_with("rst-tracer "), "it says {version}");
    let config = "/etc/rst-tracer/config.toml";
    within(&["/usr/bin/rst-tracer", "trace", "--config", config, "--check-config"])?;
    within(&["systemd-analyze", "verify", "--man=no", "rst-tracer.service"])?;
    if within(&["systemctl", "is-enabled", "rst-tracer.service"]).is_ok() {
        bail!("installing it enables the service");
    }

    let ours = "settle = \"2s\"\n";
    fs::write(root.join(CONFIG), ours).context("cannot change the configuration")?;
    dpkg(&["--install", "--force-confold", file])?;
    ensure!(fs::read_to_string(root.join(CONFIG))? == ours, "an upgrade replaces what was changed");
    dpkg(&["--remove", "rst-tracer"])?;
    ensure!(root.join(CONFIG).is_file(), "removing it removes the configuration");
    ensure!(!root.join("usr/bin/rst-tracer").exists(), "removing it leaves the program");
    dpkg(&["--purge", "rst-tracer"])?;
    ensure!(!root.join(CONFIG).exists(), "purging it leaves the configuration");
    Ok(())
}
