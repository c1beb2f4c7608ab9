//! Zeek's conn_state and history, as Zeek gives them for the same segments.

use crate::correlate::story::{ACK, Client, Packet, RST, SYN, Server, Story};
use crate::event::ConnState::{self, *};

/// What happens, and what Zeek makes of it with the reset included.
type Row = (&'static str, fn(&mut Story), ConnState, &'static str);

const TABLE: &[Row] = &[
    ("refused SYN", |s| _ = s.syn().disown(Server), Rej, "Sr"),
    ("abort by the originator", |s| _ = s.handshake().exchange().abort(Client), Rsto, "ShADadR"),
    ("abort by the responder", |s| _ = s.handshake().exchange().abort(Server), Rstr, "ShADadr"),
    ("SYN and RST, no answer", |s| _ = s.syn().abort(Client), Rstos0, "SR"),
    ("SYN-ACK refused", |s| _ = s.syn().syn_ack().disown(Client), Rsto, "ShR"),
    ("SYN-ACK and RST, no SYN", |s| _ = s.syn_ack().abort(Server), Rstrh, "^hr"),
    ("SYN-ACK refused, no SYN", |s| _ = s.syn_ack().disown(Client), Rsto, "^hR"),
    ("midstream, by the originator", |s| _ = s.exchange().abort(Client), Rsto_midstream, "DadAR"),
    ("both FINs before", both_fins, Sf, "ShADadFfR"),
    ("FIN and then RST", |s| _ = s.handshake().fin(Client).abort(Client), Rsto, "ShAFR"),
    (
        "RST of the closed side's peer",
        |s| _ = s.handshake().fin(Client).abort(Server),
        Rstr,
        "ShAFr",
    ),
    ("nothing but the RST", |s| _ = s.abort(Client), Oth, "R"),
    ("nothing but the server's RST", |s| _ = s.abort(Server), Rstrh, "^r"),
    ("an ACK to the SYN, then refused", early_ack, Rstos0, "SaR"),
];

/// Zeek: an originator that resets a partial connection with a partial responder is `OTH`.
#[allow(non_upper_case_globals)]
const Rsto_midstream: ConnState = Oth;

fn both_fins(story: &mut Story) {
    story.handshake().exchange().fin(Client).fin(Server).disown(Client);
}

fn early_ack(story: &mut Story) {
    story.syn();
    let old = Packet { ack: 77, seq: 999, ..story.packet(Server, ACK) };
    story.send(old).disown(Client);
}

#[test]
fn every_state_is_the_one_of_zeek() {
    for (what, tell, state, history) in TABLE {
        let mut story = Story::v4();
        tell(&mut story);
        let event = story.first();
        assert_eq!(event.history.as_deref(), Some(*history), "{what}");
        assert_eq!(event.conn_state, Some(*state), "{what}");
    }
}

#[test]
fn two_resets_without_data_are_a_rejection() {
    let mut story = Story::v4();
    story.handshake().abort(Client).abort(Server);
    let told = story.told();
    assert_eq!(told[0].conn_state, Some(Rsto));
    assert_eq!(told[1].conn_state, Some(Rej));
    assert_eq!(told[1].history.as_deref(), Some("ShARr"));
}

#[test]
fn the_first_to_speak_is_the_originator_when_nothing_else_tells() {
    let mut story = Story::between(false, 50000, 60000);
    story.say(Server, b"x").ack(Client).abort(Client);
    let event = story.first();
    assert_eq!(event.history.as_deref(), Some("Dar"));
    // The responder resets what was never seen to begin.
    assert_eq!(event.conn_state, Some(Rstrh));
}

#[test]
fn a_reset_with_other_flags_keeps_its_own_letter() {
    let mut story = Story::v4();
    story.handshake();
    let odd = Packet { flags: RST | SYN | ACK, ..story.packet(Client, RST | ACK) };
    let event = story.send(odd).first();
    assert_eq!(event.history.as_deref(), Some("ShAQ"));
    assert_eq!(event.conn_state, Some(Rsto));
}
