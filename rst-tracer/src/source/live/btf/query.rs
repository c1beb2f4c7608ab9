//! The questions asked of BTF: enum values, member places, tracepoint arguments.
//!
//! Answers are `None` when this kernel has no such thing, never a guess.

use super::{Btf, Kind, Type};

/// Chains of typedefs end long before; a damaged file may go round in circles.
const DEEPEST: usize = 32;
/// Anonymous structs and unions inside each other, likewise.
const DEEPEST_ANONYMOUS: usize = 8;

/// Where a struct member lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bits from the start of the outermost struct.
    pub bit_offset: u32,
    /// Size in bits: of the bit field, or of the member's type.
    pub bits: u32,
}

impl Member {
    /// Bytes from the start of the outermost struct; `None` for a bit field that begins inside
    /// a byte.
    pub fn offset(self) -> Option<u32> {
        self.bit_offset.is_multiple_of(8).then_some(self.bit_offset / 8)
    }

    fn behind(self, bits: u32) -> Option<Self> {
        Some(Self { bit_offset: self.bit_offset.checked_add(bits)?, ..self })
    }
}

/// An argument of a tracepoint, in the order in which a BTF program receives it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Argument {
    /// Its name in the kernel source, where BTF keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its C type, e.g. `const struct sock *`.
    #[serde(rename = "type")]
    pub c_type: String,
}

impl Btf {
    /// The names and values of an enum, in source order.
    pub fn enum_values(&self, name: &str) -> Option<Vec<(String, i64)>> {
        let enums = &[Kind::ENUM, Kind::ENUM64];
        self.values_of(self.named(name, enums).find(|t| t.entries > 0)?)
    }

    /// The same of the first enum that has a value of this name: some enums have none themselves.
    pub fn enum_with(&self, value: &str) -> Option<Vec<(String, i64)>> {
        let enums = self.types().filter(|t| matches!(t.kind, Kind::ENUM | Kind::ENUM64));
        let has = |t: &Type| {
            let stride = if t.kind == Kind::ENUM64 { 12 } else { 8 };
            let name = |i: usize| Some(self.string(self.word(t.tail + i * stride)?));
            (0..t.entries).any(|i| name(i) == Some(value))
        };
        self.values_of(enums.into_iter().find(has)?)
    }

    fn values_of(&self, found: Type) -> Option<Vec<(String, i64)>> {
        let entry = |t: Type, i: usize| {
            let wide = t.kind == Kind::ENUM64;
            let at = t.tail + i * if wide { 12 } else { 8 };
            let low = self.word(at + 4)?;
            let value = match (wide, t.flag) {
                (true, _) => (i64::from(self.word(at + 8)?) << 32) | i64::from(low),
                // The kind flag of an enum says that its values are signed.
                (false, true) => i64::from(low.cast_signed()),
                (false, false) => i64::from(low),
            };
            Some((self.string(self.word(at)?).to_owned(), value))
        };
        (0..found.entries).map(|i| entry(found, i)).collect()
    }

    /// The place of a member of a struct or union. `path` may go through embedded structs by
    /// dots (`__sk_common.skc_state`); anonymous ones are looked through.
    pub fn member(&self, container: &str, path: &str) -> Option<Member> {
        let outer = self.named(container, &[Kind::STRUCT, Kind::UNION]).find(|t| t.entries > 0)?;
        let mut steps = path.split('.');
        let (mut place, mut inner) = self.member_of(outer, steps.next()?, DEEPEST_ANONYMOUS)?;
        for step in steps {
            let (next, deeper) = self.member_of(self.resolved(inner)?, step, DEEPEST_ANONYMOUS)?;
            place = next.behind(place.bit_offset)?;
            inner = deeper;
        }
        Some(place)
    }

    /// The arguments of the tracepoint of this name, without the leading `void *__data`.
    pub fn tracepoint(&self, name: &str) -> Option<Vec<Argument>> {
        let typedef = self.named(&format!("btf_trace_{name}"), &[Kind::TYPEDEF]).next()?;
        let pointer = self.type_of(typedef.size_or_type).filter(|t| t.kind == Kind::PTR)?;
        let prototype = self.type_of(pointer.size_or_type)?;
        // The typedef has the types; names are kept with the function of the same shape, unless
        // several tracepoints share one.
        let named = self
            .named(&format!("__bpf_trace_{name}"), &[Kind::FUNC])
            .next()
            .and_then(|function| self.type_of(function.size_or_type))
            .filter(|p| p.kind == Kind::FUNC_PROTO && p.entries == prototype.entries);
        if prototype.kind != Kind::FUNC_PROTO {
            return None;
        }
        (1..prototype.entries)
            .map(|i| {
                let name = named.and_then(|p| self.word(p.tail + i * 8));
                Some(Argument {
                    name: name.map(|n| self.string(n).to_owned()).filter(|n| !n.is_empty()),
                    c_type: self.describe(self.word(prototype.tail + i * 8 + 4)?, DEEPEST),
                })
            })
            .collect()
    }

    fn named(&self, name: &str, kinds: &[Kind]) -> impl Iterator<Item = Type> {
        self.types().filter(move |t| kinds.contains(&t.kind) && self.string(t.name) == name)
    }

    /// A member by name and its type, looking through anonymous structs and unions.
    fn member_of(&self, outer: Type, name: &str, depth: usize) -> Option<(Member, u32)> {
        if depth == 0 || !matches!(outer.kind, Kind::STRUCT | Kind::UNION) {
            return None;
        }
        (0..outer.entries).find_map(|i| {
            let at = outer.tail + i * 12;
            let (label, type_id) = (self.word(at)?, self.word(at + 4)?);
            let raw = self.word(at + 8)?;
            // With the kind flag the upper byte is the width of a bit field.
            let (bit_offset, width) =
                if outer.flag { (raw & 0xff_ffff, raw >> 24) } else { (raw, 0) };
            match self.string(label) {
                "" => {
                    let (inner, id) = self.member_of(self.resolved(type_id)?, name, depth - 1)?;
                    Some((inner.behind(bit_offset)?, id))
                }
                found if found == name => {
                    let bits = match width {
                        0 => self.size(type_id, DEEPEST)?.checked_mul(8)?,
                        width => width,
                    };
                    Some((Member { bit_offset, bits }, type_id))
                }
                _ => None,
            }
        })
    }

    /// Follows typedefs and qualifiers to the type they stand for.
    fn resolved(&self, id: u32) -> Option<Type> {
        let first = self.type_of(id);
        std::iter::successors(first, |t| match t.kind {
            Kind::TYPEDEF | Kind::CONST | Kind::VOLATILE | Kind::RESTRICT | Kind::TYPE_TAG => {
                self.type_of(t.size_or_type)
            }
            _ => None,
        })
        .take(DEEPEST)
        .last()
    }

    /// Size in bytes.
    fn size(&self, id: u32, depth: usize) -> Option<u32> {
        let t = self.resolved(id)?;
        match t.kind {
            Kind::PTR => Some(size_of::<usize>() as u32),
            Kind::ARRAY if depth > 0 => {
                self.size(self.word(t.tail)?, depth - 1)?.checked_mul(self.word(t.tail + 8)?)
            }
            Kind::INT | Kind::STRUCT | Kind::UNION | Kind::ENUM | Kind::ENUM64 | Kind::FLOAT => {
                Some(t.size_or_type)
            }
            _ => None,
        }
    }

    /// A type as C writes it.
    fn describe(&self, id: u32, depth: usize) -> String {
        let Some(t) = self.type_of(id).filter(|_| depth > 0) else { return "void".into() };
        let name = self.string(t.name);
        let under = || self.describe(t.size_or_type, depth - 1);
        match t.kind {
            Kind::PTR => match under() {
                pointee if pointee.ends_with('*') => format!("{pointee}*"),
                pointee => format!("{pointee} *"),
            },
            Kind::CONST => format!("const {}", under()),
            Kind::VOLATILE => format!("volatile {}", under()),
            Kind::RESTRICT | Kind::TYPE_TAG => under(),
            Kind::STRUCT | Kind::FWD => format!("struct {name}"),
            Kind::UNION => format!("union {name}"),
            Kind::ENUM | Kind::ENUM64 => format!("enum {name}"),
            Kind::FUNC_PROTO => "function".into(),
            _ if name.is_empty() => format!("type {}", t.id),
            _ => name.to_owned(),
        }
    }
}
