//! The control group of a process, as a path.
//!
//! In: what `/proc/PID/cgroup` says, or the id that the kernel gave when the process is gone. Out:
//! the path below the root of the hierarchy.

use std::{
    fs::File,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::Path,
};

use super::container;

/// The path in the text of `/proc/PID/cgroup`, lines of `ID:CONTROLLERS:PATH` (cgroups(7)).
///
/// The unified hierarchy has the id 0. Where a system still uses the old ones for its containers,
/// the path of a container counts, else systemd's.
pub(super) fn path(text: &str) -> Option<&str> {
    let lines = || {
        text.lines().filter_map(|line| {
            let (id, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            Some((id, controllers, path))
        })
    };
    let unified = lines().find(|(id, ..)| *id == "0").map(|(.., path)| path);
    let is_told = |path: &&str| *path != "/";
    unified
        .filter(is_told)
        .or_else(|| lines().map(|(.., path)| path).find(|path| container::of(path).is_some()))
        .or_else(|| {
            lines().find(|(_, controllers, _)| *controllers == "name=systemd").map(|(.., p)| p)
        })
        .filter(is_told)
        .or(unified)
}

/// `FILEID_KERNFS` of linux/exportfs.h: the handle is the id of the node, 64 bits.
const FILEID_KERNFS: libc::c_int = 0xfe;

/// `struct file_handle` with its eight bytes.
#[repr(C)]
struct Handle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    id: u64,
}

/// The path of the control group with this id, while its directory exists (from Linux 5.5).
pub(super) fn by_id(id: u64) -> Option<String> {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].iter().find_map(|mount| below(mount, id))
}

fn below(mount: &str, id: u64) -> Option<String> {
    let root = File::open(mount).ok()?;
    let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, id };
    // SAFETY: `handle` is laid out as `struct file_handle` with the eight bytes that it announces,
    // and lives through the call; the kernel only reads it.
    let fd = unsafe {
        libc::open_by_handle_at(
            root.as_raw_fd(),
            (&raw mut handle).cast::<libc::file_handle>(),
            libc::O_PATH | libc::O_CLOEXEC,
        )
    };
    if fd < 0 {
        return None;
    }
    // SAFETY: the kernel gave this descriptor just now, and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let path = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
    let path = path.strip_prefix(mount).ok()?;
    Some(Path::new("/").join(path).to_string_lossy().into_owned())
}

/// The id of the control group at this path of the unified hierarchy: the inode of its directory.
#[cfg(test)]
fn id_of(mount: &str, path: &str) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(format!("{mount}{path}")).ok().map(|directory| directory.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f1c2d9be0a7f6c35d2e8b1a90c4d7e6f5a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9";

    #[test]
    fn the_unified_path_is_taken_if_it_tells_something() {
        assert_eq!(path("0::/system.slice/nginx.service\n"), Some("/system.slice/nginx.service"));
        let hybrid = "12:memory:/a\n1:name=systemd:/b.service\n0::/c.service\n";
        assert_eq!(path(hybrid), Some("/c.service"));
        assert_eq!(path("0::/\n"), Some("/"));
        assert_eq!(path(""), None);
        assert_eq!(path("nonsense"), None);
    }

    #[test]
    fn old_hierarchies_tell_the_container_and_else_the_service() {
        let docker = format!("9:name=systemd:/\n4:memory:/docker/{ID}\n0::/\n");
        assert_eq!(path(&docker), Some(format!("/docker/{ID}").as_str()));
        let service = "4:memory:/\n1:name=systemd:/system.slice/sshd.service\n0::/\n";
        assert_eq!(path(service), Some("/system.slice/sshd.service"));
    }

    #[test]
    fn a_group_is_found_by_its_id_where_the_kernel_can() {
        for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let is_unified = Path::new(mount).join("cgroup.controllers").exists();
            // Without CAP_DAC_READ_SEARCH nothing is found, which is no failure.
            if let (true, Some(id)) = (is_unified, id_of(mount, "/"))
                && let Some(path) = by_id(id)
            {
                assert_eq!(path, "/");
            }
        }
        assert_eq!(by_id(u64::MAX), None);
    }
}
