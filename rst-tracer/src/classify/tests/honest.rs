//! Honest endpoints before a careless observer: whatever it misses, sees twice or in another order,
//! nobody is proven to be a forger.

use proptest::prelude::*;

use crate::correlate::story::{ACK, Client, FIN, PSH, Packet, Server, Story, Who};
use crate::event::{Origin, RstEvent};

/// How far away both sides are, there and back.
const AWAY_US: u64 = 8000;

/// A segment and when it passed.
type Passed = (u64, Packet);

/// Two honest TCPs, taken down segment by segment.
struct Transcript {
    story: Story,
    now: u64,
    passed: Vec<Passed>,
    /// Answers that are on their way.
    answers: Vec<Packet>,
}

impl Transcript {
    fn wait(&mut self, us: u64) {
        self.now += us * 1000;
        self.story.at(self.now);
    }

    fn send(&mut self, packet: Packet) {
        self.story.at(self.now);
        self.story.send(packet.clone());
        self.passed.push((self.now, packet));
        self.wait(50);
    }

    /// A segment that `of` does not know any more, and will disown.
    fn ask(&mut self, of: Who, packet: Packet) {
        self.send(packet);
        self.answers.push(self.story.answer(of));
    }

    fn say(&mut self, from: Who, len: usize) {
        let usual = self.story.packet(from, PSH | ACK);
        self.send(Packet { payload: vec![b'x'; len], ..usual });
    }
}

/// How an honest connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Abort,
    AbortAmidTheOthersData,
    GoneAndDisowning,
    DataBehindTheFin,
    BothFinsThenDisowning,
}

const ENDS: [End; 5] = [
    End::Abort,
    End::AbortAmidTheOthersData,
    End::GoneAndDisowning,
    End::DataBehindTheFin,
    End::BothFinsThenDisowning,
];

fn tell(v6: bool, words: &[(bool, u16, u16)], end: End, x: Who) -> Vec<Passed> {
    use crate::correlate::story::{RST, SYN};
    let y = if x == Client { Server } else { Client };
    let story = Story::between(v6, 51234, 443);
    let mut t =
        Transcript { story, now: 1_700_000_000_000_000_000, passed: vec![], answers: vec![] };
    t.send(t.story.packet(Client, SYN));
    t.wait(AWAY_US);
    t.send(Packet { ip_id: 0, ..t.story.packet(Server, SYN | ACK) });
    t.wait(AWAY_US);
    t.send(t.story.packet(Client, ACK));
    for (by_client, len, us) in words {
        let (from, to) = if *by_client { (Client, Server) } else { (Server, Client) };
        t.say(from, usize::from(*len % 1400) + 1);
        t.wait(AWAY_US + u64::from(*us));
        t.send(t.story.packet(to, ACK));
    }
    match end {
        End::Abort => t.send(t.story.packet(x, RST | ACK)),
        End::AbortAmidTheOthersData => {
            let base = t.story.packet(y, PSH | ACK);
            t.send(t.story.packet(x, RST | ACK));
            for i in 0..3_u32 {
                let seq = base.seq.wrapping_add(i * 500);
                t.ask(x, Packet { seq, payload: vec![b'y'; 500], ..base.clone() });
            }
        }
        End::GoneAndDisowning => {
            // X's last data is still under way when it is gone.
            (0..3).for_each(|_| t.say(x, 900));
            let next = t.story.packet(y, ACK).ack;
            for i in [2_u32, 1, 0] {
                t.ask(x, Packet { ack: next.wrapping_sub(i * 900), ..t.story.packet(y, ACK) });
            }
        }
        End::DataBehindTheFin => {
            t.send(t.story.packet(x, FIN | ACK));
            for _ in 0..2 {
                let data = t.story.packet(y, PSH | ACK);
                t.ask(x, Packet { payload: vec![b'y'; 300], ..data });
            }
        }
        End::BothFinsThenDisowning => {
            t.send(t.story.packet(x, FIN | ACK));
            t.ask(x, t.story.packet(y, FIN | ACK));
        }
    }
    t.wait(AWAY_US);
    std::mem::take(&mut t.answers).into_iter().for_each(|answer| t.send(answer));
    t.passed
}

/// What an observer does with one segment.
#[derive(Clone, Copy, Debug)]
enum Care {
    Seen,
    Missed,
    Twice,
    /// A millisecond later, behind others.
    Late,
}

fn care() -> impl Strategy<Value = Care> {
    prop_oneof![
        8 => Just(Care::Seen),
        2 => Just(Care::Missed),
        1 => Just(Care::Twice),
        2 => Just(Care::Late),
    ]
}

fn observe(v6: bool, passed: Vec<Passed>, cares: &[Care]) -> Vec<RstEvent> {
    let mut story = Story::between(v6, 51234, 443);
    let mut seen: Vec<Passed> = Vec::new();
    for (i, (time, packet)) in passed.into_iter().enumerate() {
        match cares[i % cares.len()] {
            Care::Missed => {}
            Care::Seen => seen.push((time, packet)),
            Care::Late => seen.push((time + 1_000_000, packet)),
            Care::Twice => seen.extend([(time, packet.clone()), (time + 20_000, packet)]),
        }
    }
    seen.sort_by_key(|(time, _)| *time);
    for (time, packet) in seen {
        story.at(time);
        story.send(packet);
    }
    story.told()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_observer_takes_honest_endpoints_for_a_forger(
        v6: bool,
        words in proptest::collection::vec((any::<bool>(), any::<u16>(), 50..20_000_u16), 0..8),
        end in proptest::sample::select(&ENDS[..]),
        by_client: bool,
        cares in proptest::collection::vec(care(), 40),
    ) {
        let x = if by_client { Client } else { Server };
        for event in observe(v6, tell(v6, &words, end, x), &cares) {
            prop_assert!(event.origin != Origin::MiddleboxProven, "{event:#?}");
        }
    }
}
