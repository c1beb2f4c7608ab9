//! The golden cases: small captures, what a replay of each must say, and what it must not.
//!
//! In: stories. Out: a directory per case under `tests/cases`: the capture, `expect.json`, `README`.

mod encapsulations;
mod files;
mod lives;
mod oddities;

use serde_json::{Value, json};

use crate::capture_file::{Clock, Order, pcap};
use crate::story::Story;

/// Link-layer header types, numbered as in the pcap registry.
pub mod link {
    pub const NULL: u32 = 0;
    pub const ETHERNET: u32 = 1;
    pub const FDDI: u32 = 10;
    pub const RAW: u32 = 101;
    pub const IEEE802_11: u32 = 105;
    pub const LINUX_SLL: u32 = 113;
    pub const LINUX_SLL2: u32 = 276;
}

/// One golden case.
pub struct Case {
    /// Name of its directory.
    pub name: &'static str,
    /// What it shows, in a sentence or two.
    pub about: &'static str,
    /// Name of the capture in the directory.
    pub file_name: &'static str,
    /// The capture.
    pub file: Vec<u8>,
    /// Exit code of the replay.
    pub exit: u8,
    /// One per event, in the order of the file: keys and values that the event must have.
    pub events: Vec<Value>,
    /// Keys and values that no event may have together.
    pub not: Vec<Value>,
}

impl Case {
    /// A case in an Ethernet pcap file of microseconds.
    pub fn of(name: &'static str, about: &'static str, story: Story) -> Self {
        Self::over(link::ETHERNET, name, about, story)
    }

    /// A case in a pcap file of another link type.
    pub fn over(link: u32, name: &'static str, about: &'static str, story: Story) -> Self {
        let file = pcap(link, Order::Little, Clock::Microseconds, &story.frames);
        Self::in_file("capture.pcap", file, name, about, story)
    }

    /// A case in a file made by the caller.
    pub fn in_file(
        file_name: &'static str,
        file: Vec<u8>,
        name: &'static str,
        about: &'static str,
        story: Story,
    ) -> Self {
        let events = story.events;
        Self { name, about, file_name, file, exit: 0, events, not: Vec::new() }
    }

    /// Says what no event may say.
    pub fn never(mut self, what: Value) -> Self {
        self.not.push(what);
        self
    }

    /// Nothing in the capture tells who opened the connection: ports may suggest it, no more.
    pub fn never_claims_a_handshake(self) -> Self {
        self.never(json!({"initiator": "syn"})).never(json!({"initiator": "syn_ack"}))
    }

    /// The file ends amid a frame.
    pub fn fails(mut self) -> Self {
        self.exit = 1;
        self
    }

    /// The expectation as it stands in the directory.
    pub fn expectation(&self) -> String {
        let lines = |values: &[Value]| {
            let lines: Vec<_> = values.iter().map(|v| format!("\n    {v}")).collect();
            lines.join(",")
        };
        format!(
            "{{\n  \"exit\": {},\n  \"events\": [{}\n  ],\n  \"not\": [{}\n  ]\n}}\n",
            self.exit,
            lines(&self.events),
            lines(&self.not)
        )
    }

    /// The README as it stands in the directory.
    pub fn readme(&self) -> String {
        format!("{}\n\nMade frame by frame by tests/src/cases.\n", self.about)
    }
}

/// All of them.
pub fn all() -> Vec<Case> {
    let mut cases = lives::cases();
    cases.extend(oddities::cases());
    cases.extend(encapsulations::cases());
    cases.extend(files::cases());
    cases
}
