//! TCP options: those that are read, in any order, and those that are broken.

use rst_tracer_common::wire::{Seq, Tcp as Header, option::*};
use rst_tracer_tests::frames::{Tcp, patched, rst, tcp};

use crate::behaviour::{Outcome, reported};

/// A RST with these options, which are padded with end-of-options to whole words.
fn with(options: &[u8]) -> Vec<u8> {
    let mut options = options.to_vec();
    options.resize(options.len().next_multiple_of(4), 0);
    tcp(Tcp { options, ..rst() }).v4().frame()
}

/// Reported with `len` bytes of options, from which this was read.
fn read(len: u8, differs: impl FnOnce(&mut Header)) -> Outcome {
    reported(|s| {
        s.tcp.header_len += len;
        s.payload_at += u16::from(len);
        differs(&mut s.tcp);
    })
}

/// A timestamps option.
const STAMPS: [u8; 10] = [8, 10, 1, 2, 3, 4, 5, 6, 7, 8];

fn stamped(tcp: &mut Header) {
    tcp.options |= TIMESTAMPS;
    (tcp.tsval, tcp.tsecr) = (0x0102_0304, 0x0506_0708);
}

/// A SACK option with these right edges.
fn sack(right_edges: &[u32]) -> Vec<u8> {
    let mut option = vec![5, (2 + right_edges.len() * 8) as u8];
    for right in right_edges {
        option.extend((right.wrapping_sub(10)).to_be_bytes());
        option.extend(right.to_be_bytes());
    }
    option
}

/// What Linux puts on a SYN.
fn of_a_syn() -> Vec<u8> {
    [&[2, 4, 5, 180, 4, 2][..], &STAMPS, &[1, 3, 3, 7]].concat()
}

behaviours! {
    a_maximum_segment_size: with(&[2, 4, 5, 180]) => read(4, |t| (t.mss, t.options) = (1460, MSS));
    a_window_scale: with(&[1, 3, 3, 14]) => read(4, |t| (t.scale, t.options) = (14, WINDOW_SCALE));
    sack_permitted: with(&[4, 2]) => read(4, |t| t.options = SACK_PERMITTED);
    one_sack_block: with(&sack(&[500])) => read(12, |t| {
        (t.sack_right, t.options) = (Seq(500), SACK);
    });
    four_sack_blocks_yield_the_highest_edge: with(&sack(&[500, 900, 300, 800])) => read(36, |t| {
        (t.sack_right, t.options) = (Seq(900), SACK);
    });
    the_highest_edge_is_so_on_the_circle: with(&sack(&[u32::MAX - 5, 20])) => read(20, |t| {
        (t.sack_right, t.options) = (Seq(20), SACK);
    });
    a_sack_option_of_half_a_block_is_another_option: with(&[5, 6, 0, 0, 0, 0]) => read(8, |t| {
        t.options = OTHER;
    });
    timestamps_where_they_usually_stand: with(&[&[1, 1][..], &STAMPS].concat()) => read(12, stamped);
    timestamps_elsewhere: with(&[&STAMPS[..], &[1, 1]].concat()) => read(12, stamped);
    timestamps_before_a_sack: with(&[&[1, 1][..], &STAMPS, &[1, 1], &sack(&[77])].concat())
        => read(24, |t| {
            stamped(t);
            t.options |= SACK;
            t.sack_right = Seq(77);
        });
    the_options_of_a_syn: with(&of_a_syn()) => read(20, |t| {
        stamped(t);
        t.options |= MSS | SACK_PERMITTED | WINDOW_SCALE;
        (t.mss, t.scale) = (1460, 7);
    });
    forty_bytes_of_nothing: with(&[1; 40]) => read(40, |_| {});
    twenty_options_in_forty_bytes: with(&[4, 2].repeat(20)) => read(40, |t| {
        t.options = SACK_PERMITTED;
    });
    the_end_ends_the_walk: with(&[0, 2, 4, 5, 180, 1, 1, 1]) => read(8, |_| {});
    a_multipath_reset_says_why: with(&[30, 4, 0x80, 2]) => read(4, |t| {
        (t.options, t.mptcp_subtype, t.mptcp_reason) = (MPTCP, 8, 2);
    });
    a_multipath_reset_wins_over_other_subtypes:
        with(&[30, 4, 0x80, 3, 30, 8, 0x20, 0, 0, 0, 0, 0]) => read(12, |t| {
            (t.options, t.mptcp_subtype, t.mptcp_reason) = (MPTCP, 8, 3);
        });
    a_multipath_fastclose_is_told_apart: with(&[30, 12, 0x70, 0, 1, 2, 3, 4, 5, 6, 7, 8])
        => read(12, |t| (t.options, t.mptcp_subtype) = (MPTCP, 7));
    a_multipath_option_without_a_subtype_is_another_option: with(&[30, 2]) => read(4, |t| {
        t.options = OTHER;
    });
    md5_is_authentication: with(&[&[19, 18][..], &[9; 16]].concat()) => read(20, |t| {
        t.options = AUTHENTICATION;
    });
    the_authentication_option_too: with(&[&[29, 16][..], &[9; 14]].concat()) => read(16, |t| {
        t.options = AUTHENTICATION;
    });
    a_fast_open_cookie: with(&[34, 6, 1, 2, 3, 4]) => read(8, |t| t.options = FAST_OPEN);
    an_unknown_option: with(&[254, 4, 1, 2]) => read(4, |t| t.options = OTHER);
    a_known_option_of_another_length: with(&[2, 3, 1, 1]) => read(4, |t| t.options = OTHER);
    a_length_of_zero_is_broken: with(&[8, 0, 1, 1]) => read(4, |t| t.options = BROKEN);
    a_length_of_one_is_broken: with(&[8, 1, 1, 1]) => read(4, |t| t.options = BROKEN);
    a_length_past_the_header_is_broken: with(&[1, 1, 2, 4]) => read(4, |t| t.options = BROKEN);
    a_kind_without_a_length_is_broken: with(&[1, 1, 1, 8]) => read(4, |t| t.options = BROKEN);
    what_stands_before_a_broken_option_counts: with(&[2, 4, 5, 180, 3, 0, 4, 2]) => read(8, |t| {
        (t.mss, t.options) = (1460, MSS | BROKEN);
    });
    payload_behind_a_broken_option_is_not_its_length:
        tcp(Tcp { options: vec![1, 1, 1, 8], payload: vec![2; 8], ..rst() }).v4().frame()
        => read(4, |t| (t.payload_len, t.options) = (8, BROKEN));
    reserved_bits_are_kept: tcp(Tcp { reserved: 0x5, ..rst() }).v4().frame()
        => reported(|s| s.tcp.reserved = 5);
    every_control_bit_is_kept: patched(rst().layer().v4().frame(), 47, &[0xff])
        => reported(|s| s.tcp.flags.0 = 0xff);
    the_acknowledgment_field_is_kept_without_its_bit: patched(rst().layer().v4().frame(), 47, &[4])
        => reported(|s| s.tcp.flags.0 = 4);
}
