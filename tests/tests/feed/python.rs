//! Python with the packages of `requirements.txt`, in an environment below the target directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::target;

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Runs a script of this folder; what it writes to standard output.
pub(crate) fn run(script: &str, arguments: &[&Path]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/feed").join(script);
    let mut command = Command::new(interpreter());
    let output = command.arg(path).args(arguments).output().expect("the interpreter starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Made once, and anew when the requirements change.
fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| {
        let folder = target().join("feed-python");
        let has = folder.join("has.txt");
        if fs::read_to_string(&has).ok().as_deref() != Some(REQUIREMENTS) {
            fs::remove_dir_all(&folder).ok();
            let venv = Command::new("python3").args(["-m", "venv"]).arg(&folder).output();
            let why = "python3 makes no environment; `cargo xtask packages` installs python3-venv";
            let venv = venv.expect(why);
            assert!(venv.status.success(), "{why}: {}", String::from_utf8_lossy(&venv.stdout));
            let mut pip = Command::new(folder.join("bin/pip"));
            pip.args(["install", "--quiet", "--disable-pip-version-check"]);
            let pip = pip.args(REQUIREMENTS.lines()).output().expect("pip starts");
            assert!(
                pip.status.success(),
                "pip cannot install {REQUIREMENTS:?} into {}: give it a way to PyPI (or PIP_INDEX_URL, or \
                 PIP_FIND_LINKS with the wheels) and run the tests again\n{}",
                folder.display(),
                String::from_utf8_lossy(&pip.stderr),
            );
            fs::write(&has, REQUIREMENTS).expect("written");
        }
        folder.join("bin/python")
    })
}
