//! What the user looks at: which table, over which time, which row; and what the keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::{Key, Line};

/// Rows that a page key moves.
const PAGE: isize = 10;

/// By what resets are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Table {
    #[default]
    Causes,
    Pairs,
    Services,
    Processes,
}

impl Table {
    pub(super) const ALL: [Self; 4] = [Self::Causes, Self::Pairs, Self::Services, Self::Processes];

    /// Its name, and the letter in it that is its key.
    pub(super) const fn name(self) -> (&'static str, char) {
        match self {
            Self::Causes => ("causes", 'c'),
            Self::Pairs => ("pairs", 'p'),
            Self::Services => ("services", 's'),
            Self::Processes => ("processes", 'r'),
        }
    }

    fn next(self, step: usize) -> Self {
        Self::ALL[(self as usize + step) % Self::ALL.len()]
    }
}

/// What the table is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Window {
    /// What came in the last minute.
    #[default]
    Minute,
    /// What came since the start.
    Start,
}

/// What the user chose.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) table: Table,
    pub(super) window: Window,
    /// The row that is looked at, wherever it moves; none: the first.
    pub(super) chosen: Option<Key>,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To show it as it is now.
    Look,
    /// To show all of it, whatever stands there.
    Repaint,
    /// Nothing.
    Nothing,
    /// To end.
    End,
}

impl View {
    /// Does what a key asks for, of these rows.
    pub(super) fn press(&mut self, key: KeyEvent, lines: &[Line]) -> Asked {
        if key.kind == KeyEventKind::Release {
            return Asked::Nothing;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if is_control => return Asked::End,
            KeyCode::Char('l') if is_control => return Asked::Repaint,
            _ if is_control => return Asked::Nothing,
            KeyCode::Char('q') => return Asked::End,
            KeyCode::Char('w') => {
                self.window = match self.window {
                    Window::Minute => Window::Start,
                    Window::Start => Window::Minute,
                }
            }
            KeyCode::Char('j') | KeyCode::Down => self.move_by(1, lines),
            KeyCode::Char('k') | KeyCode::Up => self.move_by(-1, lines),
            KeyCode::PageDown => self.move_by(PAGE, lines),
            KeyCode::PageUp => self.move_by(-PAGE, lines),
            KeyCode::Char('G') | KeyCode::End => self.move_by(isize::MAX, lines),
            KeyCode::Char('g') | KeyCode::Home => self.chosen = None,
            KeyCode::Tab => self.turn_to(self.table.next(1)),
            KeyCode::BackTab => self.turn_to(self.table.next(Table::ALL.len() - 1)),
            KeyCode::Char(letter) => {
                match Table::ALL.into_iter().find(|table| table.name().1 == letter) {
                    Some(table) => self.turn_to(table),
                    None => return Asked::Nothing,
                }
            }
            _ => return Asked::Nothing,
        }
        Asked::Look
    }

    /// The number of the row that is looked at.
    pub(super) fn row(&self, lines: &[Line]) -> usize {
        let chosen = self.chosen.as_ref();
        chosen.and_then(|key| lines.iter().position(|line| line.key == *key)).unwrap_or_default()
    }

    fn turn_to(&mut self, table: Table) {
        if table != self.table {
            (self.table, self.chosen) = (table, None);
        }
    }

    fn move_by(&mut self, rows: isize, lines: &[Line]) {
        let last = lines.len().saturating_sub(1);
        let row = self.row(lines).saturating_add_signed(rows).min(last);
        self.chosen = lines.get(row).map(|line| line.key.clone());
    }
}
