//! Each protocol by its first bytes, and what is none of them.

use super::protocol;

#[track_caller]
fn expect(client: &[u8], server: &[u8], name: Option<&str>) {
    let said = format!("{} / {}", client.escape_ascii(), server.escape_ascii());
    assert_eq!(protocol(client, server), name, "{said}");
}

#[test]
fn each_protocol_is_known_by_what_its_client_says_first() {
    let heads: [(&[u8], &str); 36] = [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls"),
        (b"\x17\x03\x03\x00\x45\xa1\xb2\xc3", "tls"),
        (b"PRI * HTTP/2.0\r\n", "http2"),
        (b"GET / HTTP/1.1\r\n", "http"),
        (b"POST /form HTTP/", "http"),
        (b"GET http://other", "http"),
        (b"CONNECT example.", "http"),
        (b"PROPFIND /dav HT", "http"),
        (b"OPTIONS * HTTP/1", "http"),
        (b"OPTIONS rtsp://c", "rtsp"),
        (b"OPTIONS * RTSP/1", "rtsp"),
        (b"DESCRIBE rtsp://", "rtsp"),
        (b"INVITE sip:bob@e", "sip"),
        (b"OPTIONS sip:bob@", "sip"),
        (b"REGISTER sips:ex", "sip"),
        (b"SSH-2.0-OpenSSH_", "ssh"),
        (b"EHLO mail.exampl", "smtp"),
        (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", "postgresql"),
        (b"\x00\x00\x00\x54\x00\x03\x00\x00user\x00app", "postgresql"),
        (b"\x3a\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xd4\x07\x00\x00", "mongodb"),
        (b"\x3a\x01\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00", "mongodb"),
        (b"*1\r\n$4\r\nPING\r\n", "redis"),
        (b"*12\r\n$4\r\nHSET\r\n", "redis"),
        (b"AMQP\x00\x00\x09\x01", "amqp"),
        (b"AMQP\x03\x01\x00\x00", "amqp"),
        (b"\x10\x20\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00", "mqtt"),
        (b"\x10\x90\x01\x00\x04MQTT\x04\xc2\x00\x3c\x00\x05", "mqtt"),
        (b"\x00\x00\x00\x22\x00\x12\x00\x03\x00\x00\x00\x01\x00\x08co", "kafka"),
        (b"\x00\x00\x00\xa4\xfeSMB@\x00", "smb"),
        (b"\x03\x00\x00\x2c\x27\xe0\x00\x00\x00\x00\x00Cooki", "rdp"),
        (b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03", "rdp"),
        (b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00", "ldap"),
        (b"\x30\x84\x00\x00\x00\x2d\x02\x01\x01\x63\x84\x00\x00\x00\x24\x04", "ldap"),
        (b"\x00\x00\x00\xe7\x6a\x81\xe4\x30\x81\xe1\xa1\x03\x02\x01\x05\xa2", "kerberos"),
        (b"\x00\x1d\x1a\x2b\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07e", "dns"),
        (b"\x05\x01\x00", "socks5"),
    ];
    for (head, name) in heads {
        expect(head, b"", Some(name));
    }
}

#[test]
fn each_protocol_is_known_by_what_its_server_says_first() {
    let heads: [(&[u8], &str); 19] = [
        (b"\x15\x03\x03\x00\x02\x02\x28", "tls"),
        (b"HTTP/1.1 200 OK\r", "http"),
        (b"<!DOCTYPE HTML>\n", "http"),
        (b"RTSP/1.0 200 OK\r", "rtsp"),
        (b"SIP/2.0 200 OK\r\n", "sip"),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00", "http2"),
        (b"SSH-2.0-dropbear", "ssh"),
        (b"* OK IMAP4rev1 r", "imap"),
        (b"+OK POP3 ready\r\n", "pop3"),
        (b"220 mail ESMTP P", "smtp"),
        (b"220 (vsFTPd 3.0.", "ftp"),
        (b"\x4a\x00\x00\x00\x0a8.0.36\x00", "mysql"),
        (b"\x4a\x00\x00\x00\x0a10.11.6-M", "mysql"),
        (b"\x44\x00\x00\x00\xff\x6a\x04Host '1", "mysql"),
        (b"RFB 003.008\n", "vnc"),
        (b"AMQP\x00\x00\x09\x01", "amqp"),
        (b"\x00\x00\x00\xa4\xfeSMB@\x00", "smb"),
        (b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x1f\x08\x00\x02", "rdp"),
        (b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00", "ldap"),
    ];
    for (head, name) in heads {
        expect(b"", head, Some(name));
    }
}

#[test]
fn a_greeting_that_two_protocols_share_is_decided_by_the_other_side() {
    expect(b"EHLO me\r\n", b"220 welcome\r\n", Some("smtp"));
    expect(b"USER me\r\n", b"220 welcome\r\n", Some("ftp"));
    expect(b"AUTH TLS\r\n", b"220-welcome\r\n", Some("ftp"));
    expect(b"", b"220 welcome\r\n", None);
    expect(b"QUIT\r\n", b"220 welcome\r\n", None);
    expect(b"USER me\r\n", b"+OK\r\n", Some("pop3"));
    expect(b"*2\r\n$4\r\nAUTH\r\n", b"+OK\r\n", Some("redis"));
    expect(b"AUTH secret\r\n", b"+OK\r\n", None);
    expect(b"USER me\r\n", b"", None);
    expect(b"version\r\n", b"VERSION 1.6.9\r\n", Some("memcached"));
    expect(b"version\r\n", b"unknown command", None);
}

#[test]
fn an_answer_must_belong_to_its_question() {
    let kafka = b"\x00\x00\x00\x22\x00\x12\x00\x03\x00\x00\x00\x01\x00\x08co";
    expect(kafka, b"\x00\x00\x01\x0a\x00\x00\x00\x01\x00\x00", Some("kafka"));
    expect(kafka, b"\x00\x00\x01\x0a\x00\x00\x00\x02\x00\x00", None);
    let dns = b"\x00\x1d\x1a\x2b\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07e";
    expect(dns, b"\x00\x3d\x1a\x2b\x81\x80\x00\x01\x00\x01\x00\x00", Some("dns"));
    expect(dns, b"\x00\x3d\x99\x99\x81\x80\x00\x01\x00\x01\x00\x00", None);
    let ldap = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00";
    expect(ldap, b"go away", None);
}

#[test]
fn where_the_sides_speak_different_protocols_the_client_names_it() {
    expect(b"GET / HTTP/1.1\r\n", b"SSH-2.0-OpenSSH_", Some("http"));
    expect(b"\x16\x03\x01\x02\x00\x01\x00", b"HTTP/1.1 400 Bad", Some("tls"));
}

#[test]
fn what_is_none_of_them_is_not_named() {
    let heads: [&[u8]; 23] = [
        b"hello, world",
        b"\x16\x05\x01",
        b"\x16\x03\x01",
        b"\x16\x03\x01\x02\x00\x63\x00",
        b"220",
        b"+OKAY",
        b"\x00\x00",
        b"GET it done now!",
        b"get / http/1.1\r\n",
        b"HTTP/1.1 OK\r\n",
        b"OPTIONS icap://s",
        b"SSH is what I am",
        b"RFB",
        // Modbus: a transaction, protocol 0, length, unit, function.
        b"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00\x00\x0a",
        // S7 in the same envelope as RDP.
        b"\x03\x00\x00\x16\x11\xe0\x00\x00\x00\x01\x00\xc1\x02\x01\x00\xc2",
        // SNMP, a sequence as LDAP is one.
        b"\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x04",
        b"*3\r\nnot a bulk s",
        b"AMQP\x09\x09\x09\x09",
        b"\x00\x00\x00\x54\x00\x02\x00\x00user\x00app",
        b"\x00\x00\x00\x09\x04\xd2\x16\x2f",
        b"\x05\x02\x00",
        b"\x00\x00\x00\xe7\x6a\x81\xe5\x30\x81\xe1\xa1\x03\x02\x01\x05\xa2",
        b"\x10\x20\x00\x04MQTX\x05\x02\x00\x3c\x00\x00\x00",
    ];
    for head in heads {
        expect(head, b"", None);
        expect(b"", head, None);
    }
}

#[test]
fn chance_names_nothing() {
    // A generator of xorshift kind: the same bytes every time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = || {
        let mut head = vec![0; 16];
        for byte in &mut head {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = (state >> 32) as u8;
        }
        // Short ones too: a protocol must not look behind what was kept.
        head.truncate(if state & 3 == 0 { state as usize >> 8 & 15 } else { 16 });
        head
    };
    let named = (0..200_000).filter(|_| protocol(&bytes(), &bytes()).is_some()).count();
    assert!(named <= 3, "{named} of 200000");
}
