//! Protocols in lines of text in which the server greets first.

use super::{Row, Talk, begins, contains};

pub(super) const ROWS: &[Row] = &[
    ("ssh", |talk| is_ssh(talk.client) || is_ssh(talk.server)),
    ("smtp", is_smtp),
    ("ftp", is_ftp),
    ("imap", |talk| begins(talk.server, &["* OK ", "* PREAUTH ", "* BYE "])),
    ("pop3", is_pop3),
    ("vnc", |talk| talk.server.starts_with(b"RFB 00") || talk.client.starts_with(b"RFB 00")),
];

/// The identification string (RFC 4253 section 4.2), and that of version 1.
fn is_ssh(head: &[u8]) -> bool {
    [&b"SSH-2.0-"[..], b"SSH-1.99-", b"SSH-1.5-"].iter().any(|start| head.starts_with(start))
}

/// The greeting that SMTP and FTP have in common.
pub(super) fn is_of_mail_or_files(server: &[u8]) -> bool {
    begins(server, &["220 ", "220-"])
}

/// SMTP (RFC 5321 section 4.2) and FTP (RFC 959 section 5.4) greet alike; what the client says next
/// decides, or else the name in the greeting.
fn greets(talk: &Talk<'_>) -> bool {
    is_of_mail_or_files(talk.server)
}

fn is_smtp(talk: &Talk<'_>) -> bool {
    let hello = begins(talk.client, &["EHLO ", "HELO ", "LHLO "]);
    let refuses = begins(talk.server, &["554 ", "421 "]);
    let named = greets(talk) && contains(talk.server, "SMTP") && !contains(talk.server, "FTP");
    hello && (talk.server.is_empty() || greets(talk) || refuses) || named && !is_login(talk.client)
}

fn is_ftp(talk: &Talk<'_>) -> bool {
    let named = contains(talk.server, "FTP") && !contains(talk.server, "SMTP");
    greets(talk) && (is_login(talk.client) || named)
}

/// How an FTP session begins: with a login, with TLS (RFC 4217) or a question for features (RFC
/// 2389).
fn is_login(head: &[u8]) -> bool {
    begins(head, &["USER ", "AUTH TLS", "AUTH SSL", "FEAT\r"])
}

/// RFC 1939 section 4. A bare `+OK` may be Redis' answer too.
fn is_pop3(talk: &Talk<'_>) -> bool {
    let asks = begins(talk.client, &["USER ", "APOP ", "CAPA\r", "STLS\r"]);
    match talk.server {
        [b'+', b'O', b'K', b' ', ..] => asks || !talk.client.starts_with(b"*"),
        [b'+', b'O', b'K', b'\r', b'\n', ..] => asks,
        _ => false,
    }
}
