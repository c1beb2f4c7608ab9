//! What hosts and networks are run with: desktops, shares, directories, names, routes.

use super::{Row, Talk, der, u16_at, u32_at};

pub(super) const ROWS: &[Row] = &[
    ("smb", |talk| is_smb(talk.client) || is_smb(talk.server)),
    ("rdp", is_rdp),
    ("ldap", is_ldap),
    ("kerberos", |talk| is_kerberos(talk.client) || is_kerberos(talk.server)),
    ("dns", is_dns),
    ("bgp", |talk| talk.client == [0xff; 16] || talk.server == [0xff; 16]),
    ("socks5", is_socks5),
];

/// A session message (RFC 1002 section 4.3.6; its type 0) with SMB 1 (0xff), SMB 2 and 3 (0xfe), or
/// either encrypted (0xfd) or compressed (0xfc) in it ([MS-SMB2] section 2.2).
fn is_smb(head: &[u8]) -> bool {
    matches!(head, [0, _, _, _, 0xfc..=0xff, b'S', b'M', b'B', ..])
}

/// TPKT (RFC 1006 section 6) with an X.224 connection request or confirm, and in that a cookie or a
/// negotiation ([MS-RDPBCGR] sections 2.2.1.1 and 2.2.1.2). Other protocols share the envelope.
fn is_rdp(talk: &Talk<'_>) -> bool {
    let within = |head: &[u8], message: u8| match *head {
        [3, 0, 0, length, indicator, code, _, _, _, _, 0, ref rest @ ..]
            if code == message && indicator == length.wrapping_sub(5) =>
        {
            rest.first_chunk::<4>().copied()
        }
        _ => None,
    };
    let asks = matches!(within(talk.client, 0xe0), Some([b'C', b'o', b'o', b'k'] | [1, _, 8, 0]));
    asks || matches!(within(talk.server, 0xd0), Some([2 | 3, _, 8, 0]))
}

/// An LDAPMessage (RFC 4511 section 4.1.1): a sequence of its number and an operation. A client
/// begins with a bind, a search or an extended operation.
fn is_ldap(talk: &Talk<'_>) -> bool {
    const BIND: u8 = 0x60;
    const SEARCH: u8 = 0x63;
    const EXTENDED: u8 = 0x77;
    let asks = operation(talk.client).is_some_and(|(operation, rest)| {
        let inner = der::element(rest).map(|element| element.rest).unwrap_or_default();
        match (operation, inner) {
            (BIND | SEARCH | EXTENDED, []) => true,
            (BIND, [2, rest @ ..]) => matches!(rest, [] | [1] | [1, 2 | 3, ..]),
            (SEARCH, [4, ..]) | (EXTENDED, [0x80, ..]) => true,
            _ => false,
        }
    });
    // BindResponse, SearchResultEntry, -Done and -Reference, ExtendedResponse.
    let answers = operation(talk.server)
        .is_some_and(|(operation, _)| matches!(operation, 0x61 | 0x64 | 0x65 | 0x73 | 0x78));
    asks && (talk.server.is_empty() || answers) || talk.client.is_empty() && answers
}

/// The tag of an LDAPMessage's operation, and what begins with it.
fn operation(head: &[u8]) -> Option<(u8, &[u8])> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    let message = der::element(head).filter(|it| it.tag == SEQUENCE && it.length >= 5)?;
    let number = der::element(message.rest).filter(|it| it.tag == INTEGER)?;
    let length = usize::try_from(number.length).ok().filter(|length| (1..=4).contains(length))?;
    let rest = number.rest.get(length..)?;
    Some((*rest.first()?, rest))
}

/// A length, then a message that is as long (RFC 4120 section 7.2.2): AS-REQ to TGS-REP, AP-REQ,
/// KRB-ERROR.
fn is_kerberos(head: &[u8]) -> bool {
    let Some(length) = u32_at(head, 0) else { return false };
    let is_message = |tag| matches!(tag, 0x6a..=0x6e | 0x7e);
    der::element(&head[4..]).is_some_and(|message| {
        is_message(message.tag)
            && message.length.checked_add(message.header) == Some(length)
            && message.rest.first() == Some(&0x30)
    })
}

/// A query behind its length (RFC 7766 section 8, RFC 1035 section 4.1): one question, no answer,
/// and a name that begins with a label or is the root.
fn is_dns(talk: &Talk<'_>) -> bool {
    const ANSWER: u16 = 0x8000;
    const OPCODE: u16 = 0x7800;
    const ZERO: u16 = 0x0040;
    let number = |head: &[u8], at| u16_at(head, at);
    let asks = || -> Option<u16> {
        let [length, id, flags, questions, answers, authorities, more] =
            [0, 2, 4, 6, 8, 10, 12].map(|at| number(talk.client, at));
        let plain = flags? & (ANSWER | OPCODE | ZERO | 0x000f) == 0;
        let one = questions? == 1 && answers? == 0 && authorities? <= 1 && more? <= 2;
        let name = match *talk.client.get(14..)? {
            [0, 0] => true,
            [1..=63, first] => first.is_ascii_alphanumeric() || matches!(first, b'_' | b'-'),
            _ => false,
        };
        (plain && one && name && (17..1024).contains(&length?)).then_some(id?)
    };
    let Some(id) = asks() else { return false };
    talk.server.len() < 4 || u16_at(talk.server, 2) == Some(id)
}

/// A choice of methods and the one chosen (RFC 1928 section 3).
fn is_socks5(talk: &Talk<'_>) -> bool {
    let offers = matches!(talk.client, [5, n @ 1..=8, methods @ ..]
        if methods.len() == usize::from(*n) && methods.iter().all(|method| *method < 10));
    offers && matches!(talk.server, [] | [5, _])
}
