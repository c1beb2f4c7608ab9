//! Text for people: one line a reset, understood at a glance; more on request.
//!
//! The columns widen when a longer address comes and never narrow again, so that IPv4 and IPv6
//! stay aligned.

use std::io::{self, Write};

use super::lines::Lines;
use super::paint::{Ink, Style};
use super::{Sink, explain, words};
use crate::event::{Cause, Effect, Event, Finding, PolicyVerdict, RstEvent, StatsEvent};

/// Room for most IPv4 addresses and ports.
const WIDTH: usize = "192.168.10.10:51234".len();

/// Writes events as lines for people. Times are UTC.
#[derive(Debug)]
pub struct TextSink<W> {
    lines: Lines<W>,
    style: Style,
    width: usize,
}

impl<W: Write> TextSink<W> {
    /// A sink before this output.
    pub fn new(out: W, style: Style) -> Self {
        Self { lines: Lines::new(out), style, width: WIDTH }
    }
}

impl<W: Write> Sink for TextSink<W> {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        let (style, mut text) = (self.style, String::with_capacity(256));
        match event {
            Event::Rst(rst) => {
                let ends = [rst.src, rst.dst].map(|end| end.to_string());
                self.width = ends.iter().map(String::len).fold(self.width, usize::max);
                text.push_str(&rst_line(rst, ends, self.width, style));
            }
            Event::Finding(finding) => text.push_str(&finding_line(finding, style)),
            Event::Stats(stats) => text.push_str(&stats_line(stats, style)),
        }
        text.push('\n');
        match event {
            Event::Rst(rst) if style.explain => explain::rst(rst, style, &mut text),
            Event::Finding(finding) if style.explain => explain::finding(finding, style, &mut text),
            Event::Stats(stats) if style.explain => explain::stats(stats, style, &mut text),
            _ => {}
        }
        self.lines.push(|out| out.extend_from_slice(text.as_bytes()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

fn rst_line(event: &RstEvent, ends: [String; 2], width: usize, style: Style) -> String {
    let ink = Ink::of(event.severity);
    let [src, dst] = ends;
    // What is benign is dim as a whole; else only severity and cause are painted.
    let rest = if ink == Ink::Dim { Ink::Dim } else { Ink::Plain };
    let mut line = String::with_capacity(256);
    style.paint(rest, &format!("{}  ", words::clock(event.time)), &mut line);
    style.paint(ink, &format!("{:<6}", words::severity(event.severity)), &mut line);
    let who = words::who(event);
    style.paint(rest, &format!("  {who:<16}  {src:>width$} → {dst:<width$}  "), &mut line);
    style.paint(ink, &format!("{:<30}", event.cause.words()), &mut line);
    let sure = match event.cause {
        Cause::Unknown | Cause::NoConnectionSeen => String::new(),
        _ => format!("{}%", event.confidence.percent()),
    };
    let stage = event.stage.words();
    let mut tail = format!("  {sure:>4}  {stage:<16}  {}", words::place(event, true));
    if let Some(process) = words::end_and_process(event) {
        tail.extend(["  ", &process]);
    }
    if let Effect::Ignored | Effect::Challenged = event.effect {
        tail.extend(["  ", event.effect.id()]);
    }
    if event.repeats > 0 {
        tail.push_str(&format!("  +{} more", event.repeats));
    }
    style.paint(rest, &tail, &mut line);
    if let Some(policy) = &event.policy {
        let ink = if policy.verdict == PolicyVerdict::Violated { Ink::Notice } else { rest };
        let mark = format!("  [{}: {}]", words::clean(&policy.rule), policy.verdict.words());
        style.paint(ink, &mark, &mut line);
    }
    line
}

fn finding_line(finding: &Finding, style: Style) -> String {
    let ink = Ink::of(finding.severity);
    let mut line = format!("{}  ", words::clock(finding.time));
    let head = format!("{:<6}  {}", words::severity(finding.severity), finding.kind.words());
    style.paint(ink, &head, &mut line);
    line.extend([": ", &words::clean(&finding.text)]);
    line
}

fn stats_line(stats: &StatsEvent, style: Style) -> String {
    let mut line = format!(
        "{}  stats   {} segments, {} flows; {} resets: {} events",
        words::clock(stats.time),
        stats.segments,
        stats.flows,
        stats.rsts,
        stats.events,
    );
    let rest = [
        ("merged", stats.merged),
        ("repeated", stats.repeated),
        ("filtered", stats.filtered),
        ("pending", stats.pending),
        ("suppressed", stats.suppressed),
        ("lost", stats.lost),
    ];
    for (name, count) in rest.into_iter().filter(|(_, count)| *count > 0) {
        line.push_str(&format!(", {count} {name}"));
    }
    for (name, count) in [("malformed", stats.malformed), ("evictions", stats.evictions)] {
        if count > 0 {
            line.push_str(&format!("; {count} {name}"));
        }
    }
    if !stats.balanced() {
        line.push_str("; the sums do not agree");
    }
    let loud = stats.lost > 0 || !stats.balanced();
    let mut painted = String::with_capacity(line.len() + 8);
    style.paint(if loud { Ink::Notice } else { Ink::Dim }, &line, &mut painted);
    painted
}

#[cfg(test)]
mod tests;
