//! The running kernel: its release, whether it describes its types, whether it compiles programs.

use std::fs;

use aya::util::KernelVersion;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use serde::Serialize;

/// What the report says about the kernel.
#[derive(Debug, Serialize)]
pub struct Kernel {
    /// As `uname -r` prints it.
    pub release: String,
    /// Whether `/sys/kernel/btf/vmlinux` can be read.
    pub btf: bool,
    /// Whether programs are compiled to machine code; absent when it could not be learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jit: Option<bool>,
    /// What is lacking and what that costs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Describes the running kernel.
pub(super) fn describe(btf: bool, btf_problem: Option<String>, jit: Option<bool>) -> Kernel {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease");
    let release = release.map_or("unknown".into(), |r| r.trim().to_owned());
    let version = KernelVersion::current().ok();
    let before = |major, minor| version.is_some_and(|v| v < KernelVersion::new(major, minor, 0));

    let mut notes: Vec<String> = btf_problem.into_iter().collect();
    if !btf {
        notes.push(
            "no BTF (CONFIG_DEBUG_INFO_BTF): resets are explained from the wire alone, without \
             the kernel's reasons and without processes"
                .into(),
        );
    }
    if jit == Some(false) {
        notes.push(
            "the BPF JIT is off: every packet costs several times more; \
             `sysctl net.core.bpf_jit_enable=1` switches it on"
                .into(),
        );
    }
    for (major, minor, cost) in [
        (5, 8, "no BPF ring buffer: live tracing is not possible; `replay` works"),
        (5, 9, "no XDP links (Linux 5.9): ingress uses traffic control"),
        (5, 18, "no XDP frags (Linux 5.18): ingress with large frames uses traffic control"),
        (6, 6, "no tcx (Linux 6.6): clsact filters outlive a killed tracer; `doctor --clean`"),
        (6, 10, "no reset reasons (Linux 6.10): causes rest on the wire and on drop reasons"),
    ] {
        if before(major, minor) {
            notes.push(cost.into());
        }
    }
    if before(5, 11)
        && let Ok((soft, _)) = getrlimit(Resource::RLIMIT_MEMLOCK)
        && soft != RLIM_INFINITY
    {
        notes.push(format!(
            "locked memory is limited to {soft} bytes and maps count against it before Linux \
             5.11: grant CAP_SYS_RESOURCE or `ulimit -l unlimited`"
        ));
    }
    Kernel { release, btf, jit, notes }
}
