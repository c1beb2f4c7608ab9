//! Options from a file: TOML, a key an option.

use std::{ffi::OsString, path::Path};

use anyhow::Result;
use clap::Arg;
use toml::de::DeValue;

use super::{
    TRACE,
    nearest::nearest_option,
    setting::Setting,
    text::{self, Document},
    wrong,
};

/// Reads the file.
///
/// # Errors
/// Names the file, and the line where there is one.
pub(super) fn read(path: &Path, options: &[Arg]) -> Result<Vec<Setting>> {
    parse(&text::read(path)?, path, options)
}

/// Reads the text of the file.
///
/// # Errors
/// Names the file and the line.
pub(super) fn parse(text: &str, path: &Path, options: &[Arg]) -> Result<Vec<Setting>> {
    let document = Document { text, path };
    // In the order of the file.
    let mut entries: Vec<_> = document.table()?.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let settings = entries.into_iter().map(|(key, value)| {
        let origin = document.at(key.span());
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
pub(super) fn values(value: &DeValue<'_>) -> Option<Vec<OsString>> {
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
