//! A page as a browser's parser understands it.

use rst_tracer_tests::tracer::{Ended, run};
use scraper::{ElementRef, Html, Selector};

/// A page that was parsed.
pub(crate) struct Page(Html);

impl Page {
    /// Makes the report of some files, and parses it.
    #[track_caller]
    pub(crate) fn of(files: &[&str]) -> Self {
        let ended = run(&[&["report"], files].concat());
        ended.assert_code(0);
        Self::in_output(&ended)
    }

    /// The page on standard output.
    pub(crate) fn in_output(ended: &Ended) -> Self {
        Self(Html::parse_document(&ended.out.join("\n")))
    }

    /// What the parser finds wrong.
    pub(crate) fn errors(&self) -> &[std::borrow::Cow<'static, str>] {
        &self.0.errors
    }

    pub(crate) fn all(&self, selector: &str) -> Vec<ElementRef<'_>> {
        self.0.select(&Selector::parse(selector).expect("a selector")).collect()
    }

    #[track_caller]
    pub(crate) fn one(&self, selector: &str) -> ElementRef<'_> {
        let all = self.all(selector);
        assert_eq!(all.len(), 1, "{selector}");
        all[0]
    }

    /// The texts of all such elements.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        self.all(selector).into_iter().map(text).collect()
    }

    /// The text of a section.
    pub(crate) fn section(&self, id: &str) -> String {
        text(self.one(&format!("section#{id}")))
    }
}

/// The text of an element, blanks joined; thousands are not parted.
pub(crate) fn text(element: ElementRef<'_>) -> String {
    let text: String = element.text().collect();
    text.replace('\u{202f}', "").split_whitespace().collect::<Vec<_>>().join(" ")
}
