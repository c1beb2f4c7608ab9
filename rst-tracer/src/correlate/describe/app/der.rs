//! As much of ASN.1's distinguished encoding (X.690) as the first bytes of LDAP and Kerberos need.

/// One element: its tag, the length of its contents, and what was kept of them and behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) length: u32,
    pub(super) rest: &'a [u8],
    /// How many bytes tag and length take.
    pub(super) header: u32,
}

/// Reads the element that begins here. Lengths of up to four bytes, longer than need be or not:
/// Active Directory always takes four.
pub(super) fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&tag, behind) = bytes.split_first()?;
    let (&first, behind) = behind.split_first()?;
    if first < 0x80 {
        return Some(Element { tag, length: first.into(), rest: behind, header: 2 });
    }
    let count = usize::from(first & 0x7f);
    if !(1..=4).contains(&count) || behind.len() < count {
        return None;
    }
    let (length, rest) = behind.split_at(count);
    let length = length.iter().fold(0, |length, &byte| length << 8 | u32::from(byte));
    Some(Element { tag, length, rest, header: 2 + count as u32 })
}
