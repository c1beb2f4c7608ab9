//! `rst-tracer report`: an HTML page about lines that were kept.
//!
//! In: files of JSON lines (`--format json`). Out: one page, made when all of them are read; memory depends on what is
//! shown, not on how many lines there are.

mod digest;
mod examples;
mod input;
mod losses;
mod page;
mod rules;
mod timeline;

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::{
    digest::Digest,
    input::{Account, Input},
    page::Subject,
};
use crate::{
    clock::epoch_ns,
    event::Timestamp,
    exit::{Code, Failure},
    run::tell,
};

#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Files of JSON lines, as `--format json` writes them, in any order; `-` reads standard input
    #[arg(required = true, value_name = "EVENTS.jsonl")]
    pub files: Vec<String>,
    /// Where the page goes; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-", hide_default_value = true)]
    pub output: PathBuf,
}

/// Reads the files and writes the page. A file that cannot be read, or has none of our lines, is said on stderr and
/// makes the exit code 1; the page is about the others.
///
/// # Errors
/// When there is nothing to make a page of, or it cannot be written.
pub fn report(args: &ReportArgs) -> Result<Code> {
    let to_stdout = args.output.as_os_str() == "-";
    let is_lost = to_stdout && io::stdout().is_terminal();
    let complain = |message: String| Failure::new(Code::USAGE, message);
    if is_lost {
        let message = "the page is HTML: name a file with --output, or redirect it (> report.html)";
        return Err(complain(message.into()).into());
    }
    if let Some(name) = same_file_twice(&args.files) {
        return Err(complain(format!("{name} is named twice, and would count twice")).into());
    }
    if !to_stdout && args.files.iter().any(|file| is_same(Path::new(file), &args.output)) {
        let name = args.output.display();
        return Err(complain(format!("the page would replace {name}, which it is about")).into());
    }
    let mut code = Code::OK;
    let mut trouble = |line: String| {
        tell(format_args!("rst-tracer: {line}"));
        code = Code::FAILURE;
    };
    let mut inputs: Vec<_> = args
        .files
        .iter()
        .filter_map(|name| {
            Input::open(name).map_err(|error| trouble(format!("{name}: {error:#}"))).ok()
        })
        .map(|mut input| (input.begins(), input))
        .collect();
    // Rotated files come in the order of their names, which is that of time seldom.
    inputs.sort_by_key(|(begins, _)| *begins);
    let mut digest = Digest::default();
    let mut files = Vec::new();
    for (_, input) in inputs {
        let mut account = Account::default();
        if let Err(error) = input.read(&mut account, |event, _| digest.take(event)) {
            trouble(format!("{}: {error:#}", account.name));
        }
        if let Some(additions) = account.additions() {
            tell(format_args!("rst-tracer: {additions}"));
        }
        match account.remark() {
            Some(remark) if account.events == 0 => trouble(remark),
            Some(remark) => tell(format_args!("rst-tracer: {remark}")),
            None if account.lines == 0 => {
                tell(format_args!("rst-tracer: {}: is empty", account.name))
            }
            None => {}
        }
        files.push(account);
    }
    ensure!(
        files.iter().any(|file| file.events > 0),
        "nothing to report: record with rst-tracer -o json:EVENTS.jsonl, or replay CAPTURE --format json"
    );
    let page = page::make(&Subject { digest: &digest, files: &files, now: Timestamp(epoch_ns()) });
    match to_stdout {
        true => io::stdout().write_all(page.as_bytes()).and_then(|()| io::stdout().flush())?,
        false => fs::write(&args.output, page)
            .with_context(|| format!("cannot write {}", args.output.display()))?,
    }
    Ok(code)
}

fn same_file_twice(files: &[String]) -> Option<&str> {
    let is_earlier = |(at, name): (usize, &String)| {
        files[..at].iter().any(|other| other == name || is_same(Path::new(other), Path::new(name)))
    };
    files.iter().enumerate().find(|named| is_earlier(*named)).map(|(_, name)| name.as_str())
}

/// Whether two names are of one file.
fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}
