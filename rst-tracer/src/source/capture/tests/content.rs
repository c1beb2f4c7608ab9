//! Files that are no capture are named, with what to do about them.

use super::super::{Capture, CaptureError, Content};

fn content(bytes: &[u8]) -> Content {
    match Capture::open(bytes) {
        Err(CaptureError::NotACapture(content)) => content,
        Err(e) => panic!("{e}"),
        Ok(_) => panic!("taken for a capture"),
    }
}

#[test]
fn what_is_no_capture_is_named() {
    assert_eq!(content(b""), Content::Empty);
    assert!(matches!(content(b"\x1f\x8b\x08\0"), Content::Compressed { format: "gzip", .. }));
    assert!(matches!(content(b"\x28\xb5\x2f\xfd\0"), Content::Compressed { format: "zstd", .. }));
    assert!(matches!(content(b"\xfd7zXZ\0\0"), Content::Compressed { format: "xz", .. }));
    assert!(matches!(content(b"BZh91AY"), Content::Compressed { format: "bzip2", .. }));
    assert!(matches!(content(b"PK\x03\x04"), Content::Compressed { format: "zip", .. }));
    assert_eq!(content(b"snoop\0\0\0\0\0\0\x02"), Content::Foreign("snoop"));
    assert_eq!(content(b"{\"schema\":\"rst-tracer/1\"}\n"), Content::Json);
    assert_eq!(content(b"#!/bin/sh\nexit 1\n"), Content::Text);
    assert_eq!(content("Grüße".as_bytes()), Content::Text);
    assert_eq!(content(b"\x7fELF\x02\x01"), Content::Unknown(*b"\x7fELF"));
    assert_eq!(content(b"\xd4\xc3"), Content::Unknown([0xd4, 0xc3, 0, 0]));
}

#[test]
fn text_cut_inside_a_character_is_still_text() {
    let text = format!("{}ü and so on", "x".repeat(63));
    assert_eq!(content(text.as_bytes()), Content::Text);
}

#[test]
fn every_message_says_the_remedy() {
    let message = |bytes: &[u8]| Capture::open(bytes).unwrap_err().to_string();
    assert!(message(b"\x1f\x8b\x08\0").contains("gzip -dc FILE | rst-tracer replay -"));
    assert!(message(b"\x28\xb5\x2f\xfd").contains("decompress it first"));
    assert!(message(b"snoop\0\0\0").contains("editcap -F pcapng"));
    assert!(message(b"{}").contains("rst-tracer report"));
    assert!(message(b"\0\0\0\0").contains("00 00 00 00"));
    assert!(message(b"").contains("capture again"));
}
