//! `rst-tracer explain`: the page about a cause, for people.
//!
//! In: the name of a cause, or none. Out: its page, or the list of all. The pages are those of
//! `docs/causes.md`, which is inside this binary.

use std::io::{self, Write};

use crate::{
    classify::consequence_in_words,
    event::{Cause, Class},
};

/// Every page, by class.
const PAGES: &str = include_str!("../../docs/causes.md");
/// Columns of a page in a terminal.
const WIDTH: usize = 80;

/// The page of a cause as it stands in the document, without its title.
pub fn page(cause: Cause) -> &'static str {
    section(PAGES, &format!("\n### {}\n", cause.id()))
}

/// What a cause is, and what to do about it, without marks.
pub fn advice(cause: Cause) -> [String; 2] {
    let paragraphs = paragraphs(page(cause));
    ["What it is", "What to do"].map(|title| {
        let text = paragraphs.iter().find_map(|text| text.strip_prefix(&format!("**{title}.** ")));
        plain(text.unwrap_or_default())
    })
}

/// What a class is, in a sentence.
pub fn about(class: Class) -> &'static str {
    section(PAGES, &format!("\n## {}\n", class.id())).lines().next().unwrap_or_default()
}

/// What stands between a title and the next one.
fn section<'a>(text: &'a str, title: &str) -> &'a str {
    let Some((_, rest)) = text.split_once(title) else { return "" };
    rest.split("\n##").next().unwrap_or_default().trim()
}

/// Prints the page of a cause, or a line about each.
///
/// # Errors
/// Those of the output.
pub fn explain(cause: Option<Cause>, out: &mut impl Write) -> io::Result<()> {
    match cause {
        Some(cause) => write_page(cause, out)?,
        None => write_list(out)?,
    }
    out.flush()
}

fn write_page(cause: Cause, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}: {}\n", cause.id(), cause.words())?;
    let class = cause.class();
    writeln!(out, "{}", wrapped(&format!("Class: {}. {}", class.words(), about(class)), ""))?;
    writeln!(out, "\nSeverity and fault")?;
    for line in consequence_in_words(cause) {
        writeln!(out, "{}", wrapped(&line, "  "))?;
    }
    for paragraph in paragraphs(page(cause)) {
        let (title, text) = paragraph.split_once("** ").unwrap_or(("", &paragraph));
        writeln!(out, "\n{}", title.trim_start_matches("**").trim_end_matches('.'))?;
        writeln!(out, "{}", wrapped(&plain(text), "  "))?;
    }
    Ok(())
}

fn wrapped(text: &str, indent: &str) -> String {
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(indent)
        .subsequent_indent(indent)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::fill(text, options)
}

/// A page's paragraphs, each in one line; one begins where a line begins with bold type.
fn paragraphs(page: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in page.lines() {
        match all.last_mut() {
            Some(last) if !line.starts_with("**") => {
                last.push(' ');
                last.push_str(line);
            }
            _ => all.push(line.to_owned()),
        }
    }
    all
}

/// Without the marks of Markdown: code keeps its text, a link its words.
fn plain(text: &str) -> String {
    let mut plain = text.replace('`', "");
    while let Some(open) = plain.find("](") {
        let Some(close) = plain[open..].find(')') else { break };
        let Some(begin) = plain[..open].rfind('[') else { break };
        plain.replace_range(open..=open + close, "");
        plain.remove(begin);
    }
    plain
}

fn write_list(out: &mut impl Write) -> io::Result<()> {
    for (number, &class) in Class::ALL.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}: {}", class.id(), about(class))?;
        for cause in Cause::ALL.iter().filter(|cause| cause.class() == class) {
            writeln!(out, "  {:<34}{}", cause.id(), cause.words())?;
        }
    }
    writeln!(out, "\nrst-tracer explain CAUSE prints the page about one.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_one_page_under_its_class_and_no_other_has_one() {
        let mut class = "";
        let mut seen = Vec::new();
        for line in PAGES.lines() {
            if let Some(id) = line.strip_prefix("### ") {
                let cause: Cause = id.parse().unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(cause.class().id(), class, "{id} stands under another class");
                seen.push(cause);
            } else if let Some(id) = line.strip_prefix("## ") {
                class = id;
            }
        }
        seen.sort();
        assert_eq!(seen, {
            let mut all = Cause::ALL.to_vec();
            all.sort();
            all
        });
        assert!(Class::ALL.iter().all(|class| !about(*class).is_empty()));
    }

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/causes.md");
    const MARKS: [&str; 2] = ["<!-- table -->\n", "<!-- end of table -->"];

    #[test]
    fn the_tables_in_the_document_are_those_of_the_engine() {
        let text = std::fs::read_to_string(DOCUMENT).unwrap();
        let (head, rest) = text.split_once(MARKS[0]).unwrap();
        let (table, tail) = rest.split_once(MARKS[1]).unwrap();
        let wanted = crate::classify::consequence_table();
        if std::env::var_os("RST_TRACER_BLESS").is_some() {
            let text = format!("{head}{}{wanted}{}{tail}", MARKS[0], MARKS[1]);
            return std::fs::write(DOCUMENT, text).unwrap();
        }
        assert!(table == wanted, "docs/causes.md is stale: run the test with RST_TRACER_BLESS=1");
    }

    #[test]
    fn every_page_says_the_four_things() {
        for &cause in Cause::ALL {
            let paragraphs = paragraphs(page(cause));
            let titles =
                ["**What it is.** ", "**How we know.** ", "**How sure.** ", "**What to do.** "];
            assert_eq!(paragraphs.len(), titles.len(), "{cause}: {paragraphs:#?}");
            for (paragraph, title) in paragraphs.iter().zip(titles) {
                let text = paragraph.strip_prefix(title);
                assert!(text.is_some_and(|text| !text.is_empty()), "{cause}: {paragraph}");
            }
            assert!(advice(cause).iter().all(|text| !text.is_empty()), "{cause}");
        }
    }

    #[test]
    fn a_page_fits_a_terminal_and_has_no_marks_left() {
        for &cause in Cause::ALL {
            let mut out = Vec::new();
            explain(Some(cause), &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(text.starts_with(cause.id()));
            for line in text.lines() {
                assert!(line.chars().count() <= WIDTH, "{cause}: {line}");
            }
            assert!(!text.contains("**") && !text.contains('`') && !text.contains("]("), "{text}");
        }
    }

    #[test]
    fn a_link_keeps_its_words() {
        assert_eq!(plain("see [limits.md](limits.md) and `ss -K`"), "see limits.md and ss -K");
        assert_eq!(plain("an odd ]( stays"), "an odd ]( stays");
    }
}
