//! Packages that bring a service: it neither starts when it is installed nor at the next boot.
//!
//! Comes in: the work of installing. Goes out: the same work, done while Debian's own switch
//! (`policy-rc.d`) forbids services to start; then the switch is as it was before.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::run;

/// What Debian asks before it starts a service; 101 is "forbidden".
const POLICY: &str = "/usr/sbin/policy-rc.d";
const FORBIDDEN: i32 = 101;
const FORBIDS: &str =
    "#!/bin/sh\n# Left by rst-tracer's xtask if it was killed: remove it.\nexit 101\n";

/// Does `install`, which brings these services, and keeps them from running now and later.
///
/// # Errors
/// When the machine has a policy of its own that would let one start (nothing is installed then),
/// and what `install` returns.
pub(crate) fn kept_down(services: &[&str], install: impl FnOnce() -> Result<()>) -> Result<()> {
    if services.is_empty() {
        return install();
    }
    let policy = Policy::forbid(Path::new(POLICY), services)?;
    install()?;
    drop(policy);
    for service in services.iter().filter(|service| starts_at_boot(Path::new("/etc"), service)) {
        run(Command::new("update-rc.d").args([service, "disable"]))
            .with_context(|| format!("{service} would start at the next boot"))?;
    }
    Ok(())
}

/// Whether the next boot would start a service: by a link of a runlevel, or of a target of systemd. Where nothing
/// would, `update-rc.d` has nothing to disable and fails (iperf3, which asks before it links itself).
fn starts_at_boot(etc: &Path, service: &str) -> bool {
    let names = |folder: PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok())
    };
    let by_runlevel = |level: u8| {
        let mut links = names(etc.join(format!("rc{level}.d")));
        links.any(|link| link.starts_with('S') && link.get(3..) == Some(service))
    };
    let unit = format!("{service}.service");
    let mut targets = names(etc.join("systemd/system"));
    (2..=5).any(by_runlevel)
        || targets.any(|target| {
            target.ends_with(".wants")
                && names(etc.join("systemd/system").join(target)).any(|link| link == unit)
        })
}

/// The switch; dropping it removes it, if it is ours.
struct Policy(Option<PathBuf>);

impl Policy {
    fn forbid(path: &Path, services: &[&str]) -> Result<Self> {
        // A file that is there is never overwritten: it is the administrator's.
        let new = OpenOptions::new().write(true).create_new(true).mode(0o755).open(path);
        match new {
            Ok(mut file) => {
                let policy = Self(Some(path.to_owned()));
                // Whatever the umask says.
                fs::set_permissions(path, Permissions::from_mode(0o755))
                    .and_then(|()| file.write_all(FORBIDS.as_bytes()))
                    .with_context(|| format!("writing {}", path.display()))?;
                Ok(policy)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                for service in services {
                    let answer = Command::new(path).args([service, "start"]).status();
                    let answer = answer.with_context(|| format!("asking {}", path.display()))?;
                    if answer.code() != Some(FORBIDDEN) {
                        bail!(
                            "{} would let {service} start; install it by hand, and stop it",
                            path.display()
                        );
                    }
                }
                Ok(Self(None))
            }
            Err(error) => Err(error).with_context(|| format!("making {}", path.display())),
        }
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = fs::remove_file(path)
        {
            eprintln!("warning: {} stays and forbids all services: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of this test's own, with nothing there.
    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::remove_file(&path).ok();
        path
    }

    /// By way of sh: a file that this process has just written may be busy in a fork of it.
    fn answer_of(path: &Path) -> Option<i32> {
        Command::new("sh").arg(path).args(["nginx", "start"]).status().unwrap().code()
    }

    #[test]
    fn services_are_forbidden_until_the_work_is_done() {
        let path = path("policy-of-ours");
        let policy = Policy::forbid(&path, &["nginx"]).unwrap();
        assert_eq!(answer_of(&path), Some(FORBIDDEN));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
        drop(policy);
        assert!(!path.exists());
    }

    #[test]
    fn what_nothing_links_does_not_start_at_the_next_boot() {
        let etc = path("etc-of-ours");
        let link = |at: &str| {
            let at = etc.join(at);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, "").unwrap();
        };
        link("rc2.d/S01nginx");
        link("rc2.d/K01haproxy");
        link("systemd/system/multi-user.target.wants/redis.service");
        link("systemd/system/squid.service");
        let started = ["nginx", "haproxy", "redis", "squid", "iperf3"]
            .map(|service| starts_at_boot(&etc, service));
        fs::remove_dir_all(&etc).unwrap();
        assert_eq!(started, [true, false, true, false, false]);
    }

    #[test]
    fn a_policy_of_the_administrator_stays_and_decides() {
        for (says, allowed) in [("exit 101", true), ("exit 0", false)] {
            let path = path("policy-of-theirs");
            let write = format!("printf '#!/bin/sh\\n{says}\\n' > \"$0\"; chmod 755 \"$0\"");
            Command::new("sh").args(["-c", &write]).arg(&path).status().unwrap();
            let policy = Policy::forbid(&path, &["nginx"]);
            assert_eq!(policy.is_ok(), allowed, "{says}");
            drop(policy);
            assert!(path.exists());
            fs::remove_file(&path).unwrap();
        }
    }
}
