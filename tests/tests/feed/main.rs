//! What others make of the stream of events: collectors, databases, and the files in `contrib`. Needs root and the
//! packages that `cargo xtask packages` installs.

mod collector;
mod collectors;
mod contrib;
mod fleet;
#[path = "../attach/lab.rs"]
#[expect(dead_code, reason = "the tests of attaching use more of it")]
mod net;
mod python;
#[path = "../operations/resets.rs"]
#[expect(dead_code, reason = "the tests of operation use more of it")]
mod resets;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// A file that we ship.
fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib").join(name)
}

/// Cargo's target directory: this test is TARGET/PROFILE/deps/NAME-HASH.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    test.ancestors().nth(3).expect("the target folder").to_owned()
}

/// Waits with more patience than the laboratory has: collectors take their time.
#[track_caller]
fn await_that(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// The whole lines of a file; none if it is not there.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::to_owned).collect()
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}
