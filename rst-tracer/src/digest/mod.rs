//! What many resets have in common, in bounded memory: for the screen and the report.
//!
//! In: events. Out: keys to count them by, and a table of the heaviest keys.

mod heavy;
mod keys;

pub use heavy::{Heavy, Row};
pub use keys::{Owner, Pair, Service};

/// A count with a space between groups of three digits, which no reader takes for a decimal mark.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A share in per cent; what is there is never nothing, and what is not all is never all.
pub fn percent(part: u64, whole: u64) -> String {
    match part as f64 * 100.0 / whole.max(1) as f64 {
        _ if part == 0 => "0%".to_owned(),
        share if share < 1.0 => "<1%".to_owned(),
        share if share > 99.0 && part < whole => ">99%".to_owned(),
        share => format!("{share:.0}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_counts_are_readable() {
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1\u{202f}000");
        assert_eq!(grouped(12_345_678), "12\u{202f}345\u{202f}678");
    }

    #[test]
    fn rounding_neither_hides_nor_completes() {
        assert_eq!(percent(0, 10), "0%");
        assert_eq!(percent(1, 100_000), "<1%");
        assert_eq!(percent(99_999, 100_000), ">99%");
        assert_eq!(percent(10, 10), "100%");
        assert_eq!(percent(1, 3), "33%");
    }
}
