//! What to type instead, where the command line is wrong in a way of which clap knows no better.
//!
//! In: the words that were typed, and clap's complaint. Out: the complaint, with tips that hold for this program.

use std::{ffi::OsString, path::Path};

use clap::{
    Arg, CommandFactory, Error,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::Cli;
use crate::event::Cause;

/// Makes a complaint say what to type instead; `words` begin with the program's name.
pub(crate) fn amend(mut error: Error, words: &[OsString]) -> Error {
    let said = |error: &Error, kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.clone()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => {
            let word = said(&error, ContextKind::InvalidArg)
                .or_else(|| said(&error, ContextKind::InvalidSubcommand));
            advise(&mut error, &word.unwrap_or_default(), words);
        }
        ErrorKind::InvalidValue => shorten(&mut error),
        _ => {}
    }
    error
}

/// An option that is not known, or a word where none is wanted.
fn advise(error: &mut Error, word: &str, words: &[OsString]) {
    // No verb takes values that begin so.
    if let Some(ContextValue::StyledStrs(tips)) = error.remove(ContextKind::Suggested) {
        let is_of_use = |tip: &StyledStr| !tip.to_string().starts_with("to pass ");
        let tips: Vec<_> = tips.into_iter().filter(is_of_use).collect();
        if !tips.is_empty() {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        }
    }
    let is_replay = words.get(1).is_some_and(|verb| verb == "replay");
    let tip = if word == "-r" || !is_replay && is_capture(word) {
        let file = words.iter().filter_map(|word| word.to_str()).find(|word| is_capture(word));
        format!("to read a capture file, use 'rst-tracer replay {}'", file.unwrap_or("FILE"))
    } else if is_replay && is_of_trace(word) {
        format!("'{word}' is an option of a live trace; a replay reads its files to their end")
    } else {
        return;
    };
    for guess in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand] {
        error.remove(guess);
    }
    add(error, tip);
}

/// A list that would hide the tip behind it is left out: of all our values causes are the only ones that are many.
fn shorten(error: &mut Error) {
    let known = error.get(ContextKind::ValidValue);
    if matches!(known, Some(ContextValue::Strings(known)) if known.len() == Cause::ALL.len()) {
        error.remove(ContextKind::ValidValue);
        add(error, "'rst-tracer explain' tells of all causes".into());
    }
}

fn add(error: &mut Error, tip: String) {
    let mut tips = match error.remove(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(tips)) => tips,
        _ => Vec::new(),
    };
    tips.push(tip.into());
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
}

/// Whether a word is the name of a capture file, by its looks.
fn is_capture(word: &str) -> bool {
    let extension = Path::new(word).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["pcap", "pcapng", "cap"].contains(&extension))
}

/// Whether a live trace has an option of this name.
fn is_of_trace(word: &str) -> bool {
    let is_meant = |option: &Arg| match word.strip_prefix("--") {
        Some(long) => {
            let others = option.get_visible_aliases().unwrap_or_default();
            option.get_long() == Some(long) || others.contains(&long)
        }
        None => {
            let short = word.strip_prefix('-').and_then(|letters| letters.chars().next());
            short.is_some() && option.get_short() == short
        }
    };
    Cli::command().find_subcommand("trace").is_some_and(|trace| trace.get_arguments().any(is_meant))
}
