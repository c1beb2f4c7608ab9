//! Which kernel modules the guest loads, and in which order: the dependencies of depmod resolved.
//!
//! Comes in: modules.dep and modules.builtin. Goes out: module files, each after all it needs.

use anyhow::{Context, Result};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The modules that tracing and the demo's scenarios use. A kernel that has one built in, or does
/// not know it, goes without the file.
pub(crate) const WANTED: &[&str] = &[
    // Interfaces that the demo makes, and tunnels that the parser knows.
    "veth",
    "dummy",
    "tun",
    "bridge",
    "8021q",
    "ipip",
    "sit",
    "ip_gre",
    "vxlan",
    "geneve",
    // Where the TC hooks sit before tcx.
    "sch_ingress",
    "cls_bpf",
    "act_bpf",
    "act_gact",
    // Firewalls that send resets.
    "nf_tables",
    "nft_reject",
    "nft_reject_inet",
    "nft_reject_ipv4",
    "nft_reject_ipv6",
    "nft_ct",
    "nft_counter",
    "nft_limit",
    "nf_conntrack",
    "ip_tables",
    "iptable_filter",
    "ip6_tables",
    "ip6table_filter",
    "xt_tcpudp",
    "xt_conntrack",
    "ipt_REJECT",
    "ip6t_REJECT",
    "nft_compat",
    // What the agent asks for sockets and connections.
    "inet_diag",
    "tcp_diag",
    "netlink_diag",
    "nf_conntrack_netlink",
];

/// The dependencies of every module, by name.
pub(crate) struct Index {
    /// Name to (file, files it needs), paths below the modules directory.
    modules: HashMap<String, (String, Vec<String>)>,
}

impl Index {
    /// Reads the text of a modules.dep: `FILE: FILE…`, one module a line.
    pub(crate) fn parse(modules_dep: &str) -> Self {
        let entry = |line: &str| {
            let (file, needed) = line.split_once(':')?;
            let needed = needed.split_whitespace().map(str::to_owned).collect();
            Some((name_of(file), (file.to_owned(), needed)))
        };
        Self { modules: modules_dep.lines().filter_map(entry).collect() }
    }

    /// The files of the wanted modules and of all they need, each file once and after those it
    /// needs. A wanted name without a file is left out.
    pub(crate) fn load_order(&self, wanted: &[&str]) -> Vec<String> {
        let mut order = Vec::new();
        let mut seen = HashSet::new();
        for name in wanted {
            self.visit(&name_of(name), &mut seen, &mut order);
        }
        order
    }

    fn visit(&self, name: &str, seen: &mut HashSet<String>, order: &mut Vec<String>) {
        let Some((file, needed)) = self.modules.get(name) else { return };
        if seen.insert(name.to_owned()) {
            for dependency in needed {
                self.visit(&name_of(dependency), seen, order);
            }
            order.push(file.clone());
        }
    }
}

/// A module's name: its file name without directories and endings, with `_` for `-`.
fn name_of(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split(".ko").next().unwrap_or(name).replace('-', "_")
}

/// Those of `wanted` that this kernel's modules directory has, and what they need, in the order in which they load:
/// names and contents, uncompressed.
///
/// # Errors
/// When a file cannot be read or unpacked.
pub(crate) fn collect(directory: &Path, wanted: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
    let path = directory.join("modules.dep");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let files = Index::parse(&text).load_order(wanted);
    let unpacked =
        |file: String| Ok((format!("{}.ko", name_of(&file)), contents(directory.join(file))?));
    files.into_iter().map(unpacked).collect()
}

/// A module as insmod takes it: kernels before 6.4 do not unpack modules themselves.
fn contents(file: PathBuf) -> Result<Vec<u8>> {
    if file.extension().is_some_and(|ending| ending == "ko") {
        return crate::workspace::read(&file);
    }
    let output = Command::new("xz")
        .arg("-dc")
        .arg(&file)
        .output()
        .context("cannot start xz: install xz-utils")?;
    anyhow::ensure!(output.status.success(), "xz cannot unpack {}", file.display());
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/net/netfilter/nft_reject_inet.ko: kernel/net/netfilter/nft_reject.ko kernel/net/netfilter/nf_tables.ko
kernel/net/netfilter/nft_reject.ko: kernel/net/netfilter/nf_tables.ko
kernel/net/netfilter/nf_tables.ko: kernel/net/netfilter/nfnetlink.ko kernel/lib/libcrc32c.ko.xz
kernel/net/netfilter/nfnetlink.ko:
kernel/lib/libcrc32c.ko.xz:
kernel/net/xt-dashed.ko:
";

    #[test]
    fn every_module_comes_once_and_after_all_it_needs() {
        let order = Index::parse(DEP).load_order(&["nft_reject_inet", "nf_tables"]);
        let names: Vec<String> = order.iter().map(|file| name_of(file)).collect();
        assert_eq!(names, ["nfnetlink", "libcrc32c", "nf_tables", "nft_reject", "nft_reject_inet"]);
    }

    #[test]
    fn what_the_kernel_has_built_in_has_no_file_and_is_left_out() {
        assert_eq!(Index::parse(DEP).load_order(&["veth"]), Vec::<String>::new());
    }

    #[test]
    fn dash_and_underscore_name_the_same_module() {
        assert_eq!(Index::parse(DEP).load_order(&["xt_dashed"]), ["kernel/net/xt-dashed.ko"]);
    }

    #[test]
    fn modules_that_need_each_other_do_not_loop() {
        let index = Index::parse("a.ko: b.ko\nb.ko: a.ko\n");
        assert_eq!(index.load_order(&["a"]), ["b.ko", "a.ko"]);
    }
}
