//! What `--output` says: a format and a place.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::{ValueEnum, builder::PossibleValue};

use crate::{
    cli::{Format, OutputArgs},
    config::nearest,
    exit::{Code, Failure},
};

/// What stands before the colon where the path alone is meant, in the format that holds for all.
const FILE: &str = "file";

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
            if let Some(other) = all.iter().find(|other| other.place.is_same(&wanted.place)) {
                let message = format!("`{text}` goes where `{other}` goes; name another file");
                return Err(Failure::new(Code::USAGE, message));
            }
            all.push(wanted);
        }
        Ok(all)
    }

    /// Whether `text` can be an output: what stands before its colon may be meant as a format and be none.
    ///
    /// # Errors
    /// Says which formats there are, and how a file of that name is reached.
    pub(crate) fn check(text: &str) -> Result<(), String> {
        let Some((name, path)) = text.split_once(':') else { return Ok(()) };
        if name == FILE {
            let complaint =
                || format!("`{text}` names no file; write for example `{text}/var/log/rst.log`");
            return (!path.is_empty()).then_some(()).ok_or_else(complaint);
        }
        let formats: Vec<_> =
            Format::value_variants().iter().filter_map(Format::to_possible_value).collect();
        let names = || formats.iter().map(PossibleValue::get_name);
        if names().any(|format| format == name) || name.is_empty() || name.contains('/') {
            return Ok(());
        }
        // A letter or two are like anything.
        let near = nearest(&name.to_lowercase(), names()).filter(|_| name.len() > 2);
        // A file may have a colon in its name, such as that of a time.
        let means_a_place = path == "-" || path.starts_with('/');
        if near.is_none() && !means_a_place || Path::new(text).exists() {
            return Ok(());
        }
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let names: Vec<_> = names().collect();
        Err(format!(
            "there is no format `{name}`{hint} (there are: {}); a file of this name is `./{text}`",
            names.join(", ")
        ))
    }

    /// `FORMAT`, `FORMAT:FILE`, `file:FILE` or `FILE`. A file with the name of a format, or a colon behind one, is reached by `./`.
    fn read(text: &str, format: Format) -> Self {
        let named = |name: &str| Format::from_str(name, false).ok();
        if let Some(format) = named(text) {
            return Self { format, place: Place::Stdout };
        }
        let format_of = |name: &str| if name == FILE { Some(format) } else { named(name) };
        match text.split_once(':').and_then(|(name, path)| Some((format_of(name)?, path))) {
            Some((format, path)) => Self { format, place: Place::of(path) },
            None => Self { format, place: Place::of(text) },
        }
    }
}

impl Place {
    /// Whether lines of both would mix: by another name, too.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => {
                one == other || resolved(one) == resolved(other)
            }
            _ => self == other,
        }
    }

    fn of(path: &str) -> Self {
        if path == "-" || path.is_empty() { Self::Stdout } else { Self::File(path.into()) }
    }
}

/// A path without links and dots. A file that is not there yet is in its folder.
fn resolved(path: &Path) -> PathBuf {
    let in_folder = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Some(folder.unwrap_or(Path::new(".")).canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| path.to_owned())
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
        assert_eq!(read("file:/var/log/json"), "text:/var/log/json");
        assert_eq!(read("file:-"), "text:-");
        assert_eq!(read("file"), "text:file");
        assert_eq!(read("./file:a"), "text:./file:a");
    }

    #[test]
    fn a_file_without_a_path_is_refused() {
        assert_eq!(Wanted::check("file:/x"), Ok(()));
        let complaint = Wanted::check("file:").expect_err("no path");
        assert!(complaint.starts_with("`file:` names no file"), "{complaint}");
        assert!(Wanted::check("fil:/x").is_err(), "no other word is taken for it");
    }

    #[test]
    fn an_unknown_format_is_told_the_nearest_and_all_there_are() {
        for (text, hint) in [
            ("jsn:/x", "; did you mean `json`?"),
            ("JSON:x", "; did you mean `json`?"),
            ("foo:/x", ""),
            ("foo:-", ""),
        ] {
            let complaint = Wanted::check(text).expect_err(text);
            let name = text.split_once(':').expect("a colon").0;
            let told = format!(
                "there is no format `{name}`{hint} (there are: text, json, ecs, ocsf, eve, cef, otlp, pcapng); a file \
                 of this name is `./{text}`"
            );
            assert_eq!(complaint, told);
        }
    }

    #[test]
    fn two_names_of_one_file_are_one_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| Place::File(folder.path().join(name));
        let (file, dotted) = (path("a"), path("./a"));
        assert!(file.is_same(&dotted) && !file.is_same(&path("b")), "neither is there yet");
        std::fs::write(folder.path().join("a"), "").expect("written");
        std::os::unix::fs::symlink("a", folder.path().join("b")).expect("linked");
        assert!(file.is_same(&path("b")));
        let here = |name: &str| Place::File(name.into());
        assert!(here("no-such").is_same(&here("./no-such")));
        assert!(!here("no-such").is_same(&Place::Stdout));
    }

    #[test]
    fn a_file_may_have_a_colon() {
        for text in [
            "json:/x",
            "pcapng:-",
            "./foo:/x",
            "/a/jsn:x",
            "rst-2026-11-27T10:30",
            "a:b",
            ":x",
            "x",
        ] {
            assert_eq!(Wanted::check(text), Ok(()), "{text}");
        }
    }
}
