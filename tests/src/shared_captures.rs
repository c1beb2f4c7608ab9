//! The shared set of captures that others wrote.
//!
//! They lie in `../shared/captures` beside the repository, or where `RST_TRACER_CAPTURES` says.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The folder of the set, or a loud word.
pub fn root() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/captures");
    let root = env::var_os("RST_TRACER_CAPTURES").map_or_else(|| beside.into(), PathBuf::from);
    if root.is_dir() {
        return Some(root);
    }
    eprintln!(
        "SKIPPED: no captures in {}; set RST_TRACER_CAPTURES to the folder of the shared set",
        root.display()
    );
    None
}

/// Every file in this folder and those below, in order.
///
/// # Panics
/// If it cannot be read.
pub fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(files_under(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}
