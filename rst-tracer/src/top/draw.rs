//! The picture: head, table, the last event of the row that is looked at, keys.
//!
//! In: a copy of what the model knows, and what the user chose. Out: cells of a terminal. What is severe stands in words,
//! too; colours only add to them.

use std::time::Duration;

use ratatui::{
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line as TextLine, Span, Text},
    widgets::{Block, Borders, Cell, Paragraph, Row, Table as Grid, TableState, Wrap},
};

use super::{
    model::{Line, Model},
    view::{Table, View, Window},
};
use crate::{
    digest::grouped,
    event::{RstEvent, Severity},
    sink::words::{self, clean},
};

const HEAD: u16 = 4;
const COLUMNS: usize = 6;
/// Lines for the last event, its frame included.
const DETAIL: u16 = 10;
/// A screen that is lower than this shows no event.
const LOW: u16 = 24;
/// Columns of the rates over time.
const RATES: usize = 60;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A copy of what is shown, so that nobody waits for the terminal.
#[derive(Debug)]
pub(super) struct Picture {
    host: String,
    resets: u64,
    severities: [u64; Severity::ALL.len()],
    rsts: Vec<u64>,
    segments: u64,
    flows: u64,
    lost: u64,
    suppressed: u64,
    finding: Option<(Severity, String)>,
    pub(super) lines: Vec<Line>,
}

impl Picture {
    /// Copies it.
    pub(super) fn take(model: &Model, view: &View, now_ns: u64) -> Self {
        let counters = model.rates.counters();
        let finding = model.finding.as_ref();
        Self {
            host: model.host.clone(),
            resets: model.resets,
            severities: model.severities,
            rsts: model.rates.rsts.iter().copied().collect(),
            segments: model.rates.segments,
            flows: counters.map_or(0, |stats| stats.flows),
            lost: counters.map_or(0, |stats| stats.lost),
            suppressed: counters.map_or(0, |stats| stats.suppressed),
            finding: finding.map(|found| (found.severity, clean(&found.text).into_owned())),
            lines: model.lines(view.table, view.window, now_ns),
        }
    }
}

/// Everything that one picture is made of.
pub(super) struct Frame<'a> {
    pub(super) picture: &'a Picture,
    pub(super) view: &'a View,
    pub(super) up: Duration,
    /// The last line that was said on standard error.
    pub(super) said: Option<String>,
    pub(super) has_colours: bool,
}

impl Frame<'_> {
    /// Draws it.
    pub(super) fn draw(&self, out: &mut ratatui::Frame<'_>) {
        let detail = if out.area().height < LOW { 0 } else { DETAIL };
        let heights = [
            Constraint::Length(HEAD),
            Constraint::Length(1),
            Constraint::Min(2),
            Constraint::Length(detail),
            Constraint::Length(1),
        ];
        let [head, tabs, table, event, foot] = Layout::vertical(heights).areas(out.area());
        out.render_widget(self.head(head.width), head);
        out.render_widget(self.tabs(), tabs);
        self.table(out, table);
        if detail > 0 {
            out.render_widget(self.detail(), event);
        }
        out.render_widget(self.foot(), foot);
    }

    fn head(&self, width: u16) -> Text<'static> {
        let Picture { host, resets, severities, rsts, segments, flows, lost, suppressed, .. } =
            self.picture;
        let seconds = self.up.as_secs();
        let up = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        let now = rsts.last().copied().unwrap_or_default();
        let now = format!("RST/s {:>7} ", grouped(now));
        let rest =
            format!("   segments/s {}   connections {}", grouped(*segments), grouped(*flows));
        // Both are ASCII.
        let room = RATES.min(usize::from(width).saturating_sub(now.len() + rest.len()));
        let bars = spark(&rsts[rsts.len().saturating_sub(room)..]);
        let mut all = vec![Span::raw(format!("resets told {}", grouped(*resets)))];
        for &severity in Severity::ALL.iter().rev() {
            let n = severities[severity as usize];
            let style = if n > 0 { self.ink(severity) } else { Style::new() };
            all.push(Span::raw("   "));
            all.push(Span::styled(format!("{severity} {}", grouped(n)), style));
        }
        let losses = [("lost", *lost), ("only counted", *suppressed)].map(|(what, n)| {
            let style = if n > 0 { self.ink(Severity::High) } else { self.dim() };
            Span::styled(format!("   {what} {}", grouped(n)), style)
        });
        all.extend(losses);
        let finding = self.picture.finding.as_ref().map(|(severity, text)| {
            TextLine::from(Span::styled(format!("finding: {text}"), self.ink(*severity)))
        });
        Text::from(vec![
            TextLine::from(vec![
                Span::styled("rst-tracer", Style::new().add_modifier(Modifier::BOLD)),
                Span::raw(if host.is_empty() { String::new() } else { format!(" on {host}") }),
                Span::styled(format!("   up {up}"), self.dim()),
            ]),
            TextLine::from(format!("{now}{bars:>room$}{rest}")),
            TextLine::from(all),
            finding.unwrap_or_default(),
        ])
    }

    fn tabs(&self) -> TextLine<'static> {
        let mut spans = Vec::new();
        for table in Table::ALL {
            let (name, letter) = table.name();
            let is_shown = table == self.view.table;
            let style =
                if is_shown { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
            let key = style.add_modifier(Modifier::UNDERLINED | Modifier::BOLD);
            let (before, after) = name.split_once(letter).unwrap_or((name, ""));
            spans.push(Span::styled(format!(" {before}"), style));
            spans.push(Span::styled(letter.to_string(), key));
            spans.push(Span::styled(format!("{after} "), style));
            spans.push(Span::raw(" "));
        }
        let order = match self.view.window {
            Window::Minute => "  by the last minute",
            Window::Start => "  by all since the start",
        };
        spans.push(Span::styled(order, self.dim()));
        TextLine::from(spans)
    }

    fn table(&self, out: &mut ratatui::Frame<'_>, area: Rect) {
        let lines = &self.picture.lines;
        if lines.is_empty() {
            let what = match self.view.table {
                _ if self.picture.resets == 0 => "No reset yet.",
                Table::Processes => "No reset of a process of this host is known for certain yet.",
                _ => "No reset yet of which it is known who is client and who is server.",
            };
            return out.render_widget(Paragraph::new(format!("\n{what}")).centered(), area);
        }
        let names = match self.view.table {
            Table::Causes => ["cause", "class"],
            Table::Pairs => ["client → server", "last reset"],
            Table::Services => ["service", "last cause"],
            Table::Processes => ["process", "last cause"],
        };
        let words: Vec<_> = lines.iter().map(|line| line.key.words(line.last.as_deref())).collect();
        let longest =
            words.iter().map(|[name, _]| Span::raw(name).width()).max().unwrap_or_default();
        let widths = widths(area.width, longest.max(names[0].len()));
        let shown = |cells: [Cell<'static>; COLUMNS]| {
            Row::new(
                cells
                    .into_iter()
                    .zip(&widths)
                    .filter(|(_, width)| width.is_some())
                    .map(|(cell, _)| cell),
            )
        };
        let head =
            [names[0], names[1], " last minute", "   count", "   total", "worst"].map(Cell::from);
        let rows = lines.iter().zip(words).map(|(line, words)| shown(self.row(line, words)));
        let grid = Grid::new(rows, widths.into_iter().flatten())
            .header(shown(head).style(self.dim().add_modifier(Modifier::BOLD)))
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        let mut state = TableState::new().with_selected(self.view.row(lines));
        out.render_stateful_widget(grid, area, &mut state);
    }

    fn row(&self, line: &Line, [name, more]: [String; 2]) -> [Cell<'static>; COLUMNS] {
        let worst = line
            .worst
            .map_or_else(Span::default, |worst| Span::styled(worst.id(), self.ink(worst)));
        [
            Cell::from(name),
            Cell::from(more),
            Cell::from(spark(&line.parts.map(u64::from))),
            Cell::from(Text::from(grouped(line.lately)).right_aligned()),
            Cell::from(Text::from(grouped(line.total)).right_aligned()),
            Cell::from(worst),
        ]
    }

    /// The last event of the row.
    fn detail(&self) -> Paragraph<'static> {
        let lines = &self.picture.lines;
        let event = lines.get(self.view.row(lines)).and_then(|line| line.last.as_deref());
        let block =
            Block::new().borders(Borders::TOP).title(" the last of them ").border_style(self.dim());
        let text = event.map(|event| self.explanation(event)).unwrap_or_default();
        Paragraph::new(text).wrap(Wrap { trim: false }).block(block)
    }

    fn explanation(&self, event: &RstEvent) -> Text<'static> {
        let mut place = format!(
            "{}  {} → {}  {}% {}  {}",
            words::clock(event.time),
            event.src,
            event.dst,
            event.confidence.percent(),
            event.cause.words(),
            event.stage.words()
        );
        if let Some(process) = words::end_and_process(event) {
            place += &format!("  {process}");
        }
        let mut text = vec![
            TextLine::from(Span::styled(place, self.ink(event.severity))),
            TextLine::from(clean(&words::verdict(event)).into_owned()),
        ];
        for evidence in &event.evidence {
            let weight = Span::styled(format!("{:+5.1}  ", evidence.weight.value()), self.dim());
            text.push(TextLine::from(vec![weight, Span::raw(clean(&evidence.text).into_owned())]));
        }
        Text::from(text)
    }

    fn foot(&self) -> TextLine<'static> {
        let keys = "q end   Tab, c p s r: table   w: last minute or all   ↑ ↓: row";
        match &self.said {
            Some(said) => TextLine::from(format!("{keys}   │ {}", clean(said))),
            None => TextLine::from(keys),
        }
        .style(self.dim())
    }

    fn ink(&self, severity: Severity) -> Style {
        let style = Style::new();
        match (severity, self.has_colours) {
            (Severity::High, true) => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            (Severity::High, false) => style.add_modifier(Modifier::BOLD),
            (Severity::Medium, true) => style.fg(Color::Yellow),
            _ => style,
        }
    }

    fn dim(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
}

/// How wide each column is. The first has what its longest name needs; where it leaves no room, others are left out.
fn widths(width: u16, longest: usize) -> [Option<Constraint>; COLUMNS] {
    let longest = u16::try_from(longest).unwrap_or(u16::MAX);
    let mut left = width.saturating_sub(longest);
    // In the order of what they tell; between two columns stands a space.
    let [count, worst, total, more, bars] = [8, 6, 8, 16, 12].map(|wanted| {
        let rest = left.checked_sub(wanted + 1);
        left = rest.unwrap_or(left);
        rest.map(|_| Constraint::Length(wanted))
    });
    let name = if more.is_some() { Constraint::Length(longest) } else { Constraint::Fill(1) };
    [Some(name), more.map(|_| Constraint::Fill(1)), bars, count, total, worst]
}

/// A bar for each count; none where there was nothing.
fn spark(counts: &[u64]) -> String {
    let most = counts.iter().max().copied().unwrap_or_default();
    let bar = |n: &u64| match *n {
        0 => ' ',
        n => BARS[((u128::from(n) * 8).div_ceil(u128::from(most)) - 1) as usize],
    };
    counts.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_a_whole_bar_and_the_least_is_still_one() {
        assert_eq!(spark(&[0, 1, 500, 1000]), " ▁▄█");
        assert_eq!(spark(&[]), "");
        assert_eq!(spark(&[u64::MAX, 0]), "█ ");
    }
}
