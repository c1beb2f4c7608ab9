//! Options from a file: TOML, a key an option.

use std::{ffi::OsString, fs, ops::Range, path::Path};

use anyhow::Result;
use clap::Arg;
use toml::de::{DeTable, DeValue};

use super::{
    TRACE,
    nearest::nearest_option,
    setting::{Origin, Setting},
    wrong,
};

/// Reads the file.
///
/// # Errors
/// Names the file, and the line where there is one.
pub(super) fn read(path: &Path, options: &[Arg]) -> Result<Vec<Setting>> {
    let cannot = |error| wrong(format_args!("cannot read {}: {error}", path.display()));
    let text = fs::read_to_string(path).map_err(cannot)?;
    parse(&text, path, options)
}

/// Reads the text of the file.
///
/// # Errors
/// Names the file and the line.
pub(super) fn parse(text: &str, path: &Path, options: &[Arg]) -> Result<Vec<Setting>> {
    let at = |span: Range<usize>| {
        let line = text.as_bytes()[..span.start].iter().filter(|&&byte| byte == b'\n').count() + 1;
        Origin::File(path.to_owned(), line)
    };
    let table = DeTable::parse(text).map_err(|error| {
        let origin = at(error.span().unwrap_or_default());
        wrong(format_args!("{origin}: {}", error.message()))
    })?;
    // In the order of the file.
    let mut entries: Vec<_> = table.into_inner().into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let settings = entries.into_iter().map(|(key, value)| {
        let origin = at(key.span());
        let name = key.get_ref();
        let Some(option) = options.iter().find(|option| option.get_long() == Some(name)) else {
            return Err(wrong(format_args!("{origin}: {}", unknown(name, options))));
        };
        let Some(values) = values(value.get_ref()) else {
            let kinds = "a string, a number, true or false, or a list of those";
            return Err(wrong(format_args!("{origin}: {name} takes {kinds}")));
        };
        Setting::new(option, values, origin).checked(TRACE)
    });
    settings.collect()
}

/// What is said of a key that is no option.
fn unknown(key: &str, options: &[Arg]) -> String {
    let nearest = nearest_option(key, options);
    let hint = nearest.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    format!("there is no option `{key}`{hint}")
}

/// One value, or those of a list.
fn values(value: &DeValue<'_>) -> Option<Vec<OsString>> {
    match value {
        DeValue::Array(list) => list.iter().map(|value| scalar(value.get_ref())).collect(),
        one => scalar(one).map(|value| vec![value]),
    }
}

/// A value as it would be typed.
fn scalar(value: &DeValue<'_>) -> Option<OsString> {
    match value {
        DeValue::String(text) => Some(text.as_ref().into()),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
            Some(number.to_string().into())
        }
        DeValue::Float(number) => Some(number.as_str().into()),
        DeValue::Boolean(value) => Some(value.to_string().into()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
