//! Databases, caches and message queues.

use super::{Row, Talk, begins, u16_at, u32_at};

pub(super) const ROWS: &[Row] = &[
    ("mysql", |talk| is_mysql(talk.server)),
    ("postgresql", |talk| is_postgresql(talk.client)),
    ("mongodb", is_mongodb),
    ("redis", |talk| is_redis(talk.client)),
    ("memcached", is_memcached),
    ("amqp", |talk| is_amqp(talk.client) || is_amqp(talk.server)),
    ("mqtt", |talk| is_mqtt(talk.client)),
    ("kafka", is_kafka),
];

/// The server's first packet (MySQL protocol, `Protocol::HandshakeV10`): length, sequence 0,
/// version 10, its own version as text; or an error: too many connections (1040), a host that is
/// blocked (1129) or not allowed (1130).
fn is_mysql(head: &[u8]) -> bool {
    match *head {
        [_, 0, 0, 0, 10, b'0'..=b'9', next, ..] => next == b'.' || next.is_ascii_digit(),
        [_, _, 0, 0, 0xff, low, 4, ..] => matches!(low, 0x10 | 0x69 | 0x6a),
        _ => false,
    }
}

/// The client's first packet (PostgreSQL frontend/backend protocol, section 54.7): length, then
/// version 3 and the name of a parameter, or a request for cancellation, TLS or GSS encryption.
fn is_postgresql(head: &[u8]) -> bool {
    let Some((length, code)) = u32_at(head, 0).zip(u32_at(head, 4)) else { return false };
    match code {
        0x0003_0000..=0x0003_0002 => {
            (9..10_000).contains(&length)
                && head.get(8).is_some_and(|byte| byte.is_ascii_lowercase())
        }
        80_877_102 => (16..300).contains(&length),
        80_877_103 | 80_877_104 => length == 8,
        _ => false,
    }
}

/// A message header (MongoDB wire protocol), little-endian: length, request, the request that is
/// answered (0 in a request), and OP_MSG, OP_QUERY, OP_COMPRESSED or OP_REPLY.
fn is_mongodb(talk: &Talk<'_>) -> bool {
    let header = |head: &[u8]| -> Option<(u32, u32, u32)> {
        let number = |at| u32_at(head, at).map(u32::swap_bytes);
        Some((number(0)?, number(8)?, number(12)?)).filter(|it| (21..48_000_001).contains(&it.0))
    };
    let asks =
        header(talk.client).is_some_and(|(_, to, op)| to == 0 && matches!(op, 2004 | 2012 | 2013));
    let answers =
        header(talk.server).is_some_and(|(_, to, op)| to != 0 && matches!(op, 1 | 2012 | 2013));
    asks && (talk.server.is_empty() || answers)
}

/// An array of bulk strings (Redis serialization protocol): `*2\r\n$4\r\n`.
fn is_redis(head: &[u8]) -> bool {
    let elements = match *head {
        [b'*', b'1'..=b'9', b'\r', b'\n', ref rest @ ..] => rest,
        [b'*', b'1'..=b'9', b'0'..=b'9', b'\r', b'\n', ref rest @ ..] => rest,
        _ => return head == b"PING\r\n",
    };
    matches!(elements, [b'$', b'1'..=b'9', ..])
}

/// The text protocol (memcached, `doc/protocol.txt`): what monitors ask, and its answer.
fn is_memcached(talk: &Talk<'_>) -> bool {
    let pairs = [("version\r", &b"VERSION "[..]), ("stats\r", b"STAT ")];
    pairs.iter().any(|(ask, answer)| begins(talk.client, &[ask]) && talk.server.starts_with(answer))
}

/// The protocol header (AMQP 0-9-1 section 4.2.2, AMQP 1.0 section 2.2; TLS is 2 and SASL 3).
fn is_amqp(head: &[u8]) -> bool {
    let version = head.strip_prefix(b"AMQP").and_then(|rest| rest.first_chunk::<4>());
    matches!(version, Some([0, 0, 9, 1] | [1, 1, 0, 8..=10] | [0 | 2 | 3, 1, 0, 0]))
}

/// CONNECT (MQTT 3.1.1 and 5.0 section 3.1): remaining length in one or two bytes, the protocol's
/// name and its level.
fn is_mqtt(head: &[u8]) -> bool {
    let connect = match *head {
        [0x10, 0..=0x7f, ref rest @ ..] | [0x10, 0x80..=0xff, 1..=0x7f, ref rest @ ..] => rest,
        _ => return false,
    };
    matches!(connect, [0, 4, b'M', b'Q', b'T', b'T', 4 | 5, ..])
        || matches!(connect, [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', 3, ..])
}

/// The first request of a client (Kafka protocol guide): length, one of Metadata, SaslHandshake and
/// ApiVersions, its version, a correlation number that has just begun, and the client's name. The
/// answer repeats the number.
fn is_kafka(talk: &Talk<'_>) -> bool {
    let request = || -> Option<u32> {
        let (length, number) = (u32_at(talk.client, 0)?, u32_at(talk.client, 8)?);
        let (api, version) = (u16_at(talk.client, 4)?, u16_at(talk.client, 6)?);
        let name = u32::from(u16_at(talk.client, 12)?);
        let is_first = matches!((api, version), (3, 0..=13) | (17, 0..=1) | (18, 0..=4));
        let is_text = talk.client[14..].iter().all(u8::is_ascii_graphic) && talk.client.len() == 16;
        let fits = (2..200).contains(&name) && (10 + name..4096).contains(&length);
        (is_first && is_text && fits && number < 1 << 16).then_some(number)
    };
    let Some(number) = request() else { return false };
    talk.server.is_empty() || u32_at(talk.server, 4) == Some(number)
}
