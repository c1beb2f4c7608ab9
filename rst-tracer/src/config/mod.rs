//! Where the options of a trace and of a replay come from: the command line, the environment, of a trace a file, too.
//!
//! In: the arguments of the program. Out: the command line as if everything had been typed there. What the
//! environment and the file say goes through the parser of the command line, so what is allowed and what is
//! answered to a mistake is the same everywhere; the answer names the variable, or the file and the line.

mod environment;
mod file;
mod nearest;
mod policy;
mod setting;
#[cfg(test)]
mod tests;
mod text;

use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Result;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches, parser::ValueSource};

use self::environment::Environment;
pub(crate) use self::nearest::nearest;
pub use self::policy::read as read_policy;
pub use self::setting::{Origin, Setting};
use crate::{
    cli::{self, Cli, OutputArgs},
    exit::{Code, Failure},
    run::output::{self, Wanted},
};

/// The verbs whose options can be set elsewhere.
const TRACE: &str = "trace";
const REPLAY: &str = "replay";
/// Options that are about the settings themselves, or about this one start.
const NOT_SETTINGS: [&str; 3] = ["config", "check-config", "dry-run"];

/// The command line with all that belongs to it.
pub struct Loaded {
    /// What is to be done, and how.
    pub cli: Cli,
    /// Options of a trace or a replay that are not at their defaults.
    pub in_use: Vec<Setting>,
    /// What is odd about its environment, and what to do about it; a line each.
    pub odd: Vec<String>,
}

/// Completes the arguments of the program from its environment and from the file that they name. A wrong command
/// line ends the program, as does `--help`.
///
/// # Errors
/// A [`Failure`] with [`Code::CONFIG`] names what is wrong with the environment or the file.
pub fn load(arguments: Vec<OsString>) -> Result<Loaded> {
    load_with(arguments, &std::env::vars_os().collect())
}

/// The same with another environment.
fn load_with(arguments: Vec<OsString>, environment: &Environment) -> Result<Loaded> {
    let typed = Cli::command()
        .try_get_matches_from(&arguments)
        .unwrap_or_else(|error| cli::amend(error, &arguments).exit());
    let Some((verb, matches)) = verb_of(&typed) else {
        let (in_use, odd) = Default::default();
        return Ok(Loaded { cli: Cli::from_arg_matches(&typed)?, in_use, odd });
    };
    let options = options_of(verb);
    let file = (verb == TRACE).then(|| file_named(matches, environment)).flatten();
    let mut settings = match &file {
        Some(path) => file::read(path, &options)?,
        None => Vec::new(),
    };
    let variables = environment::read(verb, &options, environment)?;
    for more in [variables, typed_settings(matches, &options)] {
        settings.retain(|setting| more.iter().all(|above| above.option != setting.option));
        settings.extend(more);
    }
    let matches = parse_all(&arguments, &typed, &settings)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let output = match &mut cli.command {
        Some(cli::Command::Replay(args)) => &args.output,
        Some(cli::Command::Trace(args)) => {
            args.service.config = file;
            &args.output
        }
        _ => {
            cli.trace.service.config = file;
            &cli.trace.output
        }
    };
    check_outputs(output, &settings)?;
    settings.retain(|setting| !setting.is_default(&options));
    let odd = environment::odd(verb, &options, environment);
    Ok(Loaded { cli, in_use: settings, odd })
}

/// Writes a line for each setting: as it would stand in a file, and where it comes from.
///
/// # Errors
/// Those of the output.
pub fn show(settings: &[Setting], out: &mut impl Write) -> io::Result<()> {
    if settings.is_empty() {
        writeln!(out, "# every option is at its default")?;
    }
    for setting in settings {
        writeln!(out, "{setting}")?;
    }
    out.flush()
}

/// The options of a verb that can be set, as clap knows them.
fn options_of(verb: &str) -> Vec<Arg> {
    let mut command = Cli::command();
    let verb = command.find_subcommand_mut(verb).expect("a verb of this name");
    let is_setting = |arg: &&Arg| arg.get_long().is_some_and(|name| !NOT_SETTINGS.contains(&name));
    verb.get_arguments().filter(is_setting).cloned().collect()
}

/// What is to be done, and what was typed for it, if its options can be set elsewhere.
fn verb_of(typed: &ArgMatches) -> Option<(&'static str, &ArgMatches)> {
    match typed.subcommand() {
        None => Some((TRACE, typed)),
        Some((TRACE, matches)) => Some((TRACE, matches)),
        Some((REPLAY, matches)) => Some((REPLAY, matches)),
        Some(_) => None,
    }
}

fn file_named(trace: &ArgMatches, environment: &Environment) -> Option<PathBuf> {
    let typed = trace.get_one::<PathBuf>("config").cloned();
    let variable = || environment.get(&OsString::from(environment::name("config")));
    typed.or_else(|| variable().map(PathBuf::from))
}

/// The options that stand on the command line.
fn typed_settings(trace: &ArgMatches, options: &[Arg]) -> Vec<Setting> {
    let is_typed = |option: &&Arg| {
        trace.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
    };
    let typed = options.iter().filter(is_typed).map(|option| {
        let id = option.get_id().as_str();
        let values = match setting::is_flag(option) {
            true => vec![OsString::from("true")],
            false => trace.get_raw(id).into_iter().flatten().map(OsString::from).collect(),
        };
        Setting::new(option, values, Origin::CommandLine)
    });
    typed.collect()
}

/// Parses the arguments once more, behind what the settings add to them.
fn parse_all(
    arguments: &[OsString],
    typed: &ArgMatches,
    settings: &[Setting],
) -> Result<ArgMatches> {
    let added = settings.iter().filter(|setting| setting.origin != Origin::CommandLine);
    let added: Vec<OsString> = added.flat_map(Setting::words).collect();
    let head = 1 + usize::from(typed.subcommand().is_some());
    let (before, behind) = arguments.split_at(head.min(arguments.len()));
    parse(Cli::command(), before.iter().chain(&added).chain(behind))
        .map_err(|complaint| wrong(format_args!("taken together: {complaint}")))
}

/// Two outputs may go to one place, and labels may be too many, which no value shows alone.
fn check_outputs(args: &OutputArgs, settings: &[Setting]) -> Result<()> {
    let (outputs, marks) = (Wanted::all(args), output::marks(args));
    let found = [(outputs.err(), ["output"].as_slice()), (marks.err(), &["label", "tag"])];
    for (failure, options) in found {
        let Some(failure) = failure else { continue };
        let is_one = |setting: &&Setting| options.contains(&setting.option.as_str());
        return match settings.iter().find(is_one).map(|setting| &setting.origin) {
            None | Some(Origin::CommandLine) => Err(failure.into()),
            Some(origin) => Err(wrong(format_args!("{origin}: {failure}"))),
        };
    }
    Ok(())
}

/// Parses; an error is said in one line.
fn parse<'a>(
    command: Command,
    words: impl Iterator<Item = &'a OsString>,
) -> Result<ArgMatches, String> {
    command.try_get_matches_from(words).map_err(|error| {
        let text = cli::amend(error, &[]).render().to_string();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let is_about_this =
            |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more");
        let lines: Vec<&str> = lines.take_while(is_about_this).collect();
        lines.join("; ").trim_start_matches("error: ").to_owned()
    })
}

fn wrong(what: impl std::fmt::Display) -> anyhow::Error {
    Failure::new(Code::CONFIG, what.to_string()).into()
}
