//! Everything a developer of rst-tracer types: `cargo xtask VERB`; alone it lists the verbs.
//!
//! Comes in: the command line. Goes out: the work of the verb on stderr and stdout, exit code 0
//! when it was done.

mod accuracy;
mod apt;
mod bench;
mod cargo_test;
mod ci;
mod command;
mod deny;
mod dependencies;
mod ebpf;
mod fuzz;
mod package;
mod packages;
mod program;
mod release;
mod sbom;
mod services;
mod soak;
mod test;
mod vm;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use workspace::Workspace;

/// The developer's verbs of rst-tracer.
#[derive(Parser)]
#[command(name = "cargo xtask", subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Compile the kernel object from source into rst-tracer-ebpf/prebuilt/, or check it.
    BuildEbpf(ebpf::Args),
    /// Install what the tests need, and do no more.
    Packages,
    /// Run every test; install what they need first.
    Test(test::Args),
    /// Run the fuzz targets, each for some seconds.
    Fuzz(fuzz::Args),
    /// Boot Debian's kernels in an emulated machine and run rst-tracer in each.
    Vm(vm::Args),
    /// Play the laboratory and write how often the engine is right to docs/accuracy.md.
    Accuracy(accuracy::Args),
    /// Measure rst-tracer beside what people use, and write docs/performance.md.
    Bench(bench::Args),
    /// Trace mixed traffic for half an hour, beside an independent capture.
    Soak(soak::Args),
    /// Build the Debian package, and try it in a root of its own.
    Package(package::Args),
    /// Build what is released, the same bytes wherever it is built.
    Release(release::Args),
    /// Write what the program is compiled from, as CycloneDX.
    Sbom(sbom::Args),
    /// Check licences, duplicates and origins of what is shipped, with cargo-deny.
    Deny(deny::Args),
    /// Do what CI does.
    Ci,
}

fn main() -> ExitCode {
    match carry_out(Cli::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(verb: Verb) -> Result<()> {
    let workspace = Workspace::locate()?;
    match verb {
        Verb::BuildEbpf(args) => ebpf::run(&workspace, &args),
        Verb::Packages => apt::for_tests(&workspace),
        Verb::Test(args) => test::run_all(&workspace, &args),
        Verb::Fuzz(args) => fuzz::run_targets(&workspace, &args).map(drop),
        Verb::Vm(args) => vm::run_matrix(&workspace, &args).map(drop),
        Verb::Accuracy(args) => accuracy::measure(&workspace, &args),
        Verb::Bench(args) => bench::measure(&workspace, &args),
        Verb::Soak(args) => soak::soak(&workspace, &args),
        Verb::Package(args) => package::build(&workspace, &args),
        Verb::Release(args) => release::make(&workspace, &args),
        Verb::Sbom(args) => sbom::make(&workspace, &args),
        Verb::Deny(args) => deny::check(&workspace, &args),
        Verb::Ci => ci::run_script(&workspace),
    }
}
