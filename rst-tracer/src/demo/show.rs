//! `rst-tracer demo`: provokes real resets of every kind, traces them, and shows side by side what
//! was done and what was concluded.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use rst_tracer_common::flow::WAYS;

use super::{
    compare::{Comparison, Vantage},
    lab::Lab,
    scenarios::{Scenario, catalogue, run_all},
    truth::{Family, GroundTruth},
    watch::Watching,
};
use crate::{
    correlate::Rules,
    event::{Event, RstEvent},
    exit::{self, Code},
    run::{output, tell},
    sink::{Sink, Style, TextSink},
    source::live::{self, attach::XdpMode, evidence::Scope, kernel, rings::Cut},
};

/// Options of `rst-tracer demo`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DemoArgs {
    /// Only these scenarios (see --list); repeatable
    #[arg(long = "only", value_name = "ID")]
    pub only: Vec<String>,
    /// Over which IP: 4, 6 or both
    #[arg(long, value_enum, default_value_t)]
    pub ip: Ip,
    /// Where the tracer stands
    #[arg(long, value_enum, default_value_t)]
    pub at: Vantage,
    /// List the scenarios and stop
    #[arg(long)]
    pub list: bool,
    /// Unfold each verdict: evidence and the last segments as a ladder
    #[arg(long)]
    pub explain: bool,
    /// Write the events as JSON lines, without the comparison
    #[arg(long)]
    pub json: bool,
    /// Load this BPF object instead of the one inside this binary
    #[arg(long, value_name = "FILE")]
    pub bpf_object: Option<std::path::PathBuf>,
}

/// Which families the demo uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Ip {
    /// IPv4.
    #[default]
    #[value(name = "4")]
    V4,
    /// IPv6.
    #[value(name = "6")]
    V6,
    /// Both.
    Both,
}

/// Runs the demo.
///
/// # Errors
/// When the laboratory cannot be built or traced; the chain says what is missing.
pub fn run(args: &DemoArgs) -> Result<Code> {
    let scenarios = chosen(args)?;
    let mut out = io::stdout().lock();
    if args.list {
        for scenario in &scenarios {
            writeln!(out, "{:32} {}", scenario.id, scenario.title)?;
        }
        return Ok(Code::OK);
    }
    let lab = Lab::new()?;
    let options = live::Options {
        interfaces: Default::default(),
        // The point is diagnosis, not throughput.
        xdp_mode: XdpMode::Native,
        kernel: kernel::Options::all_told(1024 * WAYS, Cut::for_this_host(4 << 20))?,
        scope: Scope::Netns,
        object: args.bpf_object.clone(),
    };
    let watching = Watching::start(args.at.netns(&lab), options, Rules::default())?;
    for line in &watching.attached {
        tell(format_args!("demo: {line}"));
    }
    tell(format_args!("demo: {} scenarios, about five seconds", scenarios.len()));
    let mut played = Vec::new();
    run_all(&lab, &scenarios, 1, |scenario, truth| played.push((scenario.clone(), truth)));
    let watched = watching.finish()?;
    let order = |s: &Scenario| scenarios.iter().position(|o| (o.id, o.family) == (s.id, s.family));
    played.sort_by_key(|(scenario, _)| order(scenario));
    if args.json {
        let mut sink = crate::sink::JsonSink::new(&mut out);
        for event in &watched.events {
            sink.write(&Event::from(event.clone()))?;
        }
        sink.flush()?;
    }
    let mut story = Story { args, lab: &lab, events: &watched.events, tally: Tally::default() };
    for (scenario, truth) in &played {
        story.tell(&mut out, scenario, truth)?;
    }
    let Tally { shown, missed, failed, skipped } = story.tally;
    tell(&watched.summary);
    tell(format_args!(
        "demo: {shown} resets provoked and reported, {missed} missed, {skipped} scenarios skipped, {failed} failed"
    ));
    Ok(if missed + failed > 0 { Code::FAILURE } else { Code::OK })
}

fn chosen(args: &DemoArgs) -> Result<Vec<Scenario>> {
    let all = catalogue();
    for id in &args.only {
        anyhow::ensure!(
            all.iter().any(|scenario| scenario.id == id),
            "there is no scenario {id}; `rst-tracer demo --list` names them"
        );
    }
    let wanted = |scenario: &Scenario| {
        let family = match args.ip {
            Ip::V4 => scenario.family == Family::V4,
            Ip::V6 => scenario.family == Family::V6,
            Ip::Both => true,
        };
        family && (args.only.is_empty() || args.only.iter().any(|id| id == scenario.id))
    };
    Ok(all.into_iter().filter(wanted).collect())
}

#[derive(Default)]
struct Tally {
    shown: usize,
    missed: usize,
    failed: usize,
    skipped: usize,
}

struct Story<'a> {
    args: &'a DemoArgs,
    lab: &'a Lab,
    events: &'a [RstEvent],
    tally: Tally,
}

impl Story<'_> {
    fn tell(
        &mut self,
        out: &mut impl Write,
        scenario: &Scenario,
        truth: &Result<GroundTruth>,
    ) -> Result<()> {
        let name = format!("{} (IP{})", scenario.id, scenario.family);
        let truth = match truth {
            Ok(truth) => truth,
            Err(error) if exit::code_of(error) == Code::UNAVAILABLE => {
                self.tally.skipped += 1;
                tell(format_args!("demo: degraded: {name} skipped: {error:#}"));
                return Ok(());
            }
            Err(error) => {
                self.tally.failed += 1;
                tell(format_args!("demo: {name} failed: {error:#}"));
                return Ok(());
            }
        };
        let mut concluded = Vec::new();
        let mut events = Vec::new();
        for connection in &truth.connections {
            let comparison = Comparison::of(connection, self.args.at, self.lab, self.events);
            if let Some(miscount) = comparison.miscount() {
                let short = comparison.expected.len().saturating_sub(comparison.events.len());
                self.tally.missed += short.max(1);
                concluded.push(format!("MISSED: {miscount}"));
            }
            self.tally.shown += comparison.events.len();
            concluded.extend(comparison.events.iter().map(|event| sentence(event)));
            events.extend(comparison.events);
        }
        if self.args.json {
            return Ok(());
        }
        if concluded.is_empty() {
            concluded.push(format!("no reset passes the {:?} here", self.args.at).to_lowercase());
        }
        writeln!(out, "{name}: {}", scenario.title)?;
        side_by_side(out, scenario.what_was_done, &concluded)?;
        if self.args.explain {
            let colour = output::colour(crate::cli::Colour::Auto, io::stdout().is_terminal());
            let mut sink = TextSink::new(&mut *out, Style { colour, explain: true });
            for event in events {
                sink.write(&Event::from(event.clone()))?;
            }
            sink.flush()?;
        }
        writeln!(out)?;
        Ok(())
    }
}

/// What was concluded about one reset, in a sentence.
fn sentence(event: &RstEvent) -> String {
    let percent = event.confidence.value() * 100.0;
    let mut text = format!(
        "{} {}, {}: {} ({percent:.0}%)",
        match event.sent_by {
            crate::event::SentBy::Unknown => format!("RST from {}", event.src),
            side => format!("RST from the {side}"),
        },
        event.src.ip,
        event.stage.words(),
        event.cause.words(),
    );
    if let Some(other) = event.alternatives.first() {
        let percent = other.confidence.value() * 100.0;
        text.push_str(&format!(", else {} ({percent:.0}%)", other.cause.words()));
    }
    text
}

/// Two columns: what was done, what was concluded.
fn side_by_side(out: &mut impl Write, done: &str, concluded: &[String]) -> io::Result<()> {
    const LEFT: usize = 46;
    const RIGHT: usize = 62;
    let left = wrap(done, LEFT);
    let right: Vec<String> = concluded.iter().flat_map(|text| wrap(text, RIGHT)).collect();
    for row in 0..left.len().max(right.len()) {
        let cell = |column: &[String]| column.get(row).cloned().unwrap_or_default();
        let line = format!("  {:LEFT$} | {}", cell(&left), cell(&right));
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let is_blank = line.trim().is_empty();
        if !is_blank && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, format!("  {word}")));
            continue;
        }
        if !is_blank {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_are_wrapped_and_indented() {
        assert_eq!(wrap("one two three", 8), ["one two", "  three"]);
        assert_eq!(wrap("", 8), [""]);
        assert_eq!(wrap("immeasurable words", 5), ["immeasurable", "  words"]);
    }

    #[test]
    fn an_unknown_scenario_is_named() {
        let args = DemoArgs { only: vec!["nonsense".into()], ..DemoArgs::default() };
        assert!(chosen(&args).unwrap_err().to_string().contains("nonsense"));
    }
}
