//! One option that somebody set, and who did.

use std::{ffi::OsString, fmt, path::PathBuf};

use anyhow::Result;
use clap::{Arg, ArgAction, CommandFactory};

use super::{REPLAY, parse, wrong};
use crate::cli::Cli;

/// Who set an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was typed.
    CommandLine,
    /// The environment variable of this name.
    Variable(String),
    /// A line of a file, counted from 1.
    File(PathBuf, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Variable(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// An option that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its long name.
    pub option: String,
    /// One value, or several of a repeatable option; `true` or `false` of a flag.
    pub values: Vec<OsString>,
    /// Who set it.
    pub origin: Origin,
    is_flag: bool,
    is_list: bool,
}

impl Setting {
    pub(super) fn new(option: &Arg, values: Vec<OsString>, origin: Origin) -> Self {
        Self {
            option: option.get_long().unwrap_or_default().to_owned(),
            values,
            origin,
            is_flag: is_flag(option),
            is_list: is_list(option),
        }
    }

    /// The same, if the command line of this verb would take it.
    ///
    /// # Errors
    /// In the words of the command line, behind those of the origin.
    pub(super) fn checked(self, verb: &str) -> Result<Self> {
        if self.is_flag && self.values != ["true"] && self.values != ["false"] {
            return Err(wrong(format_args!("{}: {} is true or false", self.origin, self.option)));
        }
        if !self.is_list && self.values.len() != 1 {
            return Err(wrong(format_args!("{}: {} takes one value", self.origin, self.option)));
        }
        // A replay is of something.
        let file = (verb == REPLAY).then(|| OsString::from("-"));
        let words = ["rst-tracer".into(), verb.into()].into_iter().chain(self.words()).chain(file);
        let words: Vec<OsString> = words.collect();
        match parse(Cli::command(), words.iter()) {
            Ok(_) => Ok(self),
            Err(complaint) => Err(wrong(format_args!("{}: {complaint}", self.origin))),
        }
    }

    /// As it would be typed.
    pub(super) fn words(&self) -> Vec<OsString> {
        let name = format!("--{}", self.option);
        if self.is_flag {
            return if self.values == ["true"] { vec![name.into()] } else { Vec::new() };
        }
        let word = |value: &OsString| {
            [name.as_str(), "="].map(OsString::from).into_iter().chain([value.clone()])
        };
        self.values.iter().map(|value| word(value).collect()).collect()
    }

    /// Whether it says what holds anyway.
    pub(super) fn is_default(&self, options: &[Arg]) -> bool {
        let is_this = |option: &&Arg| option.get_long() == Some(&self.option);
        let default = options.iter().find(is_this).map_or(&[][..], Arg::get_default_values);
        match self.is_flag {
            true => self.values != ["true"],
            false => self.values.iter().eq(default.iter().map(|value| value.as_os_str())),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = ", self.option)?;
        let values: Vec<String> = self.values.iter().map(|value| self.value(value)).collect();
        match self.is_list {
            true => write!(f, "[{}]", values.join(", "))?,
            false => f.write_str(&values.concat())?,
        }
        write!(f, "  # {}", self.origin)
    }
}

impl Setting {
    /// A value as TOML has it.
    fn value(&self, value: &OsString) -> String {
        let text = value.to_string_lossy();
        let is_plain = self.is_flag || text.parse::<i64>().is_ok();
        if is_plain { text.into_owned() } else { toml::Value::from(&*text).to_string() }
    }
}

pub(super) fn is_flag(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::SetTrue)
}

pub(super) fn is_list(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}
