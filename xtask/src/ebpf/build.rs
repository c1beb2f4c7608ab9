//! Compiling the kernel object so that its bytes do not depend on the machine's paths.
//!
//! Comes in: the sources (exactly those the manifest's hash covers) and a toolchain. Goes out:
//! the object without DWARF, and the commands that made it.

use super::sources::Source;
use super::toolchain::Toolchain;
use crate::command::{run, shown};
use crate::workspace::{Workspace, read};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target the kernel's JIT runs on every little-endian machine.
const TARGET: &str = "bpfel-unknown-none";
/// Where the shared crate lies as seen from the kernel crate: in the checkout, and in the stage.
const SHARED_BESIDE: &str = "path = \"../rst-tracer-common\"";
const SHARED_INSIDE: &str = "path = \"rst-tracer-common\"";

/// What every kernel object is compiled with.
const FLAGS: [&str; 5] = [
    "-Clinker=bpf-linker",
    "-Clink-arg=--btf",
    "-Cdebuginfo=2",
    // 32-bit registers and jumps: a third fewer instructions; Linux 5.1 and newer know them.
    "-Ctarget-cpu=v3",
    // Loads of packet fields in one instruction, not byte by byte. The verifier allows that where
    // the machine does (x86-64, arm64, s390x, ppc64le, LoongArch); needs LLVM 22.
    "-Clink-arg=--cpu-features=+allows-misaligned-mem-access",
];

/// A compiled object and how it was made.
pub(crate) struct Built {
    pub(crate) object: Vec<u8>,
    /// The commands with the machine's own paths replaced by names.
    pub(crate) commands: Vec<String>,
}

/// Lays the sources out below `stage` and compiles them there.
///
/// # Errors
/// When a file cannot be written or a compiler step fails.
pub(crate) fn build(sources: &[Source], toolchain: &Toolchain, stage: &Path) -> Result<Built> {
    lay_out(sources, stage)?;
    let cargo_home = cargo_home()?;
    let mut fetch = clean_cargo(toolchain, stage, &cargo_home)?;
    run(fetch.args(["fetch", "--locked", "--target", TARGET]))?;

    let indexes = registry_sources(&cargo_home)?;
    let flags = flags(stage, &cargo_home, &indexes);
    let mut compile = clean_cargo(toolchain, stage, &cargo_home)?;
    compile.args(["build", "--release", "--locked", "--target", TARGET]);
    compile.args(toolchain.extra_arguments());
    compile.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    run(&mut compile)?;

    // The kernel and aya read .BTF and .BTF.ext; DWARF was only bpf-linker's source for them.
    let linked = stage.join("target").join(TARGET).join("release/rst-tracer-ebpf");
    let stripped = stage.join("target/rst-tracer.bpf.o");
    let mut strip = Command::new(&toolchain.objcopy);
    run(strip.arg("--strip-debug").arg(&linked).arg(&stripped))?;

    let anonymous = |mut text: String| {
        let named = indexes.iter().map(|index| (index.as_path(), "$REGISTRY"));
        let named = named.chain([(stage, "$STAGE"), (&*cargo_home, "$CARGO_HOME")]);
        for (path, name) in named {
            text = text.replace(&*path.to_string_lossy(), name);
        }
        text
    };
    let compile_line =
        format!("RUSTC_BOOTSTRAP=1 RUSTFLAGS='{}' {}", flags.join(" "), shown(&compile));
    let commands = vec![anonymous(compile_line), anonymous(shown(&strip))];
    let object = read(&stripped)?;
    refuse_machine_paths(&object, &[stage, &cargo_home])?;
    Ok(Built { object, commands })
}

/// Compiles the programs that rst-tracer is measured beside, below `target`, and returns the object. It is not
/// committed, so its bytes may differ from machine to machine.
///
/// # Errors
/// When a compiler step fails.
pub(crate) fn baselines(workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
    let (cargo_home, target) = (cargo_home()?, workspace.target.join("ebpf-bench"));
    let mut compile = clean_cargo(toolchain, &workspace.root.join("bench/ebpf"), &cargo_home)?;
    compile.args(["build", "--release", "--locked", "--target", TARGET]);
    compile.args(toolchain.extra_arguments());
    compile.env("CARGO_TARGET_DIR", &target);
    compile.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    run(&mut compile)?;
    Ok(target.join(TARGET).join("release/rst-tracer-bench-ebpf"))
}

/// Writes the sources with the shared crate *inside* the kernel crate's workspace.
///
/// Cargo gives a crate outside of the workspace an identity that contains its absolute path, which
/// reaches the names of functions in the object. Inside, the path is relative to the workspace.
/// The stage also holds nothing but what the manifest's hash covers.
fn lay_out(sources: &[Source], stage: &Path) -> Result<()> {
    for source in sources {
        let path = match source.path.strip_prefix("rst-tracer-ebpf/") {
            Some(inner) => stage.join(inner),
            None => stage.join(&source.path),
        };
        let contents = if source.path == "rst-tracer-ebpf/Cargo.toml" {
            staged_manifest(&String::from_utf8_lossy(&source.contents))?.into_bytes()
        } else {
            source.contents.clone()
        };
        let parent = path.parent().context("a source lies in a directory")?;
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, contents))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The kernel crate's manifest with the shared crate inside, yet not a member: a member's
/// dev-dependencies would have to be in the lock file.
fn staged_manifest(manifest: &str) -> Result<String> {
    let workspace = "[workspace]\n";
    ensure!(
        manifest.matches(SHARED_BESIDE).count() == 1 && manifest.matches(workspace).count() == 1,
        "rst-tracer-ebpf/Cargo.toml must hold `{SHARED_BESIDE}` once and `[workspace]` once"
    );
    Ok(manifest
        .replace(SHARED_BESIDE, SHARED_INSIDE)
        .replace(workspace, "[workspace]\nexclude = [\"rst-tracer-common\"]\n"))
}

/// Cargo of the chosen toolchain in an empty environment: what the outer cargo, rustup or the user
/// set for the host (flags, wrappers, toolchains) must not reach the object.
fn clean_cargo(toolchain: &Toolchain, stage: &Path, cargo_home: &Path) -> Result<Command> {
    let linker = toolchain.bpf_linker.parent().context("bpf-linker lies in a directory")?;
    let path = [linker, Path::new("/usr/bin"), Path::new("/bin")];
    let mut command = Command::new(&toolchain.cargo);
    command
        .env_clear()
        .env("PATH", std::env::join_paths(path)?)
        .env("HOME", home()?)
        .env("CARGO_HOME", cargo_home)
        .env("CARGO_TARGET_DIR", stage.join("target"))
        .env("RUSTC", &toolchain.rustc)
        // Debian's compiler is a stable one; eBPF needs unstable features of core.
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(stage);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "no_proxy", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    Ok(command)
}

/// The compiler's flags. They go through `CARGO_ENCODED_RUSTFLAGS`, which overrides every
/// configuration file. Of several prefixes that match, rustc takes the last.
fn flags(stage: &Path, cargo_home: &Path, indexes: &[PathBuf]) -> Vec<String> {
    let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
    let mut remap = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    remap(stage, "rst-tracer-ebpf");
    remap(&stage.join("rst-tracer-common"), "rst-tracer-common");
    remap(cargo_home, "cargo");
    for index in indexes {
        remap(index, "registry");
    }
    flags
}

/// Where cargo keeps the registry's sources: a mirror of the registry has a directory of another
/// name, which must not reach the object.
fn registry_sources(cargo_home: &Path) -> Result<Vec<PathBuf>> {
    let directory = cargo_home.join("registry/src");
    let mut indexes = std::fs::read_dir(&directory)
        .with_context(|| format!("cannot list {}", directory.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    indexes.sort();
    Ok(indexes)
}

/// A path of this machine in the object would make its bytes differ elsewhere.
fn refuse_machine_paths(object: &[u8], paths: &[&Path]) -> Result<()> {
    for path in paths {
        let needle = path.as_os_str().as_encoded_bytes();
        ensure!(
            !object.windows(needle.len()).any(|window| window == needle),
            "the object contains the path {}; it would differ on another machine",
            path.display()
        );
    }
    Ok(())
}

fn cargo_home() -> Result<PathBuf> {
    match std::env::var_os("CARGO_HOME") {
        Some(dir) => std::path::absolute(dir).context("CARGO_HOME"),
        None => Ok(PathBuf::from(home()?).join(".cargo")),
    }
}

fn home() -> Result<OsString> {
    std::env::var_os("HOME").context("HOME is not set")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_staged_manifest_names_the_shared_crate_inside_but_not_as_a_member() {
        let manifest = "[workspace]\n[dependencies]\nc = { path = \"../rst-tracer-common\" }\n";
        let staged = staged_manifest(manifest).expect("has both");
        assert_eq!(
            staged,
            "[workspace]\nexclude = [\"rst-tracer-common\"]\n[dependencies]\n\
             c = { path = \"rst-tracer-common\" }\n"
        );
        assert!(staged_manifest("[package]\n").is_err());
    }

    #[test]
    fn an_object_with_a_path_of_this_machine_is_refused() {
        let home = Path::new("/home/someone");
        assert!(refuse_machine_paths(b"\x7fELF /home/someone/src", &[home]).is_err());
        assert!(refuse_machine_paths(b"\x7fELF /home/nobody/src", &[home]).is_ok());
    }
}
