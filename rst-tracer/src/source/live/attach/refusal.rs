//! Why a hook could not be had, in words and as an exit code.

use std::{fmt, io};

use super::{How, plan::Step};
use crate::{
    exit::{Code, Failure},
    links::netlink,
};

/// `ENOTSUPP`, which some drivers return; never meant for userspace, so libc has no name for it.
const ENOTSUPP: i32 = 524;

/// One hook that was refused.
#[derive(Debug)]
pub(super) struct Refusal {
    what: String,
    words: String,
    code: Code,
    errno: Option<i32>,
}

impl Refusal {
    pub(super) fn new(what: impl fmt::Display, words: impl Into<String>) -> Self {
        Self { what: what.to_string(), words: words.into(), code: Code::FAILURE, errno: None }
    }

    /// From the error of the attaching call.
    pub(super) fn errno(how: How, error: &io::Error) -> Self {
        let errno = netlink::errno(error);
        let words = match errno {
            Some(libc::EOPNOTSUPP | ENOTSUPP) => "the driver cannot".into(),
            Some(libc::ERANGE) => "the MTU or the number of queues is too large for it".into(),
            Some(libc::ENOSPC | libc::ENOMEM) => format!("no room for its queues: {error}"),
            Some(libc::EEXIST) if how == How::Tcx => "this very program is attached already".into(),
            Some(libc::EEXIST) => "another program, perhaps on its master, is in the way".into(),
            Some(libc::EBUSY) => "another program is in the way".into(),
            Some(libc::ENODEV) => "the interface is gone".into(),
            Some(libc::EPERM | libc::EACCES) => "not permitted; it needs CAP_NET_ADMIN".into(),
            Some(libc::EINVAL) if how == How::NativeXdp || how == How::GenericXdp => {
                "the driver or the kernel (XDP links need Linux 5.9) finds it invalid".into()
            }
            _ => error.to_string(),
        };
        let code = match errno {
            Some(libc::EBUSY | libc::EEXIST) => Code::BUSY,
            Some(libc::EPERM | libc::EACCES) => Code::NO_PERMISSION,
            Some(libc::EOPNOTSUPP | ENOTSUPP | libc::EINVAL | libc::ERANGE) => Code::UNAVAILABLE,
            _ => Code::FAILURE,
        };
        Self { what: how.to_string(), words, code, errno }
    }

    /// The program itself is not in the kernel.
    pub(super) fn not_loaded(failure: &Failure) -> Self {
        Self {
            what: "the program".into(),
            words: failure.message.clone(),
            code: failure.code,
            errno: None,
        }
    }

    pub(super) fn with_words(self, words: String) -> Self {
        Self { words, ..self }
    }

    /// Whether the kernel does not know the hook, as opposed to knowing it and saying no.
    pub(super) fn is_unknown_to_the_kernel(&self) -> bool {
        matches!(self.errno, Some(libc::EINVAL | libc::EOPNOTSUPP | ENOTSUPP | libc::ERANGE))
    }

    /// Whether the next step of a plan would fail too, or do harm: another hook for a program
    /// that is attached already would count every packet twice.
    pub(super) fn rules_out_the_next(&self, step: Step) -> bool {
        match self.errno {
            Some(libc::EPERM | libc::EACCES | libc::ENODEV) => true,
            Some(libc::EEXIST) => step == Step::Traffic,
            _ => false,
        }
    }

    pub(super) fn words(&self) -> &str {
        &self.words
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused: {}", self.what, self.words)
    }
}
