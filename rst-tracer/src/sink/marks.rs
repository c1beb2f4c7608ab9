//! What whoever runs the tracer wants said in every line: tags, and labels with a value.
//!
//! In: words of the command line. Out: the same, once they may stand in every format that has a place for them.

use serde_json::{Value, json};

use super::words::clean;

/// A tag, and the key of a label, have no more bytes.
const LONGEST: usize = 64;
/// As JSON, all of them together have no more: a line is short, and has to tell more than this.
const ROOM: usize = 256;
/// What the tags are called beside the labels.
const TAGS: &str = "tags";

/// Tags and labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Words.
    pub tags: Vec<String>,
    /// Keys, each of them once, and their values.
    pub labels: Vec<(String, String)>,
}

impl Marks {
    /// Takes what was read one by one.
    ///
    /// # Errors
    /// Says which label has two values, or how much they are too long together.
    pub fn new(tags: Vec<String>, labels: Vec<(String, String)>) -> Result<Self, String> {
        for (n, (key, _)) in labels.iter().enumerate() {
            if labels[..n].iter().any(|(other, _)| other == key) {
                return Err(format!("the label `{key}` is given twice; it has one value"));
            }
        }
        let marks = Self { tags, labels };
        let bytes = json!(marks.tags).to_string().len() + marks.labels().to_string().len();
        if bytes > ROOM {
            return Err(format!("tags and labels have {bytes} bytes as JSON; {ROOM} are allowed"));
        }
        Ok(marks)
    }

    /// The labels as an object.
    pub(super) fn labels(&self) -> Value {
        let label = |(key, value): &(String, String)| (key.clone(), json!(value));
        Value::Object(self.labels.iter().map(label).collect())
    }

    /// Reads a tag.
    ///
    /// # Errors
    /// Says what one looks like.
    pub(crate) fn tag(text: &str) -> Result<String, String> {
        let is_one = text.len() <= LONGEST && is_word(text);
        let help = "a tag has 1 to 64 bytes, neither control characters nor spaces around it";
        is_one.then(|| text.to_owned()).ok_or_else(|| format!("{help}; for example edge"))
    }

    /// Reads a label: dots in keys would be objects to Elasticsearch, and `tags` is where OTLP has the tags.
    ///
    /// # Errors
    /// Says what one looks like.
    pub(crate) fn label(text: &str) -> Result<(String, String), String> {
        let is_of_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let Some((key, value)) = text.split_once('=') else {
            return Err("a label is KEY=VALUE; for example env=prod".into());
        };
        if key == TAGS {
            return Err(format!("`{TAGS}` is no key of a label; write --tag {}", clean(value)));
        }
        if key.is_empty() || key.len() > LONGEST || !key.bytes().all(is_of_key) {
            return Err("a key has 1 to 64 letters, digits, `_` and `-` of ASCII; for example \
                        env=prod"
                .into());
        }
        if !is_word(value) {
            return Err("a value is not empty, and has neither control characters nor spaces \
                        around it; for example env=prod"
                .into());
        }
        Ok((key.to_owned(), value.to_owned()))
    }
}

/// Whether it says something, and nothing that a terminal would obey.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && clean(text) == text
}

#[cfg(test)]
impl Marks {
    /// Marks for tests.
    pub(super) fn sample() -> Self {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Self {
            tags: vec!["edge".into(), "\"eu\" west".into()],
            labels: vec![label("env", "prod"), label("cost-centre_7", "a=b:c\\d")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_key_and_a_value() {
        let label = |text| Marks::label(text).map(|(key, value)| format!("{key} {value}"));
        assert_eq!(label("env=prod").as_deref(), Ok("env prod"));
        assert_eq!(label("A-b_9=x=y, z").as_deref(), Ok("A-b_9 x=y, z"));
        let [longest, long] = [64, 65].map(|bytes| format!("{}=x", "k".repeat(bytes)));
        assert!(label(&longest).is_ok());
        for (wrong, word) in [
            ("env", "is KEY=VALUE"),
            ("", "is KEY=VALUE"),
            ("=prod", "1 to 64 letters"),
            (&long, "1 to 64 letters"),
            ("a.b=c", "1 to 64 letters"),
            ("é=c", "1 to 64 letters"),
            ("a b=c", "1 to 64 letters"),
            ("env=", "not empty"),
            ("env= prod", "spaces"),
            ("env=a\u{1b}[2J", "control characters"),
            ("tags=edge", "write --tag edge"),
        ] {
            assert!(label(wrong).is_err_and(|said| said.contains(word)), "{wrong:?}");
        }
    }

    #[test]
    fn a_tag_is_a_word_or_some() {
        for right in ["edge", "eu west", "ünï", &"t".repeat(64)] {
            assert_eq!(Marks::tag(right).as_deref(), Ok(right));
        }
        for wrong in ["", " ", " edge", "a\nb", "\u{202e}", &"t".repeat(65)] {
            assert!(Marks::tag(wrong).is_err_and(|said| said.contains("1 to 64")), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_has_one_value_and_all_have_some_room() {
        let label = |key: &str, bytes: usize| (key.to_owned(), "v".repeat(bytes));
        let new = |tags: &[&str], labels: &[(String, String)]| {
            Marks::new(tags.iter().map(|&tag| tag.to_owned()).collect(), labels.to_vec())
        };
        assert!(new(&["a"], &[label("b", 243)]).is_ok());
        assert!(new(&["a"], &[label("b", 244)]).is_err_and(|said| said.contains("257 bytes")));
        let twice = new(&[], &[label("b", 1), label("c", 1), label("b", 2)]);
        assert!(twice.is_err_and(|said| said.contains("`b` is given twice")));
    }
}
