//! The text of a file in TOML, and on which line something in it stands.

use std::{fs, ops::Range, path::Path};

use anyhow::Result;
use toml::de::DeTable;

use super::{setting::Origin, wrong};

/// Reads a file.
///
/// # Errors
/// Names the file.
pub(super) fn read(path: &Path) -> Result<String> {
    let cannot = |error| wrong(format_args!("cannot read {}: {error}", path.display()));
    fs::read_to_string(path).map_err(cannot)
}

/// The text of a file.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    pub(super) path: &'a Path,
}

impl<'a> Document<'a> {
    /// Where something stands.
    pub(super) fn at(&self, span: Range<usize>) -> Origin {
        let before = &self.text.as_bytes()[..span.start];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Origin::File(self.path.to_owned(), line)
    }

    /// What is in it.
    ///
    /// # Errors
    /// Names the file and the line.
    pub(super) fn table(&self) -> Result<DeTable<'a>> {
        let table = DeTable::parse(self.text).map_err(|error| {
            let origin = self.at(error.span().unwrap_or_default());
            wrong(format_args!("{origin}: {}", error.message()))
        })?;
        Ok(table.into_inner())
    }
}
