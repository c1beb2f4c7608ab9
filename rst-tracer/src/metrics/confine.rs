//! Takes from the thread that hears strangers what it does not need: files, and sockets of its own.
//!
//! Landlock confines single threads (Linux 5.13; TCP from 6.7). The one that serves metrics reads no file and calls
//! nobody: it answers on a socket that is open already. The others cannot be confined so: whoever is may not look
//! into `/proc/PID/fd` of others, and no process would be named (docs/decisions/0008).

use anyhow::Result;
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
};

/// How far the kernel confines the thread that called [`confine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confined {
    /// No file can be opened, and no TCP port bound or called.
    FilesAndSockets,
    /// No file can be opened.
    Files,
    /// The kernel has no Landlock.
    Not,
}

/// Confines the calling thread for good, as far as the kernel can.
///
/// # Errors
/// When the kernel has Landlock and refuses.
pub(super) fn confine() -> Result<Confined> {
    const SOCKETS: ABI = ABI::V4;
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(SOCKETS))?;
    let status = rules.create()?.restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Confined::FilesAndSockets,
        RulesetStatus::PartiallyEnforced => Confined::Files,
        RulesetStatus::NotEnforced => Confined::Not,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::ErrorKind,
        net::{TcpListener, TcpStream},
        thread,
    };

    use super::*;

    #[test]
    fn who_is_confined_opens_no_file_and_calls_nobody_and_others_do() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let confined = thread::spawn(move || {
            let confined = confine().unwrap();
            let file = File::open("/proc/version").map(drop).map_err(|error| error.kind());
            let call = TcpStream::connect(address).map(drop).map_err(|error| error.kind());
            (confined, file, call)
        });
        let (confined, file, call) = confined.join().unwrap();
        let refused = Err(ErrorKind::PermissionDenied);
        match confined {
            Confined::FilesAndSockets => assert_eq!((file, call), (refused, refused)),
            Confined::Files => assert_eq!(file, refused),
            Confined::Not => {
                eprintln!("SKIPPED: this kernel has no Landlock; nothing was confined")
            }
        }
        assert!(File::open("/proc/version").is_ok() && TcpStream::connect(address).is_ok());
    }
}
