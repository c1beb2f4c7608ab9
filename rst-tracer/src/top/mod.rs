//! `rst-tracer top`: what is reset right now, and why, on a screen.
//!
//! In: the options of a live trace. Out: a full-screen table until a key or a signal ends it. Tracing is that of `trace`;
//! the screen is one of its sinks.

mod draw;
mod model;
mod rates;
mod screen;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use anyhow::Result;
use clap::Args;

pub use terminal::FullScreen;

use crate::{
    cli::{
        Colour, FilterArgs, Format, LiveArgs, OutputArgs, PrivilegeArgs, ServiceArgs, TableArgs,
        TraceArgs, duration,
    },
    exit::{Code, Failure},
    run::{self, output},
};

/// How often the counters of the kernel programs are shown.
const COUNTERS: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Args)]
pub struct TopArgs {
    #[command(flatten)]
    pub live: LiveArgs,
    /// How long a reset waits for what proves or refutes it: 0s, 500ms, 1s
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub settle: Duration,
    /// When to use colours [also: NO_COLOR]
    #[arg(long, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub filter: FilterArgs,
    #[command(flatten)]
    pub privileges: PrivilegeArgs,
}

/// Traces onto a screen.
///
/// # Errors
/// With exit code 2 where there is no terminal; else as a trace.
pub fn top(args: TopArgs) -> Result<Code> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let message = "top needs a terminal for its screen and its keys; rst-tracer trace writes lines instead";
        return Err(Failure::new(Code::USAGE, message).into());
    }
    let screen = screen::Screen::new(output::colour(args.color, true));
    run::trace_onto(&args.into(), Box::new(screen))
}

impl From<TopArgs> for TraceArgs {
    /// A trace without outputs.
    fn from(args: TopArgs) -> Self {
        let output = OutputArgs {
            no_findings: false,
            policy: None,
            format: Format::Text,
            output: Vec::new(),
            output_queue: 1,
            explain: false,
            count: None,
            settle: args.settle,
            community_id_seed: 0,
            internal_nets: Vec::new(),
            tags: Vec::new(),
            labels: Vec::new(),
            color: args.color,
        };
        let service = ServiceArgs { privileges: args.privileges, ..ServiceArgs::default() };
        let (heartbeat, metrics_listen) = (Some(COUNTERS), None);
        let TopArgs { live, table, filter, .. } = args;
        Self { live, heartbeat, metrics_listen, table, output, filter, service }
    }
}
