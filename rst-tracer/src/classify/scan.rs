//! Scanners and the answers to them: probes that no socket stands behind.

use rst_tracer_common::{
    flow::{Facts, flag},
    wire::{Flags, option},
};

use super::{Case, Form, Opinion, Past, Rule, refused, ttl};
use crate::event::Cause;

pub(super) const RULES: &[Rule] = &[probe, by_the_tool, response, odd_flags];

/// How a scanner writes its SYN. Its host's TCP, which knows nothing of the SYN, answers the
/// SYN-ACK with a reset.
struct Scanner {
    name: &'static str,
    writes: fn(&Past<'_>) -> bool,
}

/// Defaults of the tools: zmap, src/probe_modules/packet.c; masscan, src/templ-pkt.c; nmap,
/// scan_engine_raw.cc and osscan2.cc (`prbWindowSz`).
static SCANNERS: [Scanner; 4] = [
    Scanner { name: "ZMap", writes: |past| past.my_facts().first_ip_id == 54321 },
    Scanner {
        name: "masscan",
        writes: |past| past.my_facts().options == 0 && past.my_facts().first_window == 1024,
    },
    Scanner {
        name: "nmap's SYN scan",
        writes: |past| {
            let facts = past.my_facts();
            let window = facts.first_window;
            facts.options == option::MSS && (1024..=4096).contains(&window) && window % 1024 == 0
        },
    },
    Scanner {
        name: "nmap's detection of systems",
        writes: |past| {
            let facts = past.my_facts();
            let odd = matches!(facts.first_window, 1..=16 | 63 | 512);
            let many = option::TIMESTAMPS | option::WINDOW_SCALE;
            facts.options & many != 0 && odd && facts.first_ttl <= 64
        },
    },
];

/// A SYN that no TCP stack wrote, and a stack that does not know the SYN-ACK to it.
fn probe(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.past.filter(|past| case.refuses_the_syn_ack() && past.has(flag::SYN))
    else {
        return vec![];
    };
    let (facts, rst) = (past.my_facts(), case.segment());
    let mut opinion = Opinion::new(Cause::ScannerProbe, 0.2);
    let mut signs = 0;
    if let Some(scanner) = tool(&past) {
        signs += 2;
        let text = format!(
            "the SYN (window {}, IP ID {}, {}) is written as {} writes it",
            facts.first_window,
            facts.first_ip_id,
            how_many_options(facts),
            scanner.name
        );
        opinion = opinion.because("scanner_syn", 2.0, text);
    }
    if facts.options == 0 {
        signs += 1;
        let text = "the SYN has no options; every common TCP stack sends some";
        opinion = opinion.because("syn_without_options", 1.5, text);
    }
    if by_another_hand(case, &past) && !is_stack_syn(&past) {
        signs += 1;
        let text = format!(
            "the SYN's TTL is {}, that of the reset {}: the SYN was not written by the same TCP",
            facts.first_ttl, rst.ttl
        );
        opinion = opinion.because("syn_ttl", 1.5, text);
    }
    opinion.probability = [0.2, 0.75, 0.92, 0.95][signs.min(3)];
    if signs == 0 && !is_stack_syn(&past) {
        // A small device's TCP, a tool's, or that of somebody who uses the client's address.
        let text = format!(
            "hardly a common TCP wrote the SYN (window {}, {})",
            facts.first_window,
            how_many_options(facts)
        );
        opinion.probability = 0.36;
        let spoofed = Opinion::new(Cause::Backscatter, 0.3);
        return vec![
            opinion.because("odd_syn", 1.0, text.clone()),
            spoofed.because("odd_syn", 1.0, text),
        ];
    }
    if is_spoofed(case, &past) {
        let text = format!(
            "no common TCP wrote the SYN (window {}), and by its TTL {} it came a longer way than the \
             reset with {}: somebody else wrote it in this address's name",
            facts.first_window, facts.first_ttl, rst.ttl
        );
        let spoofed = Opinion::new(Cause::Backscatter, 0.6).because("spoofed_syn", 1.5, text);
        opinion.probability = 0.35;
        return vec![spoofed, opinion];
    }
    vec![opinion]
}

/// A scanner that resets what it hears itself: the refusal of its SYN too, which no TCP answers (RFC 9293 section
/// 3.10.7.3).
fn by_the_tool(case: &Case<'_>) -> Vec<Opinion> {
    if !resets_a_refusal(case) {
        return vec![];
    }
    let text = if case.past.is_some_and(|past| past.has(flag::SYN_ACK)) {
        "no common TCP wrote the SYN, and the SYN-ACK to it was reset twice: once by the host's TCP, and once by the \
         scanner that hears it, too"
    } else {
        "no common TCP wrote the SYN, and none answers a refusal with a reset: a scanner wrote both"
    };
    let opinion = Opinion::new(Cause::ScannerProbe, 0.93).because("tool_resets", 2.0, text);
    vec![opinion.whatever_came_before()]
}

/// Whether who wrote a SYN past TCP resets the refusal of it, or what its host's TCP has reset before.
pub(super) fn resets_a_refusal(case: &Case<'_>) -> bool {
    let Some(past) = case.past.filter(is_raw_syn) else { return false };
    let seq = case.segment().tcp.seq;
    let heard = match past.earlier_reset() {
        Some((_, false)) => !past.has(flag::SYN_ACK),
        Some((reset, true)) => {
            past.has(flag::SYN_ACK) && reset.seq == seq && !past.has(flag::ESTABLISHED)
        }
        None => false,
    };
    heard && past.mine().bytes == 0 && case.segment().tcp.seq == past.my_facts().isn + 1
}

/// Whether SYN and reset came from different distances, so that not both are of one TCP.
pub(super) fn by_another_hand(case: &Case<'_>, past: &Past<'_>) -> bool {
    ttl::are_apart(past.my_facts().first_ttl, case.segment().ttl)
}

/// Whether a common TCP may have written the SYN: it announces more than its segment size.
pub(super) fn is_stack_syn(past: &Past<'_>) -> bool {
    const SMALLEST_WINDOW: u16 = 4096;
    let facts = past.my_facts();
    let more = facts.options & !option::MSS != 0;
    more && facts.options & option::MSS != 0 && facts.first_window >= SMALLEST_WINDOW
}

/// Whether a SYN that no tool known by name wrote came from elsewhere than its address. nmap writes times
/// to live from 37 to 59 at random (nmap, `FPNetworkControl`), which say nothing of a distance.
fn is_spoofed(case: &Case<'_>, past: &Past<'_>) -> bool {
    const NMAP_MOST: u8 = 59;
    let (syn, rst) = (past.my_facts().first_ttl, case.segment().ttl);
    let apart = ttl::are_apart(ttl::hops(syn), ttl::hops(rst));
    !is_stack_syn(past) && tool(past).is_none() && syn > NMAP_MOST && apart
}

/// The tool whose SYN this is.
fn tool(past: &Past<'_>) -> Option<&'static Scanner> {
    SCANNERS.iter().find(|scanner| (scanner.writes)(past))
}

/// What a SYN that no common TCP sends announces, in words.
fn how_many_options(facts: &Facts) -> &'static str {
    if facts.options == 0 { "no options" } else { "few options" }
}

/// Whether the SYN of this side is one that no socket of a common TCP sends.
pub(super) fn is_raw_syn(past: &Past<'_>) -> bool {
    past.has(flag::SYN) && (past.my_facts().options == 0 || tool(past).is_some())
}

/// The side that called, if no socket of a common TCP wrote its SYN.
pub(super) fn raw_caller<'a>(case: &Case<'a>) -> Option<Past<'a>> {
    case.past.map(|past| past.turned()).filter(is_raw_syn)
}

/// The answer to a lone segment with neither SYN nor ACK: no TCP sends one (RFC 9293 section 3.10.7.4),
/// but scanners do (nmap -sF, -sN, -sX).
fn odd_flags(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.past else { return vec![] };
    let Some(trigger) = case.trigger().filter(|_| case.form == Form::PassiveToSyn) else {
        return vec![];
    };
    let is_odd = trigger.flags.0 & (Flags::SYN.0 | Flags::ACK.0 | Flags::RST.0) == 0;
    if !is_odd || past.mine().packets > 0 || case.forgery().proven {
        return vec![];
    }
    let text = "it answers a segment with neither SYN nor ACK, which no TCP sends and scanners do";
    vec![
        Opinion::new(Cause::ScanResponse, 0.75)
            .because("odd_flags", 2.0, text)
            .whatever_came_before(),
        Opinion::new(Cause::StraySegment, 0.2),
    ]
}

/// From so many refused ports of one host on, a client is a scanner.
pub(super) const MANY_PORTS: u32 = 20;

/// Ports of one host that refuse the same client one after the other.
fn response(case: &Case<'_>) -> Vec<Opinion> {
    const SEVERAL: u32 = 10;
    let ports = case.crowd().refused_ports;
    if !case.refuses_a_syn() || case.form != Form::PassiveToSyn || case.forgery().proven {
        return vec![];
    }
    if let Some(caller) = raw_caller(case) {
        let text = format!(
            "the SYN (window {}, {}) is none that a common TCP sends: a scanner wrote it",
            caller.my_facts().first_window,
            how_many_options(caller.my_facts())
        );
        let probability = match ports {
            MANY_PORTS.. => 0.95,
            // One SYN among others of the same client: it may disturb a handshake.
            _ if refused::amid_handshake(case).is_some() => 0.5,
            _ => 0.85,
        };
        return vec![Opinion::new(Cause::ScanResponse, probability).because("raw_syn", 2.0, text)];
    }
    if ports < SEVERAL {
        return vec![];
    }
    let text = format!("{ports} ports of this host refused the same client within 10 s");
    // The port is closed all the same; the scan is why anybody asked. A client with several wrong
    // addresses of its own makes a few refusals too.
    let probability = if ports < MANY_PORTS { 0.5 } else { 0.9 };
    vec![Opinion::new(Cause::ScanResponse, probability).because("many_ports", 2.0, text)]
}
