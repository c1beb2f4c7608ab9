//! Points in time: nanoseconds since the epoch, written as RFC 3339 UTC.
//!
//! Own calendar arithmetic, because a time stands in every line; a test holds it against `jiff`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

const NANOS: u64 = 1_000_000_000;
const DAY_S: u64 = 86_400;
const TEMPLATE: [u8; 30] = *b"0000-00-00T00:00:00.000000000Z";

/// Nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted: good until the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// For example `2026-11-22T09:42:25.123456789Z`, always thirty bytes of ASCII.
    pub fn rfc3339(self) -> [u8; 30] {
        let (seconds, nanos) = (self.0 / NANOS, self.0 % NANOS);
        let (year, month, day) = civil(seconds / DAY_S);
        let of_day = seconds % DAY_S;
        let mut text = TEMPLATE;
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], of_day / 3600);
        digits(&mut text[14..16], of_day / 60 % 60);
        digits(&mut text[17..19], of_day % 60);
        digits(&mut text[20..29], nanos);
        text
    }
}

/// Year, month and day of a number of days since the epoch, in the Gregorian calendar.
///
/// Counted in years that begin in March, so that the leap day is the last of its year: every
/// 400 years have 146,097 days, and five months from March on have 153.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // from 0000-03-01
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Fills the whole field with the decimal digits of `n`, zeros in front.
fn digits(field: &mut [u8], mut n: u64) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.rfc3339()).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        let nanos = u64::try_from(time.as_nanosecond());
        nanos.map(Self).map_err(|_| D::Error::custom(format_args!("{text} is not in 1970 to 2554")))
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{9}Z$",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_months_and_eras_are_right() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (4_107_456_000, "2100-02-28"),
            (4_107_542_400, "2100-03-01"),
            (u64::MAX / NANOS, "2554-07-21"),
        ] {
            assert_eq!(Timestamp(seconds * NANOS).to_string()[..10], *day);
        }
    }

    proptest! {
        #[test]
        fn every_time_reads_as_jiff_writes_it(nanos: u64) {
            let time = jiff::Timestamp::from_nanosecond(nanos.into()).unwrap();
            prop_assert_eq!(Timestamp(nanos).to_string(), format!("{time:.9}"));
        }

        #[test]
        fn a_time_survives_the_way_through_json(nanos: u64) {
            let json = serde_json::to_string(&Timestamp(nanos)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), Timestamp(nanos));
        }
    }
}
