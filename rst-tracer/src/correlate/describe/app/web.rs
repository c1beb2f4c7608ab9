//! What the web speaks, and what was modelled after it.

use super::{Row, Talk, begins};

pub(super) const ROWS: &[Row] = &[
    ("tls", |talk| is_tls(talk.client)),
    ("http2", is_http2),
    ("http", |talk| is_http_request(talk.client)),
    ("rtsp", |talk| is_rtsp_request(talk.client) || is_answer(talk.server, b"RTSP/1.0 ")),
    ("sip", is_sip),
    ("tls", |talk| is_tls(talk.server)),
    ("http", |talk| is_answer(talk.server, b"HTTP/1.1 ") || is_answer(talk.server, b"HTTP/1.0 ")),
    ("http", |talk| is_page(talk.server)),
];

/// A record of TLS 1.0 to 1.3 or SSL 3.0 (RFC 8446 section 5.1): type, version, length. The first
/// handshake message is a ClientHello or a ServerHello; a connection seen from its middle on begins
/// with any other type.
fn is_tls(head: &[u8]) -> bool {
    match *head {
        [22, 3, 0..=4, 0..=0x40, _, message, ..] => matches!(message, 1 | 2),
        [21, 3, 0..=4, 0, 2, 1 | 2, ..] => true,
        [23, 3, 1..=3, 0..=0x48, _, _, ..] => true,
        _ => false,
    }
}

/// The client's connection preface, or the SETTINGS frame that the server's is (RFC 9113 sections
/// 3.4 and 6.5).
fn is_http2(talk: &Talk<'_>) -> bool {
    let settings = |head: &[u8]| matches!(*head, [0, 0, n, 4, 0, 0, 0, 0, 0, ..] if n % 6 == 0);
    talk.client.starts_with(b"PRI * HTTP/2.0\r\n")
        || talk.client.is_empty() && settings(talk.server)
}

/// A request line (RFC 9112 section 3): method and target. The methods are those of RFC 9110, RFC
/// 5789 and WebDAV (RFC 4918, RFC 3253).
fn is_http_request(head: &[u8]) -> bool {
    const METHODS: [&[u8]; 16] = [
        b"GET",
        b"POST",
        b"HEAD",
        b"PUT",
        b"DELETE",
        b"OPTIONS",
        b"TRACE",
        b"PATCH",
        b"PROPFIND",
        b"PROPPATCH",
        b"MKCOL",
        b"COPY",
        b"MOVE",
        b"LOCK",
        b"UNLOCK",
        b"REPORT",
    ];
    let Some((method, target)) = request(head) else { return false };
    if method == b"CONNECT" {
        // The authority follows: a host or an IPv6 address in brackets.
        return target.first().is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'[');
    }
    METHODS.contains(&method)
        && (target.starts_with(b"/") || target.starts_with(b"http") || is_cut(target, b"* HTTP/"))
}

/// RFC 7826 section 13 and RFC 2326 section 10.
fn is_rtsp_request(head: &[u8]) -> bool {
    const METHODS: [&[u8]; 6] =
        [b"OPTIONS", b"DESCRIBE", b"ANNOUNCE", b"SETUP", b"PLAY", b"TEARDOWN"];
    let Some((method, target)) = request(head) else { return false };
    METHODS.contains(&method) && (is_cut(target, b"rtsp://") || is_cut(target, b"* RTSP/1."))
}

/// RFC 3261 section 7, and the methods of its extensions.
fn is_sip(talk: &Talk<'_>) -> bool {
    const METHODS: [&[u8]; 13] = [
        b"INVITE",
        b"REGISTER",
        b"OPTIONS",
        b"ACK",
        b"BYE",
        b"CANCEL",
        b"SUBSCRIBE",
        b"NOTIFY",
        b"MESSAGE",
        b"PUBLISH",
        b"INFO",
        b"REFER",
        b"UPDATE",
    ];
    let asks = request(talk.client).is_some_and(|(method, target)| {
        METHODS.contains(&method) && (is_cut(target, b"sip:") || is_cut(target, b"sips:"))
    });
    asks || is_answer(talk.server, b"SIP/2.0 ")
}

/// Method and what was kept of the target, if there is some of it.
fn request(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = head.iter().position(|&byte| byte == b' ')?;
    let (method, target) = (&head[..space], &head[space + 1..]);
    (!target.is_empty()).then_some((method, target))
}

/// Whether it begins with these words, as far as it was kept: four bytes at least.
fn is_cut(kept: &[u8], words: &[u8]) -> bool {
    let len = kept.len().min(words.len());
    len >= 4 && kept[..len] == words[..len]
}

/// A page without a status line, as HTTP/0.9 had it: what some servers answer to a request line that they cannot read
/// (Python's http.server to a ClientHello).
fn is_page(head: &[u8]) -> bool {
    begins(head, &["<!doctype html", "<html"])
}

/// A status line: the version, then three digits.
fn is_answer(head: &[u8], version: &[u8]) -> bool {
    head.strip_prefix(version)
        .is_some_and(|rest| matches!(rest, [b'1'..=b'6', b'0'..=b'9', b'0'..=b'9', ..]))
}
