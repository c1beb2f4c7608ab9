//! What `--output` says: a format and a place.

use std::{fmt, path::PathBuf};

use clap::ValueEnum;

use crate::{
    cli::{Format, OutputArgs},
    exit::{Code, Failure},
};

/// An output that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How events are written.
    pub format: Format,
    /// Where.
    pub place: Place,
}

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Standard output.
    Stdout,
    /// The end of a file.
    File(PathBuf),
}

impl Wanted {
    /// Every output of the command line.
    ///
    /// # Errors
    /// With exit code 2 when two go to one place.
    pub fn all(args: &OutputArgs) -> Result<Vec<Self>, Failure> {
        let mut all: Vec<Self> = Vec::new();
        for text in &args.output {
            let wanted = Self::read(text, args.format);
            if let Some(other) = all.iter().find(|other| other.place == wanted.place) {
                let message = format!("`{text}` goes where `{other}` goes; name another file");
                return Err(Failure::new(Code::USAGE, message));
            }
            all.push(wanted);
        }
        Ok(all)
    }

    /// `FORMAT`, `FORMAT:FILE` or `FILE`. A file with the name of a format, or a colon behind one, is reached by `./`.
    fn read(text: &str, format: Format) -> Self {
        let named = |name: &str| Format::from_str(name, false).ok();
        if let Some(format) = named(text) {
            return Self { format, place: Place::Stdout };
        }
        match text.split_once(':').and_then(|(name, path)| Some((named(name)?, path))) {
            Some((format, path)) => Self { format, place: Place::of(path) },
            None => Self { format, place: Place::of(text) },
        }
    }
}

impl Place {
    fn of(path: &str) -> Self {
        if path == "-" || path.is_empty() { Self::Stdout } else { Self::File(path.into()) }
    }
}

impl fmt::Display for Wanted {
    /// As it could have been written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = self.format.to_possible_value();
        write!(f, "{}:", format.as_ref().map_or("?", |value| value.get_name()))?;
        match &self.place {
            Place::Stdout => f.write_str("-"),
            Place::File(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        Wanted::read(text, Format::Text).to_string()
    }

    #[test]
    fn a_format_a_file_or_both() {
        assert_eq!(read("json"), "json:-");
        assert_eq!(read("-"), "text:-");
        assert_eq!(read("json:-"), "json:-");
        assert_eq!(read("json:/var/log/a:b"), "json:/var/log/a:b");
        assert_eq!(read("/var/log/json"), "text:/var/log/json");
        assert_eq!(read("./json"), "text:./json");
        assert_eq!(read("a:b"), "text:a:b");
    }
}
