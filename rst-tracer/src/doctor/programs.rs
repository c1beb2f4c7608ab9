//! Tries to load each hook program and keeps what the kernel said.

use aya::Ebpf;
use serde::Serialize;

use crate::{exit::Failure, source::live::attach::Hooks};

/// One hook program after an attempt to load it.
#[derive(Debug, Serialize)]
pub struct ProgramCheck {
    /// Its name in the object.
    pub name: &'static str,
    /// Whether the kernel took it.
    pub loads: bool,
    /// Why it did not: the verifier's last line, or the missing capability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Instructions the verifier walked, a measure of how close to its limit we are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_instructions: Option<u32>,
    #[serde(skip)]
    pub(super) jitted: Option<bool>,
}

/// Loads all programs; fails as a tracer would when the one that nothing works without is refused.
pub(super) fn check(ebpf: Ebpf) -> Result<Vec<ProgramCheck>, Failure> {
    let mut hooks = Hooks::new(ebpf)?;
    let tried: Vec<_> = hooks
        .load_all()
        .map(|(name, refusal)| (name, refusal.map(|failure| failure.message.clone())))
        .collect();
    let check = |(name, refusal): (_, Option<String>)| {
        let info = hooks.ebpf().program(name).and_then(|program| program.info().ok());
        ProgramCheck {
            name,
            loads: refusal.is_none(),
            refusal,
            verified_instructions: info.as_ref().and_then(|i| i.verified_instruction_count()),
            jitted: info.map(|i| i.size_jitted() > 0),
        }
    };
    Ok(tried.into_iter().map(check).collect())
}
