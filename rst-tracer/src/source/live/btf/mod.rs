//! A reader of BTF, the kernel's own description of its types.
//!
//! In goes `/sys/kernel/btf/vmlinux`, out come names and numbers of enums, places of struct
//! members and arguments of tracepoints, as *this* kernel has them. Every read is bounds checked.

use std::{fs, io, ops::Range, path::Path};

use anyhow::{Context, Result, bail, ensure};

mod query;

pub use query::{Argument, Member};

/// Where the running kernel keeps its BTF; needs `CONFIG_DEBUG_INFO_BTF`.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// The types of a kernel. Type 0 is `void`.
#[derive(Debug)]
pub struct Btf {
    bytes: Vec<u8>,
    strings: Range<usize>,
    /// Where each type begins in `bytes`; a type's id is its index here plus one.
    types: Vec<u32>,
}

/// The kinds of type, numbered as in the format. Open: a newer kernel may have more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind(u8);

impl Kind {
    const INT: Self = Self(1);
    const PTR: Self = Self(2);
    const ARRAY: Self = Self(3);
    const STRUCT: Self = Self(4);
    const UNION: Self = Self(5);
    const ENUM: Self = Self(6);
    const FWD: Self = Self(7);
    const TYPEDEF: Self = Self(8);
    const VOLATILE: Self = Self(9);
    const CONST: Self = Self(10);
    const RESTRICT: Self = Self(11);
    const FUNC: Self = Self(12);
    const FUNC_PROTO: Self = Self(13);
    const VAR: Self = Self(14);
    const DATASEC: Self = Self(15);
    const FLOAT: Self = Self(16);
    const DECL_TAG: Self = Self(17);
    const TYPE_TAG: Self = Self(18);
    const ENUM64: Self = Self(19);

    /// Bytes that follow the 12 common ones. <https://docs.kernel.org/bpf/btf.html>
    fn tail(self, entries: usize) -> Option<usize> {
        Some(match self {
            Self::INT | Self::VAR | Self::DECL_TAG => 4,
            Self::ARRAY => 12,
            Self::STRUCT | Self::UNION | Self::DATASEC | Self::ENUM64 => entries * 12,
            Self::ENUM | Self::FUNC_PROTO => entries * 8,
            Self::PTR | Self::FWD | Self::TYPEDEF | Self::VOLATILE | Self::CONST => 0,
            Self::RESTRICT | Self::FUNC | Self::FLOAT | Self::TYPE_TAG => 0,
            _ => return None,
        })
    }
}

/// The 12 bytes every type begins with, taken apart.
#[derive(Clone, Copy, Debug)]
struct Type {
    id: u32,
    name: u32,
    kind: Kind,
    flag: bool,
    entries: usize,
    /// A size in bytes or another type's id, by kind.
    size_or_type: u32,
    /// Where what follows the common part begins.
    tail: usize,
}

impl Btf {
    /// Reads the running kernel's BTF; `None` when it was built without.
    ///
    /// # Errors
    /// When the file is there and cannot be read or understood.
    pub fn of_running_kernel() -> Result<Option<Self>> {
        match fs::read(Path::new(VMLINUX)) {
            Ok(bytes) => Self::parse(bytes).with_context(|| format!("in {VMLINUX}")).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {VMLINUX}")),
        }
    }

    /// Indexes raw BTF in host byte order.
    ///
    /// # Errors
    /// When it is not BTF, cut short, or has a kind of type that is not known (its length would
    /// have to be guessed).
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        let word = |at: usize| u32_at(&bytes, at).context("BTF header cut short");
        ensure!(word(0)? & 0xffff == 0xeb9f, "not BTF in this machine's byte order");
        let header = word(4)? as usize;
        let section = |at: usize| -> Result<Range<usize>> {
            let start = header.checked_add(word(at)? as usize).context("BTF section overflows")?;
            let end = start.checked_add(word(at + 4)? as usize).context("BTF section overflows")?;
            ensure!(end <= bytes.len(), "BTF cut short");
            Ok(start..end)
        };
        let (types, strings) = (section(8)?, section(16)?);

        let mut index = Vec::new();
        let mut at = types.start;
        while at < types.end {
            let info = word(at + 4)?;
            let (kind, entries) = (Kind((info >> 24 & 0x1f) as u8), (info & 0xffff) as usize);
            let Some(tail) = kind.tail(entries) else {
                bail!("BTF type {} is of a kind ({}) not known here", index.len() + 1, kind.0);
            };
            index.push(at as u32);
            at += 12 + tail;
        }
        ensure!(at == types.end, "BTF types cut short");
        Ok(Self { bytes, strings, types: index })
    }

    fn types(&self) -> impl Iterator<Item = Type> {
        (1..=self.types.len() as u32).filter_map(|id| self.type_of(id))
    }

    fn type_of(&self, id: u32) -> Option<Type> {
        let at = *self.types.get(id.checked_sub(1)? as usize)? as usize;
        let info = self.word(at + 4)?;
        Some(Type {
            id,
            name: self.word(at)?,
            kind: Kind((info >> 24 & 0x1f) as u8),
            flag: info >> 31 == 1,
            entries: (info & 0xffff) as usize,
            size_or_type: self.word(at + 8)?,
            tail: at + 12,
        })
    }

    fn word(&self, at: usize) -> Option<u32> {
        u32_at(&self.bytes, at)
    }

    /// The string at this offset; empty for the anonymous.
    fn string(&self, offset: u32) -> &str {
        let strings = self.bytes.get(self.strings.clone()).unwrap_or_default();
        let rest = strings.get(offset as usize..).unwrap_or_default();
        let end = rest.iter().position(|&b| b == 0).unwrap_or(rest.len());
        str::from_utf8(&rest[..end]).unwrap_or_default()
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
