//! Giving up what root may, once everything is attached and open.
//!
//! In: whom to become. Out: a process that is somebody else, with the few capabilities that a running trace
//! needs, and no way to more. Capabilities belong to threads: this is for the only one, and those that are
//! started later inherit what is left. Had there been others, they would have lost all capabilities with the user.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use caps::{CapSet, Capability, CapsHashSet};
use nix::{
    fcntl::{AT_FDCWD, AtFlags},
    sys::prctl,
    unistd::{AccessFlags, Gid, Uid, faccessat, geteuid, setgroups, setresgid, setresuid},
};

use crate::{
    cli::PrivilegeArgs,
    exit::{Code, Failure},
};

/// What a running trace needs: interfaces that appear later are attached to, maps are read, and the processes
/// of others are looked at.
const KEPT: [Capability; 5] = [
    Capability::CAP_BPF,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_PERFMON,
    Capability::CAP_SYS_PTRACE,
    Capability::CAP_DAC_READ_SEARCH,
];

/// Whom root becomes unless told otherwise, and its number where there is no list of users.
const NOBODY: &str = "nobody";
const NOBODYS_ID: u32 = 65_534;

/// The users of this host. The C library is not asked: for this it loads what /etc/nsswitch.conf names, and in a static
/// program, which is what we ship, that ends in a segmentation fault.
const USERS: &str = "/etc/passwd";

/// Whom to become.
#[derive(Debug)]
struct User {
    name: String,
    uid: Uid,
    gid: Gid,
}

/// Who the process is, now that it is less.
#[derive(Debug)]
pub struct Less {
    /// Whom it became.
    user: Option<User>,
    kept: CapsHashSet,
    /// Why it still is root, though nobody asked for that.
    trouble: Option<String>,
}

/// Becomes another user, and keeps only what a running trace needs.
///
/// # Errors
/// When there is no such user, or the kernel refuses. Without CAP_SETUID and CAP_SETGID, as in a container, root
/// stays root unless a user was named.
pub fn give_up(args: &PrivilegeArgs) -> Result<Option<Less>> {
    if args.no_drop {
        return Ok(None);
    }
    let kept = kept()?;
    close_bounding_set(&kept)?;
    let mut less = Less { user: None, kept, trouble: None };
    match (&args.user, geteuid().is_root()) {
        (Some(name), _) => less.user = Some(become_user(name)?),
        (None, true) => match become_user(NOBODY) {
            Ok(user) => less.user = Some(user),
            Err(error) => less.trouble = Some(format!("{error:#}")),
        },
        (None, false) => {}
    }
    // The effective set may hold nothing that the permitted one does not.
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &less.kept).context("cannot give up capabilities")?;
    }
    for set in [CapSet::Inheritable, CapSet::Ambient] {
        caps::clear(None, set).context("cannot give up capabilities")?;
    }
    prctl::set_no_new_privs().context("cannot give up new privileges")?;
    Ok(Some(less))
}

/// What is kept of what there is.
fn kept() -> Result<CapsHashSet> {
    let has = caps::read(None, CapSet::Permitted).context("cannot read the own capabilities")?;
    let mut kept: CapsHashSet = KEPT.into_iter().filter(|one| has.contains(one)).collect();
    // It stands in for CAP_BPF and CAP_PERFMON where those are not there.
    if !has.contains(&Capability::CAP_BPF) && has.contains(&Capability::CAP_SYS_ADMIN) {
        kept.insert(Capability::CAP_SYS_ADMIN);
    }
    Ok(kept)
}

/// Nothing that is executed can get more than is kept. Where that may not be done, no_new_privs must do.
fn close_bounding_set(kept: &CapsHashSet) -> Result<()> {
    if !caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        return Ok(());
    }
    for capability in caps::runtime::thread_all_supported() {
        if !kept.contains(&capability) {
            caps::drop(None, CapSet::Bounding, capability)
                .with_context(|| format!("cannot give up {capability}"))?;
        }
    }
    Ok(())
}

/// Becomes this user, with what its permitted set holds.
fn become_user(name: &str) -> Result<User> {
    let user = find(name)?;
    let refused = || {
        let why = "only root can, with CAP_SETUID and CAP_SETGID";
        Failure::new(Code::NO_PERMISSION, format!("cannot become {name}: {why}"))
    };
    caps::securebits::set_keepcaps(true).context("cannot keep capabilities")?;
    setgroups(&[]).with_context(refused)?;
    setresgid(user.gid, user.gid, user.gid).with_context(refused)?;
    setresuid(user.uid, user.uid, user.uid).with_context(refused)?;
    caps::securebits::set_keepcaps(false).context("cannot keep capabilities")?;
    Ok(user)
}

/// A user by its name or its number, which need not be in the list of users.
fn find(name: &str) -> Result<User> {
    let text = fs::read(USERS).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let users = || text.lines().filter_map(User::parse);
    if let Some(user) = users().find(|user| user.name == name) {
        return Ok(user);
    }
    let nameless =
        |uid: u32| User { name: name.to_owned(), uid: Uid::from_raw(uid), gid: Gid::from_raw(uid) };
    if name == NOBODY {
        return Ok(nameless(NOBODYS_ID));
    }
    let unknown = || {
        let what =
            format!("there is no user {name} in {USERS}; one from elsewhere can be told by number");
        Failure::new(Code::FAILURE, what)
    };
    let uid: u32 = name.parse().map_err(|_| unknown())?;
    let known = users().find(|user| user.uid.as_raw() == uid);
    Ok(known.unwrap_or_else(|| nameless(uid)))
}

impl User {
    /// From a line such as `nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin`.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = Uid::from_raw(fields.nth(1)?.parse().ok()?);
        let gid = Gid::from_raw(fields.next()?.parse().ok()?);
        Some(Self { name, uid, gid })
    }
}

impl std::fmt::Display for Less {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut kept: Vec<String> = self.kept.iter().map(ToString::to_string).collect();
        kept.sort();
        match (&self.user, &self.trouble) {
            (Some(user), _) => write!(f, "now {} ({})", user.name, user.uid)?,
            (None, Some(trouble)) => write!(f, "still root: {trouble}")?,
            (None, None) => write!(f, "user {}", geteuid())?,
        }
        write!(f, ", with {}", if kept.is_empty() { "nothing".into() } else { kept.join(" ") })
    }
}

/// What is to be said about a file that is to be opened anew after a rotation, and cannot be.
pub fn rotation_trouble(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let needed = AccessFlags::W_OK | AccessFlags::X_OK;
    faccessat(AT_FDCWD, folder, needed, AtFlags::AT_EACCESS).err()?;
    Some(format!(
        "{}: this user may create no file there; whoever rotates {} must create it anew, writable by this user",
        folder.display(),
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_or_a_number() {
        assert_eq!(find("root").expect("there is root").uid.as_raw(), 0);
        assert_eq!(find("0").expect("by number").name, "root");
        assert_eq!(find("4242424").expect("any number").gid.as_raw(), 4_242_424);
        let told = find("no such").expect_err("none").to_string();
        assert!(told.starts_with("there is no user no such in /etc/passwd"), "{told}");
    }

    #[test]
    fn a_line_that_is_no_user_is_passed_over() {
        let user = User::parse("web:x:33:44::/var/www:/bin/sh").expect("a user");
        assert_eq!((&*user.name, user.uid.as_raw(), user.gid.as_raw()), ("web", 33, 44));
        for line in ["", "+::::::", "web", "web:x:33", "web:x:33:", "web:x:-1:44:", "# web:x"] {
            assert!(User::parse(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_folder_that_can_be_written_is_no_trouble() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(rotation_trouble(&folder.path().join("events")), None);
        let told = rotation_trouble(Path::new("/nowhere/events")).expect("trouble");
        assert!(told.starts_with("/nowhere: "), "{told}");
    }
}
