//! What `/proc` says about a process, and which sockets it holds.

use std::{fs, os::unix::fs::MetadataExt};

use super::{cgroup, container};
use crate::{
    clock,
    event::{KnownBy, Process},
};

/// All processes that are seen.
pub(super) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A process as it is now.
pub(super) fn look(pid: u32, known_by: KnownBy) -> Option<Process> {
    let name = name(pid)?;
    let uid = fs::metadata(format!("/proc/{pid}")).ok().map(|directory| directory.uid());
    let cgroup = cgroup_of(pid);
    Some(Process { pid, name, known_by, uid, container_id: container_in(&cgroup), cgroup })
}

/// The name that a process gave itself.
pub(super) fn name(pid: u32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(text(name.strip_suffix(b"\n").unwrap_or(&name)))
}

/// Bytes up to the first zero, as text.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The path of its control group.
pub(super) fn cgroup_of(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    cgroup::path(&text).map(str::to_owned)
}

/// The container in a path.
pub(super) fn container_in(cgroup: &Option<String>) -> Option<String> {
    container::id(cgroup.as_deref()?).map(str::to_owned)
}

/// When it was started, in nanoseconds of CLOCK_BOOTTIME, to the hundredth of a second.
fn started_ns(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    start_ticks(&stat).map(|ticks| ticks * 10_000_000)
}

/// Field 22 of `/proc/PID/stat` (proc_pid_stat(5)); the name before may hold anything. USER_HZ is
/// 100 on all architectures that are supported.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Whether the process with this id existed at a time of CLOCK_MONOTONIC, and still does.
pub(super) fn existed(pid: u32, at_ns: u64) -> bool {
    let asleep = clock::boot_ns().saturating_sub(clock::monotonic_ns());
    started_ns(pid).is_some_and(|started| started <= at_ns.saturating_add(asleep))
}

/// Inodes of the sockets that a process holds, of its first `most` descriptors.
pub(super) fn sockets(pid: u32, most: usize) -> impl Iterator<Item = u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.take(most).filter_map(|entry| socket_inode(fs::read_link(entry.path()).ok()?.to_str()?))
}

/// `socket:[INODE]`.
fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Its children.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Inode of the network namespace that it stands in.
pub(super) fn netns(pid: u32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}/ns/net")).ok()?.ino().try_into().ok()
}

/// Whether process ids here are those of the initial pid namespace (PROC_PID_INIT_INO), which the
/// kernel's statements use.
pub(super) fn is_initial() -> bool {
    const INITIAL: u64 = 0xeffffffc;
    fs::metadata("/proc/self/ns/pid").is_ok_and(|namespace| namespace.ino() == INITIAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_hide_the_start_time() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 0 0 0 1 2 0 0 20 0 1 0 4242 1 2";
        assert_eq!(start_ticks(stat), Some(4242));
        assert_eq!(start_ticks("7 (a"), None);
    }

    #[test]
    fn only_links_to_sockets_have_an_inode() {
        assert_eq!(socket_inode("socket:[4711]"), Some(4711));
        for other in ["pipe:[1]", "/dev/null", "socket:[]", "anon_inode:[eventfd]"] {
            assert_eq!(socket_inode(other), None);
        }
    }

    #[test]
    fn this_very_process_is_described() {
        let pid = std::process::id();
        let me = look(pid, KnownBy::SocketOwner).unwrap();
        assert!(!me.name.is_empty() && me.uid.is_some());
        assert!(existed(pid, u64::MAX / 2) && !existed(pid, 0));
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inode =
            fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&socket)))
                .unwrap();
        let inode = socket_inode(inode.to_str().unwrap()).unwrap();
        assert!(sockets(pid, 4096).any(|other| other == inode));
    }
}
