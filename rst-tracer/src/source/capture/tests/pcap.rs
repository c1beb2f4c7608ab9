//! The classic format, in both byte orders.

use rst_tracer_common::wire::LinkType;

use super::build::File;
use super::{complaint, frames};

const MICRO: u32 = 0xa1b2_c3d4;
const NANO: u32 = 0xa1b2_3c4d;
const KUZNETZOV: u32 = 0xa1b2_cd34;

#[test]
fn microseconds_and_nanoseconds_are_told_apart_in_both_byte_orders() {
    for big in [false, true] {
        for (magic, time_ns) in [(MICRO, 7_000_009_000), (NANO, 7_000_000_009)] {
            let file = File::pcap(big, magic, 1).record((7, 9), (3, 60), b"abc").record(
                (8, 0),
                (0, 0),
                b"",
            );
            let frames = frames(&file.bytes);
            assert_eq!(frames.len(), 2);
            assert_eq!(frames[0].number, 1);
            assert_eq!(frames[0].time_ns, time_ns);
            assert_eq!(frames[0].link, LinkType::ETHERNET);
            assert_eq!(frames[0].original_len, 60);
            assert_eq!(frames[0].data, b"abc");
            assert_eq!(frames[0].interface, None);
            assert_eq!((frames[1].number, frames[1].data.len()), (2, 0));
        }
    }
}

#[test]
fn kuznetzov_records_have_eight_more_header_bytes() {
    for big in [false, true] {
        let file = File::pcap(big, KUZNETZOV, 1).record((1, 2), (3, 3), b"iiiipptxabc").record(
            (1, 3),
            (2, 2),
            b"iiiipptxde",
        );
        let frames = frames(&file.bytes);
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0].data, b"abc");
        assert_eq!(frames[1].data, b"de");
        assert_eq!(frames[1].time_ns, 1_000_003_000);
    }
}

#[test]
fn the_largest_time_is_not_an_overflow() {
    let file = File::pcap(false, MICRO, 1).record((u32::MAX, u32::MAX), (0, 0), b"");
    assert_eq!(frames(&file.bytes)[0].time_ns, 4_294_967_295_000_000_000 + 4_294_967_295_000);
}

#[test]
fn upper_bits_of_the_link_type_are_the_length_of_the_check_sequence() {
    for big in [false, true] {
        let file = File::pcap(big, MICRO, 0x2400_0071)
            .record((0, 0), (8, 8), b"datafcs!")
            .record((0, 0), (6, 8), b"datafc")
            .record((0, 0), (3, 8), b"dat")
            .record((0, 0), (2, 2), b"fc");
        let frames = frames(&file.bytes);
        assert_eq!(frames[0].link, LinkType::LINUX_SLL);
        let kept: Vec<_> = frames.iter().map(|f| (f.data.as_slice(), f.original_len)).collect();
        assert_eq!(kept, [(&b"data"[..], 4), (b"data", 4), (b"dat", 4), (b"", 0)]);
    }
}

#[test]
fn a_check_sequence_length_that_is_not_declared_valid_is_none() {
    let file = File::pcap(false, MICRO, 0x2000_0001).record((0, 0), (8, 8), b"datafcs!");
    assert_eq!(frames(&file.bytes)[0].data, b"datafcs!");
}

#[test]
fn more_bytes_than_the_snapshot_length_are_taken_where_they_are() {
    let file = File::old_pcap(false, MICRO, (2, 4), 2, 1).record((0, 0), (5, 5), b"abcde");
    assert_eq!(frames(&file.bytes)[0].data, b"abcde");
}

#[test]
fn more_captured_than_original_bytes_are_taken_as_they_are() {
    let file = File::pcap(false, MICRO, 1).record((0, 0), (5, 3), b"abcde");
    let frame = &frames(&file.bytes)[0];
    assert_eq!((frame.data.as_slice(), frame.original_len), (&b"abcde"[..], 3));
}

#[test]
fn old_versions_have_the_original_length_first() {
    for version in [(2, 0), (2, 2), (543, 0)] {
        let file = File::old_pcap(false, MICRO, version, 100, 1).record((0, 0), (9, 3), b"abc");
        let frame = &frames(&file.bytes)[0];
        assert_eq!((frame.data.as_slice(), frame.original_len), (&b"abc"[..], 9), "{version:?}");
    }
    let file = File::old_pcap(false, MICRO, (2, 3), 100, 1).record((0, 0), (9, 3), b"abc").record(
        (0, 0),
        (3, 9),
        b"def",
    );
    let frames = frames(&file.bytes);
    assert_eq!((frames[0].data.as_slice(), frames[0].original_len), (&b"abc"[..], 9));
    assert_eq!((frames[1].data.as_slice(), frames[1].original_len), (&b"def"[..], 9));
}

#[test]
fn version_one_and_reserved_link_bits_are_refused() {
    let old = File::old_pcap(false, MICRO, (1, 4), 100, 1);
    assert!(complaint(&old.bytes).1.contains("version 1.4"));
    let odd = File::pcap(true, MICRO, 0x0001_0001);
    assert!(complaint(&odd.bytes).1.contains("0x00010001"));
}

#[test]
fn a_length_that_no_packet_has_is_damage_after_the_frames_before() {
    for (snaplen, claimed) in [(0, 262_145), (65_535, u32::MAX), (u32::MAX, (128 << 20) + 1)] {
        let file = File::old_pcap(true, MICRO, (2, 4), snaplen, 1)
            .record((0, 0), (1, 1), b"a")
            .record((0, 0), (claimed, claimed), b"b");
        let (after, what) = complaint(&file.bytes);
        assert_eq!(after, 1);
        assert!(what.contains(&claimed.to_string()), "{what}");
    }
}

#[test]
fn packets_longer_than_the_buffer_arrive_whole() {
    let long: Vec<u8> = (0..900_000_u32).map(|n| n as u8).collect();
    let length = long.len() as u32;
    let file = File::old_pcap(false, MICRO, (2, 4), 1 << 20, 1)
        .record((0, 0), (1, 1), b"a")
        .record((0, 0), (length, length), &long)
        .record((0, 0), (1, 1), b"z");
    let frames = frames(&file.bytes);
    assert_eq!(frames.len(), 3);
    assert!(frames[1].data == long);
    assert_eq!(frames[2].data, b"z");
}

#[test]
fn a_file_header_alone_has_no_frames() {
    assert!(frames(&File::pcap(false, NANO, 1).bytes).is_empty());
}
