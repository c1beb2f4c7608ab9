//! Damaged and truncated files: the frames before the damage, one clear error, bounded memory.

use std::io::{self, ErrorKind, Read};

use super::build::File;
use super::{Capture, CaptureError, Trickle, assert_same_at_hand, complaint, read};

const INITIAL_BUFFER: usize = 256 * 1024;

/// A file of each kind, and where each of its frames ends.
fn samples() -> Vec<(Vec<u8>, Vec<usize>)> {
    let mut samples = Vec::new();
    for big in [false, true] {
        let mut file = File::pcap(big, 0xa1b2_c3d4, 1);
        let mut ends = Vec::new();
        for data in [&b"first"[..], b"", b"the third"] {
            let length = data.len() as u32;
            file = file.record((1, 2), (length, length), data);
            ends.push(file.bytes.len());
        }
        samples.push((file.bytes, ends));

        let mut ends = Vec::new();
        let file = File::pcapng(big).enhanced(0, 1, b"first", &[(1, b"comment")]);
        ends.push(file.bytes.len());
        let file = file.other(0x7777, b"unknown").section(-1).interface(101, 9, &[(2, b"tun0")]);
        let file = file.simple(20, b"123456789");
        ends.push(file.bytes.len());
        let file = file.other(0x0bad, b"custom").obsolete(0, 3, b"third", &[]);
        ends.push(file.bytes.len());
        samples.push((file.other(5, b"statistics").bytes, ends));
    }
    samples
}

#[test]
fn a_cut_at_any_byte_yields_exactly_the_frames_wholly_before_it() {
    for (file, ends) in samples() {
        let (whole, error) = read(file.as_slice());
        assert!(error.is_none() && whole.len() == ends.len(), "{error:?}");
        for cut in 0..file.len() {
            let before = ends.iter().filter(|end| **end <= cut).count();
            let (frames, error) = read(&file[..cut]);
            assert_eq!(frames, whole[..before], "cut at {cut}");
            assert_same_at_hand(&file[..cut]);
            match error {
                None => {}
                Some(CaptureError::NotACapture(_)) => assert!(cut < 4),
                Some(CaptureError::CutOff { after_frame, offset }) => {
                    assert!(offset < cut as u64 && after_frame >= before as u64);
                }
                Some(e) => panic!("cut at {cut}: {e}"),
            }
        }
    }
}

#[test]
fn a_cut_between_records_is_the_end_and_one_inside_is_not() {
    for (file, ends) in samples() {
        for end in ends {
            assert!(read(&file[..end]).1.is_none());
            assert!(matches!(read(&file[..end - 1]).1, Some(CaptureError::CutOff { .. })));
        }
    }
}

#[test]
fn a_pipe_that_trickles_gives_the_same_frames() {
    for (file, _) in samples() {
        assert_eq!(read(Trickle(&file)).0, read(file.as_slice()).0);
    }
}

#[test]
fn a_claimed_length_allocates_nothing() {
    let pcap = File::old_pcap(false, 0xa1b2_c3d4, (2, 4), u32::MAX, 1).record(
        (0, 0),
        (128 << 20, 128 << 20),
        b"short",
    );
    let pcapng = File::pcapng(true).u32(6).u32(256 << 20).raw(b"short, but long enough to begin");
    for file in [pcap, pcapng] {
        let mut capture = Capture::open(file.bytes.as_slice()).unwrap();
        assert!(matches!(capture.next(), Err(CaptureError::CutOff { after_frame: 0, .. })));
        assert_eq!(capture.input.memory(), INITIAL_BUFFER);
    }
}

#[test]
fn a_long_block_that_is_not_wanted_is_not_kept() {
    const LENGTH: u32 = 64 << 20;
    let start = File::pcapng(false).u32(0x7777).u32(LENGTH);
    let end = File::empty(false).u32(LENGTH).enhanced(0, 1, b"abc", &[]);
    let stream = start
        .bytes
        .chain(io::repeat(0x55).take(u64::from(LENGTH) - 12))
        .chain(end.bytes.as_slice());
    let mut capture = Capture::open(stream).unwrap();
    assert_eq!(capture.next().unwrap().map(|f| f.data.to_vec()), Some(b"abc".to_vec()));
    assert_eq!(capture.input.memory(), INITIAL_BUFFER);
}

#[test]
fn block_lengths_that_cannot_be_are_damage() {
    for big in [false, true] {
        for length in [0, 4, 8, 11, (256 << 20) + 1, u32::MAX] {
            for kind in [1, 2, 3, 6, 0x0bad, 0x7777] {
                let file =
                    File::pcapng(big).enhanced(0, 1, b"a", &[]).u32(kind).u32(length).raw(&[0; 64]);
                let (after, what) = complaint(&file.bytes);
                assert_eq!(after, 1);
                assert!(what.contains(&format!("claims {length} bytes")), "{what}");
            }
        }
    }
}

#[test]
fn two_lengths_of_a_block_that_differ_are_damage() {
    for big in [false, true] {
        for kind in [1, 6, 0x0bad, 0x7777] {
            let file = File::pcapng(big).enhanced(0, 1, b"a", &[]);
            let file = file.u32(kind).u32(48).raw(&[0; 36]).u32(44);
            let (after, what) = complaint(&file.bytes);
            assert_eq!(after, 1);
            assert!(what.contains("48 bytes at its start and 44 at its end"), "{what}");
        }
    }
}

#[test]
fn blocks_too_short_for_what_they_are_are_damage() {
    for kind in [1, 2, 3, 6] {
        let file = File::pcapng(false).other(kind, b"").enhanced(0, 1, b"a", &[]);
        assert!(complaint(&file.bytes).1.contains("too short"));
    }
    let section = File::pcapng(false).other(0x0a0d_0d0a, &0x1a2b_3c4d_u32.to_le_bytes());
    assert!(complaint(&section.bytes).1.contains("too short"));
}

#[test]
fn packets_longer_than_their_block_are_damage() {
    for claimed in [6, 9, u32::MAX - 3, u32::MAX] {
        let enhanced = File::pcapng(true).enhanced_as(0, 0, (claimed, 1), b"a", &[]);
        assert!(complaint(&enhanced.bytes).1.contains("room for 4"));
        let simple = File::pcapng(true).simple(claimed, b"a");
        assert!(complaint(&simple.bytes).1.contains("room for 4"));
    }
}

#[test]
fn sections_that_cannot_be_read_are_damage() {
    let magic = File::pcapng(false).other(0x0a0d_0d0a, b"oops, a section");
    assert!(complaint(&magic.bytes).1.contains("byte-order magic"));
    let body = File::empty(true).u32(0x1a2b_3c4d).u16(2).u16(0).i64(-1);
    let version = File::pcapng(true).block(0x0a0d_0d0a, body);
    assert!(complaint(&version.bytes).1.contains("version 2"));
}

#[test]
fn options_of_an_interface_that_overrun_the_block_are_damage() {
    let body = File::empty(false).u16(1).u16(0).u32(0).u16(9).u16(200).u32(0);
    let file = File::empty(false).section(-1).block(1, body);
    assert!(complaint(&file.bytes).1.contains("longer than the block"));
}

#[test]
fn interfaces_without_end_are_damage() {
    let header = File::empty(false).section(-1);
    let one = File::empty(false).interface(1, 0, &[]);
    let file = [header.bytes, one.bytes.repeat(65_537)].concat();
    assert!(complaint(&file).1.contains("65536 interfaces"));
}

#[test]
fn errors_of_the_reader_come_through_and_interruptions_do_not() {
    struct Interrupted<R>(R, bool);
    impl<R: Read> Read for Interrupted<R> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 { Err(ErrorKind::Interrupted.into()) } else { self.0.read(into) }
        }
    }
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is on fire"))
        }
    }
    let (file, ends) = samples().remove(0);
    assert_eq!(read(Interrupted(Trickle(&file), false)).0.len(), ends.len());
    let (frames, error) = read(file[..ends[0]].chain(Broken));
    assert_eq!(frames.len(), 1);
    assert!(error.unwrap().to_string().contains("the disk is on fire"));
}
