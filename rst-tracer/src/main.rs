//! `rst-tracer`: who reset this TCP connection, and why.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::CommandFactory;
use rst_tracer::{
    causes,
    cli::{Cli, Command},
    config::{self, Loaded},
    demo, doctor,
    exit::{self, Code},
    manual, report, run, sink, top,
};

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let code = match config::load(std::env::args_os().collect()).and_then(start) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => Code::OK,
        Err(error) => {
            run::tell(format_args!("rst-tracer: {error:#}"));
            exit::code_of(&error)
        }
    };
    ExitCode::from(code.0)
}

fn start(Loaded { cli, in_use, odd }: Loaded) -> anyhow::Result<Code> {
    let mut out = io::stdout();
    odd.iter().for_each(|line| run::tell(format_args!("rst-tracer: {line}")));
    match cli.command.unwrap_or(Command::Trace(cli.trace)) {
        Command::Trace(args) if args.service.check_config => {
            run::policy(&args.output)?;
            config::show(&in_use, &mut out)?;
            Ok(Code::OK)
        }
        Command::Trace(args) if args.service.dry_run => doctor::dry_run(&args, &mut out),
        Command::Trace(args) => run::trace(&args, run::Settings::new(in_use)),
        Command::Top(args) => top::top(args),
        Command::Replay(args) => run::replay(&args),
        Command::Report(args) => report::report(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Doctor(args) => doctor::run(&args, &mut out),
        Command::Explain { cause } => {
            causes::explain(cause, &mut out)?;
            Ok(Code::OK)
        }
        Command::Schema => {
            writeln!(out, "{:#}", sink::schema())?;
            Ok(Code::OK)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "rst-tracer", &mut script);
            out.write_all(&script)?;
            out.flush()?;
            Ok(Code::OK)
        }
        Command::Man => {
            manual::write(&Cli::command(), &mut out)?;
            Ok(Code::OK)
        }
    }
}

/// Whoever reads our output has seen enough: that is success.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
