//! What `/proc` says about a process, and which sockets it holds.

use std::{fs, os::unix::fs::MetadataExt, sync::LazyLock};

use sha1::{Digest, Sha1};

use super::{cgroup, container};
use crate::{
    clock,
    event::{KnownBy, Process, Timestamp},
};

/// A hundredth of a second: USER_HZ is 100 on all architectures that are supported.
const TICK_NS: u64 = 10_000_000;

/// All processes that are seen.
pub(super) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A process as it is now.
pub(super) fn look(pid: u32, known_by: KnownBy) -> Option<Process> {
    let uid = fs::metadata(format!("/proc/{pid}")).ok().map(|directory| directory.uid());
    Some(Living::now(pid)?.as_owner(known_by, uid))
}

/// What there is to say of a process while it lives.
pub(super) struct Living {
    /// How it is known is not.
    process: Process,
    /// In hundredths of a second of CLOCK_BOOTTIME.
    started: Option<u64>,
}

impl Living {
    /// The process as it is now.
    pub(super) fn now(pid: u32) -> Option<Self> {
        // First, so that what follows is not of an earlier process with this id.
        let started = started(pid);
        let mut process = bare(pid, name(pid)?, cgroup_of(pid));
        process.executable = executable(pid);
        process.start = started.map(wall_time);
        process.entity_id = started.map(|started| entity_id(pid, started));
        Some(Self { process, started })
    }

    /// Whether it existed at a time of CLOCK_MONOTONIC.
    pub(super) fn existed(&self, at_ns: u64) -> bool {
        self.started.is_some_and(|started| was_before(started, at_ns))
    }

    /// Whether its control group is known.
    pub(super) fn is_placed(&self) -> bool {
        self.process.cgroup.is_some()
    }

    /// Puts it into a control group, and so into a container.
    pub(super) fn place(&mut self, cgroup: Option<String>) {
        place(&mut self.process, cgroup);
    }

    /// The process as the owner of a socket.
    pub(super) fn as_owner(&self, known_by: KnownBy, uid: Option<u32>) -> Process {
        Process { known_by, uid, ..self.process.clone() }
    }
}

/// A process of which no more is known.
pub(super) fn bare(pid: u32, name: String, cgroup: Option<String>) -> Process {
    let mut process = Process::bare(pid, name);
    place(&mut process, cgroup);
    process
}

fn place(process: &mut Process, cgroup: Option<String>) {
    let path = cgroup.as_deref();
    let container = path.and_then(container::of);
    process.container_id = container.as_ref().map(|container| container.id.to_owned());
    process.container_runtime = container.and_then(|container| container.runtime).map(Into::into);
    process.pod_uid = path.and_then(container::pod);
    process.cgroup = cgroup;
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

/// The path of its program. What was replaced since, as by an upgrade, keeps its path: the kernel's mark is left out.
/// Threads of the kernel have none, and who may not look into a process does not see it.
fn executable(pid: u32) -> Option<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let path = path.to_string_lossy();
    Some(path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned())
}

/// When it was started, in hundredths of a second of CLOCK_BOOTTIME.
fn started(pid: u32) -> Option<u64> {
    start_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// That time on the clock on the wall, as it goes now.
fn wall_time(started: u64) -> Timestamp {
    let booted_ns = clock::epoch_ns().saturating_sub(clock::boot_ns());
    let ticks = (booted_ns + TICK_NS / 2) / TICK_NS;
    Timestamp(ticks.saturating_add(started).saturating_mul(TICK_NS))
}

/// What no other process has, on this host or another one: 32 hexadecimal digits.
fn entity_id(pid: u32, started: u64) -> String {
    /// This boot of the host, and the pid namespace in which the ids count.
    static BOOT: LazyLock<(Vec<u8>, u64)> = LazyLock::new(|| {
        let boot_id = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        (boot_id, own_pid_namespace().unwrap_or_default())
    });
    let (boot_id, namespace) = &*BOOT;
    let mut hash = Sha1::new();
    hash.update(boot_id);
    hash.update(namespace.to_be_bytes());
    hash.update(pid.to_be_bytes());
    hash.update(started.to_be_bytes());
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
    hash.finalize()[..16].iter().flat_map(|&byte| [digit(byte >> 4), digit(byte)]).collect()
}

/// Field 22 of `/proc/PID/stat` (proc_pid_stat(5)); the name before may hold anything.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Whether the process with this id existed at a time of CLOCK_MONOTONIC, and still does.
pub(super) fn existed(pid: u32, at_ns: u64) -> bool {
    started(pid).is_some_and(|started| was_before(started, at_ns))
}

/// Whether a start was before a time of CLOCK_MONOTONIC.
fn was_before(started: u64, at_ns: u64) -> bool {
    let asleep = clock::boot_ns().saturating_sub(clock::monotonic_ns());
    started * TICK_NS <= at_ns.saturating_add(asleep)
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
    own_pid_namespace() == Some(INITIAL)
}

fn own_pid_namespace() -> Option<u64> {
    fs::metadata("/proc/self/ns/pid").ok().map(|namespace| namespace.ino())
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
    fn each_process_has_an_id_of_its_own() {
        let ids = [(7, 4242), (8, 4242), (7, 4243)].map(|(pid, started)| entity_id(pid, started));
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2], "{ids:?}");
        assert_eq!(ids[0], entity_id(7, 4242));
    }

    #[test]
    fn a_program_that_was_replaced_keeps_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sleep");
        fs::copy("/bin/sleep", &path).unwrap();
        let mut child = std::process::Command::new(&path).arg("60").spawn().unwrap();
        fs::remove_file(&path).unwrap();
        let seen = executable(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen.as_deref(), path.to_str());
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
        let program = std::env::current_exe().unwrap();
        assert_eq!(me.executable.as_deref(), program.to_str());
        let age_ns = clock::epoch_ns() - me.start.unwrap().0;
        assert!(age_ns < 3_600_000_000_000 && age_ns > 0, "{age_ns} ns");
        assert_eq!(me.entity_id, look(pid, KnownBy::Listener).unwrap().entity_id);
        assert_eq!(me.entity_id.unwrap().len(), 32);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inode =
            fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&socket)))
                .unwrap();
        let inode = socket_inode(inode.to_str().unwrap()).unwrap();
        assert!(sockets(pid, 4096).any(|other| other == inode));
    }
}
