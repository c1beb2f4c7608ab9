//! Waiting for a condition instead of for a time.
//!
//! In: what is awaited, in words, and a question. Out: `Ok` as soon as the answer is yes, or an
//! error that says what did not come about.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything in the laboratory may take before it counts as failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How often a question without its own wake-up is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(1);

/// Asks `holds` until it says yes.
///
/// # Errors
/// After [`PATIENCE`], naming `what`; and whatever `holds` returns.
pub fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        if Instant::now() >= deadline {
            bail!("waited {} s in vain for {what}", PATIENCE.as_secs());
        }
        thread::sleep(AGAIN_AFTER);
    }
    Ok(())
}
