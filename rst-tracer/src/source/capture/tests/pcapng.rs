//! The block format, in both byte orders.

use rst_tracer_common::wire::LinkType;

use super::build::File;
use super::{Capture, Kept, complaint, frames};

const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_FCSLEN: u16 = 13;
const IF_TSOFFSET: u16 = 14;
const FLAGS: u16 = 2;

#[test]
fn enhanced_obsolete_and_simple_packets_are_read_in_both_byte_orders() {
    for big in [false, true] {
        let file = File::pcapng(big)
            .enhanced_as(0, 0x1_0000_0002, (5, 60), b"abcde", &[(1, b"a comment")])
            .obsolete(0, 9, b"fgh", &[])
            .simple(2, b"ij");
        let kept = |number, time_ns, original_len, data: &[u8]| Kept {
            number,
            time_ns,
            link: LinkType::ETHERNET,
            original_len,
            data: data.to_vec(),
            interface: Some(0),
        };
        let expected = [
            kept(1, 0x1_0000_0002 * 1_000, 60, b"abcde"),
            kept(2, 9_000, 3, b"fgh"),
            kept(3, 9_000, 2, b"ij"),
        ];
        assert_eq!(frames(&file.bytes), expected);
    }
}

#[test]
fn clocks_are_those_of_each_interface() {
    for big in [false, true] {
        let offset = |seconds| File::empty(big).i64(seconds).bytes;
        let file = File::empty(big)
            .section(-1)
            .interface(1, 0, &[(IF_TSRESOL, &[9])])
            .interface(1, 0, &[(IF_TSRESOL, &[0x8a]), (IF_TSOFFSET, &offset(100))])
            .interface(1, 0, &[(IF_TSOFFSET, &offset(-1))])
            .enhanced(0, 5, b"", &[])
            .enhanced(1, 512, b"", &[])
            .enhanced(2, 1_000_007, b"", &[])
            .enhanced(2, u64::MAX, b"", &[])
            .enhanced(2, 0, b"", &[]);
        let times: Vec<_> = frames(&file.bytes).iter().map(|f| f.time_ns).collect();
        assert_eq!(times, [5, 100_500_000_000, 7_000, u64::MAX, 0]);
    }
}

#[test]
fn options_of_the_wrong_length_say_nothing() {
    let file = File::empty(false)
        .section(-1)
        .interface(1, 0, &[(IF_TSRESOL, &[9, 0]), (IF_TSOFFSET, &[1; 4]), (IF_FCSLEN, &[])])
        .enhanced(0, 5, b"data", &[]);
    let frame = &frames(&file.bytes)[0];
    assert_eq!((frame.time_ns, frame.data.as_slice()), (5_000, &b"data"[..]));
}

#[test]
fn interfaces_are_counted_over_sections_of_either_byte_order() {
    let mut file = File::empty(false)
        .section(-1)
        .interface(1, 0, &[(IF_NAME, b"eth0")])
        .interface(101, 0, &[(IF_NAME, b"tun0\0")])
        .enhanced(1, 1, b"a", &[]);
    file.big = true;
    let file = file
        .section(1_000_000)
        .interface(113, 0, &[(IF_NAME, "küche\u{1b}".as_bytes())])
        .enhanced(0, 2, b"b", &[])
        .interface(1, 0, &[])
        .enhanced(1, 3, b"c", &[])
        .simple(1, b"d");
    let seen: Vec<_> = frames(&file.bytes).iter().map(|f| (f.interface, f.link.0)).collect();
    assert_eq!(seen, [(Some(1), 101), (Some(2), 113), (Some(3), 1), (Some(2), 113)]);

    let mut capture = Capture::open(file.bytes.as_slice()).unwrap();
    while capture.next().unwrap().is_some() {}
    let names: Vec<_> = (0..5).map(|id| capture.interface_name(id)).collect();
    assert_eq!(names, [Some("eth0"), Some("tun0"), Some("küche\u{1b}"), None, None]);
    assert_eq!(capture.bytes_read(), file.bytes.len() as u64);
}

#[test]
fn long_names_are_cut() {
    let file = File::empty(false).section(-1).interface(1, 0, &[(IF_NAME, &[b'x'; 4_000])]);
    let mut capture = Capture::open(file.bytes.as_slice()).unwrap();
    assert!(capture.next().unwrap().is_none());
    assert_eq!(capture.interface_name(0).map(str::len), Some(255));
}

#[test]
fn the_length_of_a_section_is_not_believed() {
    for length in [-1, 0, 4, i64::MAX, i64::MIN] {
        let file =
            File::empty(true).section(length).interface(1, 0, &[]).enhanced(0, 1, b"abc", &[]);
        assert_eq!(frames(&file.bytes).len(), 1, "{length}");
    }
}

#[test]
fn blocks_that_carry_no_packet_are_passed_over() {
    const NAME_RESOLUTION: u32 = 4;
    const STATISTICS: u32 = 5;
    const SECRETS: u32 = 10;
    for big in [false, true] {
        let file = [NAME_RESOLUTION, STATISTICS, SECRETS, 0, 0x7777, u32::MAX]
            .into_iter()
            .fold(File::pcapng(big), |file, kind| file.other(kind, b"whatever").other(kind, b""))
            .other(0x7777, &[0x5a; 600_000])
            .enhanced(0, 1, b"abc", &[]);
        let frames = frames(&file.bytes);
        assert_eq!((frames.len(), frames[0].number), (1, 1));
    }
}

#[test]
fn custom_and_journal_blocks_are_numbered_as_wireshark_numbers_them() {
    let file = File::pcapng(true)
        .enhanced(0, 1, b"a", &[])
        .other(0x0bad, b"\0\0\x7e\xd9data")
        .other(0x4000_0bad, b"\0\0\x7e\xd9data")
        .other(9, b"MESSAGE=hello\n")
        .enhanced(0, 1, b"b", &[]);
    let numbers: Vec<_> = frames(&file.bytes).iter().map(|f| f.number).collect();
    assert_eq!(numbers, [1, 5]);
}

#[test]
fn simple_packets_are_cut_to_the_snapshot_length() {
    for big in [false, true] {
        let file = File::empty(big)
            .section(-1)
            .interface(1, 3, &[])
            .simple(9, b"abcX")
            .simple(2, b"deXX")
            .enhanced_as(0, 0, (5, 5), b"fghij", &[]);
        let frames = frames(&file.bytes);
        let seen: Vec<_> = frames.iter().map(|f| (f.data.as_slice(), f.original_len)).collect();
        assert_eq!(seen, [(&b"abc"[..], 9), (b"de", 2), (b"fghij", 5)]);
    }
}

#[test]
fn check_sequences_are_stripped_in_bits_in_bytes_and_by_packet_flags() {
    for big in [false, true] {
        let flags = |length: u32| File::empty(big).u32(length << 5 | 0x1f).bytes;
        let file = File::empty(big)
            .section(-1)
            .interface(1, 0, &[(IF_FCSLEN, &[32])])
            .interface(1, 0, &[(IF_FCSLEN, &[4])])
            .interface(1, 0, &[])
            .enhanced(0, 0, b"datafcs!", &[])
            .enhanced(1, 0, b"datafcs!", &[])
            .enhanced(2, 0, b"datafcs!", &[])
            .enhanced(2, 0, b"datafcs!", &[(1, b"x"), (FLAGS, &flags(4))])
            .enhanced(0, 0, b"datafcs!", &[(FLAGS, &flags(2))])
            .enhanced(0, 0, b"datafcs!", &[(FLAGS, &flags(0))])
            .obsolete(2, 0, b"datafcs!", &[(FLAGS, &flags(4))])
            .simple(8, b"datafcs!");
        let frames = frames(&file.bytes);
        let kept: Vec<_> = frames.iter().map(|f| f.data.as_slice()).collect();
        let expected: [&[u8]; 8] =
            [b"data", b"data", b"datafcs!", b"data", b"datafc", b"data", b"data", b"data"];
        assert_eq!(kept, expected);
        assert!(frames.iter().all(|f| f.original_len as usize == f.data.len()));
    }
}

#[test]
fn padding_left_out_of_the_block_length_is_found() {
    for big in [false, true] {
        let file = File::pcapng(big);
        let body = file.part().u32(0).u32(0).u32(1).u32(5).u32(5).raw(b"abcde\0\0\0");
        let file = file.u32(6).u32(37).raw(&body.bytes).u32(37).enhanced(0, 2, b"f", &[]);
        let frames = frames(&file.bytes);
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0].data, b"abcde");
    }
}

#[test]
fn a_packet_of_an_interface_not_yet_described_is_damage() {
    let early = File::empty(false).section(-1).enhanced(0, 1, b"a", &[]).interface(1, 0, &[]);
    assert_eq!(
        complaint(&early.bytes),
        (0, "a packet is of interface 0, and its section has described 0 so far".into())
    );
    let simple = File::empty(false).section(-1).simple(1, b"a");
    assert!(complaint(&simple.bytes).1.contains("interface 0"));
    let obsolete = File::pcapng(true).enhanced(0, 1, b"a", &[]).obsolete(0xffff, 0, b"a", &[]);
    assert_eq!(complaint(&obsolete.bytes).0, 1);
    let of_the_section_before = File::pcapng(true).section(-1).enhanced(0, 1, b"a", &[]);
    assert_eq!(complaint(&of_the_section_before.bytes).0, 0);
    let huge = File::pcapng(true).enhanced(u32::MAX, 1, b"a", &[]);
    assert!(complaint(&huge.bytes).1.contains("4294967295"));
}

#[test]
fn broken_options_of_a_packet_harm_nothing() {
    let file = File::pcapng(false).part().u16(FLAGS).u16(40_000).u32(4 << 5);
    let file = File::pcapng(false).enhanced(0, 1, &[&b"data"[..], &file.bytes].concat(), &[]);
    let mut bytes = file.bytes;
    let captured = bytes.len() - 4 - 12 - 8;
    bytes[captured..captured + 4].copy_from_slice(&4_u32.to_le_bytes());
    assert_eq!(frames(&bytes)[0].data, b"data");
}
