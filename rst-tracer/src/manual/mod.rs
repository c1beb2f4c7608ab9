//! The manual page: what `--help` says of every verb on one page, and what it does not say.
//!
//! In: the command line as clap knows it. Out: roff.

use std::io::{self, Write};

use clap::Command;
use clap_mangen::Man;

/// Exit status, signals, environment, examples.
const MORE: &str = include_str!("more.roff");

/// Writes the page.
///
/// # Errors
/// Those of the output.
pub fn write(command: &Command, out: &mut impl Write) -> io::Result<()> {
    // Which build this is, says --version: the page is the same for all of a version.
    let command = command.clone().long_version(None);
    let page = Man::new(command.clone()).manual("rst-tracer manual").section("8");
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    for verb in command.get_subcommands() {
        write_verb(verb, out)?;
    }
    out.write_all(MORE.as_bytes())?;
    page.render_version_section(out)?;
    out.flush()
}

/// A section for a verb; its own sections become parts of it.
fn write_verb(verb: &Command, out: &mut impl Write) -> io::Result<()> {
    let name = verb.get_name();
    writeln!(out, ".SH \"COMMAND {}\"", name.to_uppercase())?;
    if name == "trace" {
        return writeln!(out, "Trace live. This is the default; its options are those above.");
    }
    let page = Man::new(verb.clone());
    let mut parts = Vec::new();
    page.render_description_section(&mut parts)?;
    page.render_options_section(&mut parts)?;
    for line in String::from_utf8_lossy(&parts).lines() {
        match line.strip_prefix(".SH ") {
            Some("DESCRIPTION") => {}
            Some(title) => writeln!(out, ".SS {title}")?,
            None => writeln!(out, "{line}")?,
        }
    }
    Ok(())
}
