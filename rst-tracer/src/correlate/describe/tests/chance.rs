//! Any sequence of segments, sensible or not, gives an event that keeps the contract.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::correlate::story::{Client, Packet, RST, Server, Story};
use crate::event::{Cause, Event};

/// A segment that is near the truth, or far from it.
fn step() -> impl Strategy<Value = (bool, u8, i32, i32, u16, usize, Option<u64>, bool)> {
    let flags = prop_oneof![
        4 => prop::sample::select(vec![0x02_u8, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14]),
        1 => any::<u8>(),
    ];
    let off = || prop_oneof![4 => Just(0), 2 => -3..3_i32, 1 => any::<i32>()];
    let time = prop_oneof![6 => Just(None), 1 => any::<u64>().prop_map(Some)];
    (any::<bool>(), flags, off(), off(), any::<u16>(), 0..40_usize, time, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_reset_gives_an_event_that_adds_up(v6: bool, steps in vec(step(), 1..40)) {
        let mut story = if v6 { Story::v6() } else { Story::v4() };
        let mut resets = 0;
        for (client, flags, seq, ack, window, len, time, bare) in steps {
            let usual = story.packet(if client { Client } else { Server }, flags);
            let packet = Packet {
                seq: usual.seq.wrapping_add_signed(seq),
                ack: usual.ack.wrapping_add_signed(ack),
                window: if bare { 0 } else { window },
                options: if bare { vec![] } else { usual.options.clone() },
                payload: vec![b'.'; if bare { 0 } else { len }],
                ..usual
            };
            resets += usize::from(flags & RST != 0);
            if let Some(now) = time {
                story.at(now);
            }
            story.send(packet);
        }
        let told = story.told();
        prop_assert_eq!(told.len(), resets, "one event a reset");
        for event in told {
            let others: u32 =
                event.alternatives.iter().map(|a| u32::from(a.confidence.percent())).sum();
            prop_assert!(u32::from(event.confidence.percent()) + others <= 103);
            prop_assert_eq!(event.class, event.cause.class());
            let is_unknown = matches!(event.cause, Cause::Unknown | Cause::NoConnectionSeen);
            prop_assert_eq!(is_unknown, event.evidence.is_empty());
            let json = serde_json::to_string(&Event::from(event)).unwrap();
            prop_assert!(json.len() < 4096, "{} bytes: {}", json.len(), json);
            let read: Event = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
    }
}
