//! The effective capabilities of this process, and what each is for.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

/// Bit numbers from `include/uapi/linux/capability.h`, and what goes without.
const WANTED: [(&str, u32, &str); 6] = [
    ("CAP_BPF", 39, "load the programs"),
    ("CAP_NET_ADMIN", 12, "attach to interfaces"),
    ("CAP_PERFMON", 38, "load the programs too, and hear the kernel's own reasons"),
    ("CAP_SYS_PTRACE", 19, "name the processes of other users, with CAP_DAC_READ_SEARCH"),
    ("CAP_DAC_READ_SEARCH", 2, "name the processes of other users, with CAP_SYS_PTRACE"),
    ("CAP_SYS_ADMIN", 21, "name the BPF programs of others; stands in for BPF and PERFMON"),
];
const CAP_SYS_ADMIN: u32 = 21;

/// One capability.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// `CAP_…`
    pub name: &'static str,
    /// Whether this process has it, be it through `CAP_SYS_ADMIN`.
    pub effective: bool,
    /// What it is needed for.
    pub needed_to: &'static str,
}

/// Reads the effective set of the calling thread, which is the one that loads and attaches.
pub(crate) fn effective() -> Result<Vec<Capability>> {
    const STATUS: &str = "/proc/thread-self/status";
    let status = fs::read_to_string(STATUS).with_context(|| format!("cannot read {STATUS}"))?;
    let set = parse(&status).with_context(|| format!("{STATUS} has no CapEff line"))?;
    Ok(from_set(set))
}

pub(crate) fn has(capabilities: &[Capability], name: &str) -> bool {
    capabilities.iter().any(|c| c.name == name && c.effective)
}

fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn from_set(set: u64) -> Vec<Capability> {
    let has = |bit: u32| set >> bit & 1 == 1;
    WANTED
        .into_iter()
        .map(|(name, bit, needed_to)| {
            // Before 5.8 these two were part of CAP_SYS_ADMIN, which still implies them.
            let implied = matches!(name, "CAP_BPF" | "CAP_PERFMON") && has(CAP_SYS_ADMIN);
            Capability { name, effective: has(bit) || implied, needed_to }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(set: u64) -> Vec<&'static str> {
        from_set(set).into_iter().filter(|c| c.effective).map(|c| c.name).collect()
    }

    #[test]
    fn the_effective_line_is_read_and_not_its_neighbours() {
        let status = "CapPrm:\t000001ffffffffff\nCapEff:\t0000008000001000\nCapBnd:\tff\n";
        assert_eq!(parse(status), Some(1 << 39 | 1 << 12));
        assert_eq!(parse("Name:\tx\n"), None);
    }

    #[test]
    fn sys_admin_implies_bpf_and_perfmon_but_not_net_admin() {
        assert_eq!(names(1 << 39 | 1 << 12), ["CAP_BPF", "CAP_NET_ADMIN"]);
        assert_eq!(names(1 << 21), ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN"]);
    }
}
