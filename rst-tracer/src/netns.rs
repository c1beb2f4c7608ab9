//! Tracing in another network namespace than the one it was started in.
//!
//! In: a name of `ip netns`, a path, or the id of a process. Out: the calling thread stands there, and so does every thread
//! that it starts. Nothing else changes: unlike `ip netns exec`, which mounts /sys anew, it hides neither bpffs nor cgroups.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sched::{CloneFlags, setns},
};

use crate::exit::{Code, Failure};

/// Where `ip netns add` leaves its names (ip-netns(8)).
const NAMED: &str = "/run/netns";

/// Moves the calling thread there.
///
/// # Errors
/// Says that there is no such namespace, or with exit code 77 that it is not permitted.
pub fn enter(which: &str) -> Result<(), Failure> {
    let path = path_of(which);
    let file = File::open(&path).map_err(|error| {
        let what = format!("--netns {which}: cannot open {}: {error}", path.display());
        match error.kind() {
            ErrorKind::PermissionDenied => Failure::new(
                Code::NO_PERMISSION,
                format!("{what}; run as root (CAP_SYS_PTRACE for those of processes)"),
            ),
            _ => Failure::new(Code::FAILURE, format!("{what}; {}", help(which))),
        }
    })?;
    setns(&file, CloneFlags::CLONE_NEWNET).map_err(|errno| match errno {
        Errno::EPERM => {
            let what = format!("--netns {which}: no permission to enter it: run as root");
            Failure::new(Code::NO_PERMISSION, format!("{what} (CAP_SYS_ADMIN)"))
        }
        Errno::EINVAL => {
            let what = format!("--netns {which}: {} is no network namespace", path.display());
            Failure::new(Code::FAILURE, format!("{what}; {}", help(which)))
        }
        other => Failure::new(Code::FAILURE, format!("--netns {which}: cannot enter it: {other}")),
    })
}

/// All digits are the id of a process, as a name with a slash is a path.
fn path_of(which: &str) -> PathBuf {
    if which.contains('/') {
        return which.into();
    }
    if is_process(which) {
        return format!("/proc/{which}/ns/net").into();
    }
    Path::new(NAMED).join(which)
}

fn is_process(which: &str) -> bool {
    !which.is_empty() && which.bytes().all(|byte| byte.is_ascii_digit())
}

/// What to write instead.
fn help(which: &str) -> &'static str {
    match which {
        path if path.contains('/') => "name a file such as /proc/PID/ns/net",
        id if is_process(id) => "there is no such process",
        _ => "`ip netns list` says which there are; the id of a process in it will do, too",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_a_path_and_a_process_are_told_apart() {
        assert_eq!(path_of("blue"), Path::new("/run/netns/blue"));
        assert_eq!(path_of("812"), Path::new("/proc/812/ns/net"));
        assert_eq!(path_of("./812"), Path::new("./812"));
        assert_eq!(path_of("/proc/1/ns/net"), Path::new("/proc/1/ns/net"));
    }

    #[test]
    fn what_is_no_namespace_is_said_with_what_to_write_instead() {
        for (which, told) in [
            (
                "no-such",
                "cannot open /run/netns/no-such: No such file or directory (os error 2); `ip netns list` says",
            ),
            (
                "4294967295",
                "cannot open /proc/4294967295/ns/net: No such file or directory (os error 2); there is no such process",
            ),
            (
                "/dev/null",
                "/dev/null is no network namespace; name a file such as /proc/PID/ns/net",
            ),
        ] {
            let failure = enter(which).expect_err("it is none");
            assert_eq!(failure.code, Code::FAILURE);
            assert!(failure.message.starts_with(&format!("--netns {which}: {told}")), "{failure}");
        }
    }
}
