//! Where events go: standard output or a file, in the format asked for.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result, ensure};

use crate::{
    cli::{Colour, Format, OutputArgs},
    sink::{CefSink, EveSink, JsonSink, OtlpSink, PcapNgSink, Sink, Style, TextSink},
};

/// Opens the output that the command line names.
///
/// # Errors
/// Names the file that cannot be opened. Packets are not for terminals.
pub fn open(args: &OutputArgs) -> Result<Box<dyn Sink>> {
    match file(args) {
        Some(path) => {
            let mut options = OpenOptions::new();
            options.append(true).create(true).mode(0o640);
            let file = options
                .open(path)
                .with_context(|| format!("cannot open {} for appending", path.display()))?;
            Ok(sink(args, file, false))
        }
        None => {
            let is_terminal = io::stdout().is_terminal();
            ensure!(
                args.format != Format::Pcapng || !is_terminal,
                "pcapng is binary: name a file with --output, or pipe it into wireshark -k -i -"
            );
            Ok(sink(args, io::stdout(), is_terminal))
        }
    }
}

/// The file that events go to, unless they go to standard output.
pub fn file(args: &OutputArgs) -> Option<&Path> {
    args.output.as_deref().filter(|path| path.as_os_str() != "-")
}

fn sink(args: &OutputArgs, out: impl Write + 'static, is_terminal: bool) -> Box<dyn Sink> {
    match args.format {
        Format::Json => Box::new(JsonSink::new(out)),
        Format::Eve => Box::new(EveSink::new(out)),
        Format::Cef => Box::new(CefSink::new(out)),
        Format::Otlp => Box::new(OtlpSink::new(out)),
        Format::Pcapng => Box::new(PcapNgSink::new(out)),
        Format::Text => {
            let style = Style { colour: colour(args.color, is_terminal), explain: args.explain };
            Box::new(TextSink::new(out, style))
        }
    }
}

/// Whether text is coloured. <https://no-color.org>: any non-empty value switches it off.
pub fn colour(when: Colour, is_terminal: bool) -> bool {
    match when {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}
