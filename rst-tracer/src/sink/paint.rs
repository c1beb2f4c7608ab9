//! Colour, where it is wanted.

use crate::event::Severity;

/// How text is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Use ANSI colours: for a terminal, unless `NO_COLOR` is set.
    pub colour: bool,
    /// Unfold the verdict, its evidence and the last segments under each line.
    pub explain: bool,
}

/// A way to show text, as the parameter of an ANSI SGR sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Dim,
    Notice,
    Alarm,
}

impl Ink {
    /// How the part of a line that carries the verdict is shown.
    pub(super) fn of(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Dim,
            Severity::Low => Self::Plain,
            Severity::Medium => Self::Notice,
            Severity::High => Self::Alarm,
        }
    }
}

impl Style {
    /// Appends `text` in this ink.
    pub(super) fn paint(self, ink: Ink, text: &str, out: &mut String) {
        let code = match ink {
            Ink::Plain => "",
            Ink::Dim => "2",
            Ink::Notice => "33",
            Ink::Alarm => "1;31",
        };
        if self.colour && !code.is_empty() {
            out.extend(["\x1b[", code, "m", text, "\x1b[0m"]);
        } else {
            out.push_str(text);
        }
    }
}
