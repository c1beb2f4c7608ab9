//! Values of options: times, networks, probabilities, causes.
//!
//! In: what was typed. Out: the value, or what is wrong with it and what to write instead.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use ipnet::IpNet;

use crate::event::Cause;

/// Reads a cause; shells complete it, and a wrong one is answered with those like it.
pub(super) fn cause_parser() -> impl TypedValueParser<Value = Cause> {
    let names = Cause::ALL.iter().map(|cause| PossibleValue::new(cause.id()).help(cause.words()));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Cause>())
}

/// A time with its unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let help = || format!("`{text}` is not a time; write for example 500ms, 2s, 5m or 1h");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| help())?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "" if number == 0.0 => 0.0,
        _ => return Err(help()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| help())
}

/// A network in CIDR notation, or a single address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is neither an address nor a network such as 10.0.0.0/8"))
}

pub(super) fn probability(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|p| (0.0..=1.0).contains(p))
        .ok_or_else(|| format!("`{text}` is not a number from 0 to 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in ["", "5", "s", "-1s", "1 s", "1d", "NaNs", "1e400s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_network_may_be_a_single_address() {
        assert_eq!(network("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert_eq!(network("2001:db8::/32").unwrap().to_string(), "2001:db8::/32");
        assert!(network("10.0.0.0/33").is_err());
    }
}
