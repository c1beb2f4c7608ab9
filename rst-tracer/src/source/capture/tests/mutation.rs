//! Files changed at random: no panic, nothing read that is not there, the same from any reader.

use proptest::prelude::*;

use super::build::File;
use super::{Capture, Trickle, assert_same_at_hand, read};

fn sample(kind: usize, big: bool) -> Vec<u8> {
    match kind {
        0 => {
            File::pcap(big, 0xa1b2_c3d4, 0x2400_0001)
                .record((1, 2), (5, 5), b"first")
                .record((3, 4), (10, 90), b"the second")
                .bytes
        }
        1 => {
            File::pcap(big, 0xa1b2_cd34, 101)
                .record((1, 2), (5, 5), b"iiiipptxfirst")
                .record((3, 4), (3, 9), b"iiiipptxtwo")
                .bytes
        }
        _ => {
            File::empty(big)
                .section(-1)
                .interface(1, 9, &[(2, b"eth0"), (9, &[0x8a]), (13, &[32]), (14, &[0x7f; 8])])
                .enhanced(0, u64::MAX, b"first frame", &[(2, &[0xff; 4]), (1, b"comment")])
                .other(0x0bad, b"custom")
                .section(40)
                .interface(101, 0, &[(9, &[9])])
                .obsolete(0, 77, b"second", &[(2, &[0x20; 4])])
                .simple(5, b"third")
                .other(0x7777, b"unknown")
                .enhanced(0, 1, b"fourth", &[])
                .bytes
        }
    }
}

/// Values on which length arithmetic breaks, and any others.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(0),
        0..80_u32,
        Just(0x7fff_ffff),
        Just(0x8000_0000),
        (u32::MAX - 40)..=u32::MAX,
        Just(256 << 20),
        any::<u32>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damage_of_any_kind_neither_panics_nor_invents_bytes(
        kind in 0..3_usize,
        big: bool,
        swap: bool,
        numbers in prop::collection::vec((any::<prop::sample::Index>(), number()), 0..4),
        bytes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        cuts: bool,
    ) {
        let mut file = sample(kind, big);
        for (at, value) in numbers {
            let at = at.index(file.len() / 4) * 4;
            let value = if big != swap { value.to_be_bytes() } else { value.to_le_bytes() };
            file[at..at + 4].copy_from_slice(&value);
        }
        for (at, value) in bytes {
            let at = at.index(file.len());
            file[at] = value;
        }
        if cuts {
            file.truncate(cut.index(file.len()));
        }

        let (frames, error) = read(file.as_slice());
        let kept: usize = frames.iter().map(|f| f.data.len()).sum();
        prop_assert!(kept <= file.len());
        for frame in &frames {
            prop_assert!(
                frame.data.is_empty() || file.windows(frame.data.len()).any(|w| w == frame.data)
            );
        }
        prop_assert!(frames.is_sorted_by(|a, b| a.number < b.number));

        let (again, same) = read(Trickle(&file));
        prop_assert_eq!(frames, again);
        prop_assert_eq!(error.map(|e| e.to_string()), same.map(|e| e.to_string()));
        assert_same_at_hand(&file);
    }

    #[test]
    fn anything_behind_a_magic_number_is_bounded(
        magic in prop::sample::select(vec![
            0xa1b2_c3d4_u32, 0xd4c3_b2a1, 0xa1b2_3c4d, 0x4d3c_b2a1, 0xa1b2_cd34, 0x0a0d_0d0a,
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let file = [&magic.to_be_bytes()[..], &rest].concat();
        if let Ok(mut capture) = Capture::open(file.as_slice()) {
            while let Ok(Some(frame)) = capture.next() {
                prop_assert!(frame.data.len() <= file.len());
            }
            prop_assert!(capture.bytes_read() <= file.len() as u64);
        }
    }
}
