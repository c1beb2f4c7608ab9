//! What the kernel made of the programs: what they call, and that the data path calls nothing.
//!
//! A call costs more than the parsing of a frame, one of a program's own functions about as much as a
//! helper's; map lookups are free of it, because the kernel writes them out in place.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use rst_tracer::source::live::kernel::{Clock, Options, Recording};
use rst_tracer_tests::kernel::{self, Kernel, Program};

/// The helpers that a program may call at all: on what path, the other test says.
const HELPERS: [&str; 6] = [
    "bpf_ktime_get_ns",
    "bpf_ringbuf_reserve",
    "bpf_ringbuf_submit",
    "bpf_skb_load_bytes",
    "bpf_skb_pull_data",
    "bpf_xdp_get_buff_len",
];

/// A program as the kernel runs it: its instructions by place.
struct Translated(BTreeMap<usize, Instruction>);

struct Instruction {
    words: String,
    /// Where it may go on, within its own function.
    next: Vec<usize>,
}

impl Translated {
    /// Asks bpftool. Fails loudly where bpftool cannot.
    fn of(id: u32) -> Self {
        let mut ask = Command::new("bpftool");
        let output = ask.args(["prog", "dump", "xlated", "id", &id.to_string()]).output();
        let output = output.expect("bpftool is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self::read(std::str::from_utf8(&output.stdout).expect("text"))
    }

    /// Lines such as `12: (15) if r1 == 0x0 goto pc+1`; others are comments.
    fn read(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| {
            let (place, rest) = line.trim_start().split_once(": (")?;
            let (code, words) = rest.split_once(") ")?;
            Some((place.parse::<usize>().ok()?, u8::from_str_radix(code, 16).ok()?, words.trim()))
        });
        let lines: Vec<_> = lines.collect();
        let after = lines.iter().skip(1).map(|(place, ..)| Some(*place)).chain([None]);
        let read = |((place, code, words), after): (&(usize, u8, &str), Option<usize>)| {
            let next = successors(*place, *code, words, after);
            (*place, Instruction { words: (*words).into(), next })
        };
        Self(lines.iter().zip(after).map(read).collect())
    }

    /// Who is called, and how often.
    fn calls(&self) -> BTreeMap<&str, usize> {
        let mut calls = BTreeMap::new();
        for called in self.0.values().filter_map(Instruction::calls) {
            *calls.entry(called).or_default() += 1;
        }
        calls
    }

    /// What can be reached from a place without a call.
    fn without_a_call_from(&self, start: usize) -> BTreeSet<usize> {
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![start]);
        while let Some(place) = waiting.pop() {
            let Some(instruction) = self.0.get(&place) else { continue };
            if instruction.calls().is_none() && seen.insert(place) {
                waiting.extend(&instruction.next);
            }
        }
        seen
    }

    /// Where a usual segment is counted: it is the first counter of a hook, so nothing is added to where they are.
    fn counts_a_usual_segment(&self) -> usize {
        let words: Vec<_> = self.0.iter().map(|(place, i)| (*place, i.words.as_str())).collect();
        let counts = |four: &&[(usize, &str)]| {
            let [(_, ahead), (_, load), (_, add), (_, store)] = four else { return false };
            let is_same = load
                .split_once(" = ")
                .zip(store.split_once(" = "))
                .is_some_and(|((value, from), (to, stored))| from == to && value == stored);
            is_same && load.ends_with(" +0)") && add.ends_with(" += 1") && !ahead.contains(" += r")
        };
        let found: Vec<_> = words.windows(4).filter(counts).map(|four| four[1].0).collect();
        assert_eq!(found.len(), 1, "the place where usual segments are counted: {found:?}");
        found[0]
    }
}

impl Instruction {
    /// Whom it calls, if it calls.
    fn calls(&self) -> Option<&str> {
        let called = self.words.strip_prefix("call ")?;
        Some(called.split_once('#').map_or(called, |(name, _)| name))
    }
}

fn successors(place: usize, code: u8, words: &str, after: Option<usize>) -> Vec<usize> {
    const EXIT: u8 = 0x95;
    const GOTO: [u8; 2] = [0x05, 0x06];
    if code == EXIT {
        return Vec::new();
    }
    let jump = words.split_once("goto pc").map(|(_, by)| {
        let by: isize = by.parse().unwrap_or_else(|_| panic!("a jump: {words}"));
        place.checked_add_signed(by + 1).expect("within the program")
    });
    let falls_through = jump.is_none() || !GOTO.contains(&code);
    jump.into_iter().chain(after.filter(|_| falls_through)).collect()
}

#[test]
fn programs_call_no_function_of_their_own_and_only_few_helpers() {
    let Some(kernel) = kernel::shared() else { return };
    for program in Program::ALL {
        let translated = Translated::of(kernel.id(program));
        let calls = translated.calls();
        println!("{}: {} instructions, calls {calls:?}", program.name(), translated.0.len());
        for called in calls.keys() {
            assert!(HELPERS.contains(called), "{} calls {called}: {calls:?}", program.name());
        }
        // They are told at all: a reset cannot be reported without.
        assert!(calls.contains_key("bpf_ringbuf_reserve"), "{}: {calls:?}", program.name());
    }
}

#[test]
fn a_usual_segment_is_taken_in_without_a_call() {
    if !kernel::can_load() {
        return;
    }
    for recorder in [Recording::On, Recording::Off] {
        // The fine clock is a call.
        a_usual_segment_needs_no_call(Options {
            clock: Clock::Coarse,
            recorder,
            ..kernel::OPTIONS
        });
    }
}

fn a_usual_segment_needs_no_call(options: Options) {
    let kernel = Kernel::load(options);
    let ethernet = Program::ALL.into_iter().filter(|program| !program.name().ends_with("_l3"));
    for program in ethernet {
        let translated = Translated::of(kernel.id(program));
        let counted = translated.counts_a_usual_segment();
        let start = *translated.0.keys().next().expect("instructions");
        let before = translated.without_a_call_from(start);
        assert!(before.contains(&counted), "{}: only behind a call", program.name());
        let after = translated.without_a_call_from(counted);
        let ends = after.iter().any(|place| translated.0[place].next.is_empty());
        assert!(ends, "{}: a call follows", program.name());
    }
}

#[test]
fn a_call_on_the_way_is_found() {
    let text = "   0: (79) r1 = *(u64 *)(r2 +8)\n   1: (15) if r1 == 0x0 goto pc+2\n   2: (85) call f#7\n\
                   3: (05) goto pc+1\n   4: (b7) r0 = 0\n   5: (79) r1 = *(u64 *)(r2 +0)\n   6: (07) r1 += 1\n\
                   7: (7b) *(u64 *)(r2 +0) = r1\n   8: (95) exit\n";
    let translated = Translated::read(text);
    assert_eq!(translated.counts_a_usual_segment(), 5);
    assert_eq!(translated.calls(), BTreeMap::from([("f", 1)]));
    assert_eq!(translated.without_a_call_from(0), BTreeSet::from([0, 1, 4, 5, 6, 7, 8]));
    let behind = Translated::read(&text.replace("pc+2", "pc+0"));
    assert_eq!(behind.without_a_call_from(0), BTreeSet::from([0, 1]));
}
