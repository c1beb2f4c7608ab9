//! What a reader of pcapng finds. Whether Wireshark reads it is tested in `tests/tests/lines`.

use insta::assert_snapshot;
use pcap_file::pcapng::{Block, PcapNgReader};
use proptest::prelude::*;

use super::*;
use crate::sink::{LINE_LIMIT, samples};

fn written(events: &[Event]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sink = PcapNgSink::new(&mut out);
    events.iter().for_each(|event| sink.write(event).unwrap());
    sink.flush().unwrap();
    drop(sink);
    out
}

fn blocks(file: &[u8]) -> Vec<Block<'static>> {
    let mut reader = PcapNgReader::new(file).unwrap();
    let first = Block::SectionHeader(reader.section().clone());
    let rest = std::iter::from_fn(|| Some(reader.next_block()?.unwrap().into_owned()));
    std::iter::once(first).chain(rest).collect()
}

/// The blocks of a file in words.
fn read(file: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let words = |block| match block {
        Block::EnhancedPacket(p) => {
            let (data, of) = (hex(&p.data), p.original_len);
            format!(
                "packet on {} at {:?}, {of} bytes: {data}\n{:#?}",
                p.interface_id, p.timestamp, p.options
            )
        }
        Block::SystemdJournalExport(entry) => {
            let entry = String::from_utf8_lossy(&entry.journal_entry).into_owned();
            entry.trim_end_matches('\0').to_owned() // Without the padding.
        }
        other => format!("{other:#?}"),
    };
    blocks(file).into_iter().map(words).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn a_reset() {
    assert_snapshot!(read(&written(&[samples::unread_data()])));
}

#[test]
fn a_refusal() {
    assert_snapshot!(read(&written(&[samples::refusal()])));
}

#[test]
fn findings_and_counters_are_entries_of_a_journal() {
    assert_snapshot!(read(&written(&[samples::scan(), samples::stats()])));
}

#[test]
fn a_file_without_events_is_a_capture_all_the_same() {
    let blocks = blocks(&written(&[]));
    assert!(matches!(blocks[..], [Block::SectionHeader(_)]), "{blocks:?}");
}

#[test]
fn interfaces_are_described_once_and_not_without_end() {
    let on = |n: usize| {
        let Event::Rst(mut rst) = samples::unread_data() else { panic!("a reset") };
        rst.interface = Some(format!("veth{n}"));
        Event::Rst(rst)
    };
    let events: Vec<_> = (0..600).map(|n| on(n / 2)).collect();
    let blocks = blocks(&written(&events));
    let count = |is: fn(&Block<'_>) -> bool| blocks.iter().filter(|block| is(block)).count();
    let sections = count(|block| matches!(block, Block::SectionHeader(_)));
    let described = count(|block| matches!(block, Block::InterfaceDescription(_)));
    // Sections end where much has been written, too; at most one interface of each goes on in the next.
    assert!((2..10).contains(&sections), "{sections}");
    assert!((300..300 + sections).contains(&described), "{described}");
    assert_eq!(count(|block| matches!(block, Block::EnhancedPacket(_))), 1200);
}

#[test]
fn what_follows_a_flush_is_whole_by_itself() {
    let mut out = Vec::new();
    let mut sink = PcapNgSink::new(&mut out);
    for _ in 0..3 {
        sink.flush().unwrap();
    }
    sink.write(&samples::unread_data()).unwrap();
    sink.flush().unwrap();
    sink.write(&samples::unread_data()).unwrap();
    sink.flush().unwrap();
    drop(sink);
    let blocks = blocks(&out);
    let is_section = |block: &&Block<'_>| matches!(block, Block::SectionHeader(_));
    assert_eq!(blocks.iter().filter(is_section).count(), 3, "{blocks:?}");
    let last = blocks.iter().rposition(|block| is_section(&block)).unwrap();
    assert!(matches!(blocks[last + 1], Block::InterfaceDescription(_)), "{blocks:?}");
}

#[test]
fn more_than_an_ip_packet_can_hold_has_no_length() {
    let Event::Rst(mut rst) = samples::unread_data() else { panic!("a reset") };
    for (payload_len, length) in [(0, 40), (65_495, 65_535), (65_496, 0), (u32::MAX, 0)] {
        rst.segment.payload_len = payload_len;
        let headers = Packet::reset(&rst).headers();
        assert_eq!(u16::from_be_bytes([headers[2], headers[3]]), length);
    }
}

proptest! {
    #[test]
    fn any_event_can_be_written_and_read(event in samples::event()) {
        for block in blocks(&written(&[event])) {
            let Block::EnhancedPacket(packet) = block else { continue };
            prop_assert!(packet.data.len() <= packet.original_len as usize);
            let Some(EnhancedPacketOption::Comment(comment)) = packet.options.first() else {
                return Err(TestCaseError::fail("a packet without a comment"));
            };
            prop_assert!(comment.len() < LINE_LIMIT || comment.starts_with("flight"));
        }
    }
}
