//! The verbs that trace: they join sources, engine and sinks, and end with a summary.

mod bell;
mod filter;
pub mod output;
mod pipeline;
mod reload;
mod replay;
mod service;
mod signals;
mod tally;
mod tell;
mod trace;

use std::time::Duration;

pub use filter::{Direction, Filter};
pub use pipeline::{AskAddresses, Pipeline, Stop};
pub use reload::Settings;
pub use replay::replay;
pub use tally::{Summary, Tally, skipped, untracked};
pub use tell::tell;
pub use trace::{Tracing, live_options, trace, trace_onto};

use crate::{cli::OutputArgs, config, correlate::Scene, detect::policy::Rule, exit::Failure};

/// This host as events name it.
pub fn scene(args: &OutputArgs) -> Scene {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    Scene {
        host: host.unwrap_or_else(|| "unknown".into()),
        community_id_seed: args.community_id_seed,
        ..Scene::default()
    }
}

/// The rules of the policy file, if one is named.
///
/// # Errors
/// With exit code 78 when it cannot be read or is wrong.
pub fn policy(args: &OutputArgs) -> anyhow::Result<Vec<Rule>> {
    args.policy.as_deref().map_or(Ok(Vec::new()), config::read_policy)
}

/// A duration in nanoseconds.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a stopped run means: only a broken output is a failure.
fn outcome(stop: Stop) -> Result<(), Failure> {
    match stop {
        Stop::Enough | Stop::Closed => Ok(()),
        Stop::Failed(error) => {
            let message = format!("cannot write the output: {error}");
            Err(Failure::new(crate::exit::Code::FAILURE, message))
        }
    }
}
