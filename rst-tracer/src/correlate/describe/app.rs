//! What the two sides spoke, in the words of firewall logs.
//!
//! In: the first 16 payload bytes each way. Out: a protocol, or one of `incomplete`,
//! `insufficient-data`, `unknown-tcp`, `not-applicable`.

use std::borrow::Cow;

use super::roles::Roles;
use crate::{
    classify::Past,
    event::{Class, Stage, Text},
};

/// Who begins with these bytes.
#[derive(Clone, Copy)]
enum From {
    Client,
    Server,
}

/// A protocol: its name, who gives it away, and what the first bytes look like.
type Row = (&'static str, From, fn(&[u8]) -> bool);

const PROTOCOLS: [Row; 26] = [
    ("tls", From::Client, is_tls),
    ("tls", From::Server, is_tls),
    ("http2", From::Client, |head| head.starts_with(b"PRI * HTTP/2.0")),
    ("http", From::Client, is_http_request),
    ("http", From::Server, |head| head.starts_with(b"HTTP/1.")),
    ("ssh", From::Server, |head| head.starts_with(b"SSH-")),
    ("ssh", From::Client, |head| head.starts_with(b"SSH-")),
    ("imap", From::Server, |head| head.starts_with(b"* OK") || head.starts_with(b"* PREAUTH")),
    ("pop3", From::Server, |head| head.starts_with(b"+OK ") || head == b"+OK\r\n"),
    ("smtp", From::Client, |head| starts_with_any(head, &["EHLO ", "HELO ", "LHLO "])),
    ("ftp", From::Client, |head| starts_with_any(head, &["USER ", "AUTH TLS", "FEAT\r"])),
    ("mysql", From::Server, is_mysql_greeting),
    ("postgresql", From::Client, is_postgresql_startup),
    ("redis", From::Client, is_redis_command),
    ("rdp", From::Client, |head| is_tpkt(head, 0xe0)),
    ("rdp", From::Server, |head| is_tpkt(head, 0xd0)),
    ("smb", From::Client, is_smb),
    ("smb", From::Server, is_smb),
    ("mqtt", From::Client, is_mqtt_connect),
    ("amqp", From::Client, |head| head.starts_with(b"AMQP\0") || head.starts_with(b"AMQP\x01")),
    ("bgp", From::Client, |head| head == [0xff; 16]),
    ("vnc", From::Server, |head| head.starts_with(b"RFB 00")),
    ("memcached", From::Client, |head| starts_with_any(head, &["version\r", "stats\r"])),
    ("socks5", From::Client, |head| matches!(head, [5, n, ..] if head.len() == 2 + *n as usize)),
    ("sip", From::Client, |head| starts_with_any(head, &["INVITE sip", "REGISTER sip"])),
    ("rtsp", From::Client, |head| starts_with_any(head, &["OPTIONS rtsp", "DESCRIBE rtsp"])),
];

/// The value of the key `app`.
pub(super) fn of(past: Option<&Past<'_>>, roles: &Roles, stage: Stage, class: Class) -> Text {
    let Some(past) = past else { return Cow::Borrowed("incomplete") };
    if class == Class::PolicyEnforcement && stage == Stage::PostSyn {
        return Cow::Borrowed("not-applicable");
    }
    if past.mine().bytes + past.theirs().bytes == 0 {
        return Cow::Borrowed("incomplete");
    }
    let heads = [past.my_facts(), past.their_facts()]
        .map(|facts| &facts.head[..usize::from(facts.head_len).min(facts.head.len())]);
    let [mine, theirs] = heads;
    let found = match roles.src_opened {
        Some(true) => protocol(mine, theirs),
        Some(false) => protocol(theirs, mine),
        None => protocol(mine, theirs).or_else(|| protocol(theirs, mine)),
    };
    let said = u32::from(past.mine().data_segments) + u32::from(past.theirs().data_segments);
    Cow::Borrowed(found.unwrap_or(if said > 1 { "unknown-tcp" } else { "insufficient-data" }))
}

fn protocol(client: &[u8], server: &[u8]) -> Option<&'static str> {
    let spoken = |(_, from, is_it): &&Row| match from {
        From::Client => !client.is_empty() && is_it(client),
        From::Server => !server.is_empty() && is_it(server),
    };
    let found = PROTOCOLS.iter().find(spoken).map(|(name, ..)| *name);
    found.or_else(|| greeting(client, server))
}

/// SMTP and FTP greet alike, `220 …`: what the client says next, or the words, decide.
fn greeting(client: &[u8], server: &[u8]) -> Option<&'static str> {
    if !(server.starts_with(b"220 ") || server.starts_with(b"220-")) {
        return None;
    }
    let says = |word: &[u8]| server.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    if says(b"FTP") {
        return Some("ftp");
    }
    // An FTP client that does not log in with USER or AUTH is not one.
    (client.is_empty() || says(b"SMTP") || client.starts_with(b"QUIT")).then_some("smtp")
}

fn starts_with_any(head: &[u8], starts: &[&str]) -> bool {
    starts.iter().any(|start| {
        let start = start.as_bytes();
        head.len() >= start.len() && head[..start.len()].eq_ignore_ascii_case(start)
    })
}

/// A TLS record: handshake or alert, versions 3.0 to 3.4 (RFC 8446 section 5.1).
fn is_tls(head: &[u8]) -> bool {
    matches!(head, [0x15 | 0x16, 0x03, 0..=4, ..])
}

fn is_http_request(head: &[u8]) -> bool {
    let methods =
        ["GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "TRACE "];
    starts_with_any(head, &methods) && !head.windows(7).any(|part| part == b" rtsp:/")
}

/// Length, sequence 0, protocol version 10, then the server's version (MySQL protocol 10).
fn is_mysql_greeting(head: &[u8]) -> bool {
    matches!(head, [_, _, 0, 0, 10, b'0'..=b'9', ..])
}

/// Length, then version 3 or a request for TLS, GSS or cancellation (80877102 to 80877104).
fn is_postgresql_startup(head: &[u8]) -> bool {
    let Some((length, rest)) = head.split_first_chunk::<4>() else { return false };
    let Some((code, _)) = rest.split_first_chunk::<4>() else { return false };
    let (length, code) = (u32::from_be_bytes(*length), u32::from_be_bytes(*code));
    (8..10_000).contains(&length) && (code >> 16 == 3 || (80_877_102..=80_877_104).contains(&code))
}

/// An array of bulk strings (RESP): `*2\r\n$4\r\n`, or the inline PING.
fn is_redis_command(head: &[u8]) -> bool {
    let array = matches!(head, [b'*', b'1'..=b'9', b'\r', b'\n', b'$', ..]);
    array
        || matches!(head, [b'*', b'1'..=b'9', b'0'..=b'9', b'\r', b'\n', b'$', ..])
        || head.starts_with(b"PING\r\n")
}

/// TPKT version 3 with this X.224 message in it: connection request or confirm.
fn is_tpkt(head: &[u8], message: u8) -> bool {
    matches!(head, [3, 0, _, _, _, code, ..] if *code == message)
}

/// A NetBIOS session message with SMB 1 to 3 in it.
fn is_smb(head: &[u8]) -> bool {
    matches!(head, [0, _, _, _, 0xfd..=0xff, b'S', b'M', b'B', ..])
}

/// CONNECT with its protocol name (MQTT 3.1 to 5).
fn is_mqtt_connect(head: &[u8]) -> bool {
    matches!(head, [0x10, _, 0, 4 | 6, b'M', b'Q', ..])
}

#[cfg(test)]
mod tests {
    use super::protocol;

    #[test]
    fn each_protocol_is_known_by_its_first_bytes() {
        let by_client: [(&[u8], &str); 16] = [
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls"),
            (b"PRI * HTTP/2.0\r\n", "http2"),
            (b"GET / HTTP/1.1\r\n", "http"),
            (b"post /form HTTP/", "http"),
            (b"SSH-2.0-OpenSSH_", "ssh"),
            (b"EHLO mail.exampl", "smtp"),
            (b"USER anonymous\r\n", "ftp"),
            (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", "postgresql"),
            (b"\x00\x00\x00\x54\x00\x03\x00\x00user\x00app", "postgresql"),
            (b"*1\r\n$4\r\nPING\r\n", "redis"),
            (b"\x03\x00\x00\x2c\x27\xe0\x00\x00\x00\x00\x00Coo", "rdp"),
            (b"\x00\x00\x00\xa4\xfeSMB@\x00", "smb"),
            (b"\x10\x20\x00\x04MQTT\x05", "mqtt"),
            (b"AMQP\x00\x00\x09\x01", "amqp"),
            (b"\x05\x01\x00", "socks5"),
            (b"OPTIONS rtsp://c", "rtsp"),
        ];
        for (head, name) in by_client {
            assert_eq!(protocol(head, b""), Some(name), "{}", head.escape_ascii());
        }
        let by_server: [(&[u8], &str); 8] = [
            (b"HTTP/1.1 200 OK\r", "http"),
            (b"SSH-2.0-dropbear", "ssh"),
            (b"* OK IMAP4rev1 r", "imap"),
            (b"+OK POP3 ready\r\n", "pop3"),
            (b"220 mail ESMTP P", "smtp"),
            (b"220 (vsFTPd 3.0.", "ftp"),
            (b"\x4a\x00\x00\x00\x0a8.0.36\x00", "mysql"),
            (b"RFB 003.008\n", "vnc"),
        ];
        for (head, name) in by_server {
            assert_eq!(protocol(b"", head), Some(name), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn what_is_none_of_them_is_not_named() {
        let heads: [&[u8]; 5] = [b"hello, world", b"\x16\x05\x01", b"220", b"+OKAY", b"\x00\x00"];
        for head in heads {
            assert_eq!(protocol(head, b""), None, "{}", head.escape_ascii());
            assert_eq!(protocol(b"", head), None, "{}", head.escape_ascii());
        }
    }
}
