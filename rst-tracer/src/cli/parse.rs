//! Values of options: times, networks, outputs, probabilities, causes.
//!
//! In: what was typed. Out: the value, or what is wrong with it and what to write instead.

use std::{net::SocketAddr, time::Duration};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use ipnet::IpNet;

use crate::{event::Cause, run::output::Wanted, sink::Internal};

/// The least time between two lines that tell numbers.
const SHORTEST: Duration = Duration::from_millis(10);

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

/// A time between two lines: tokio's timer takes none of zero, and nobody reads more than this.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    let told = || format!("`{text}` is too short; 10ms is the least, 60s is usual");
    (time >= SHORTEST).then_some(time).ok_or_else(told)
}

/// A port.
pub(super) fn port(text: &str) -> Result<u16, String> {
    let help = "from 0 to 65535; for several, give the option several times";
    text.parse().map_err(|_| format!("`{text}` is not a port {help}"))
}

/// Where to listen.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let help = "write for example 127.0.0.1:9477 or [::1]:9477";
    text.parse().map_err(|_| format!("`{text}` is not an address with a port; {help}"))
}

/// A network in CIDR notation, or a single address. An IPv4 address may be written as sockets of IPv6 show it
/// (`::ffff:10.0.0.1`, RFC 4291 section 2.5.5.2): on the wire it is IPv4.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    const MAPPED: u8 = 96;
    let net = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is neither an address nor a network such as 10.0.0.0/8"))?;
    let IpNet::V6(v6) = net else { return Ok(net) };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED));
    Ok(v4.and_then(|(address, len)| IpNet::new(address.into(), len).ok()).unwrap_or(net))
}

/// What is inside.
pub(super) fn internal(text: &str) -> Result<Internal, String> {
    Internal::read(text, network)
}

/// An output; read when it is opened, with the format that holds for all.
pub(super) fn place(text: &str) -> Result<String, String> {
    Wanted::check(text).map(|()| text.to_owned())
}

/// A user; whether there is one is seen when the tracer becomes it.
pub(super) fn user(text: &str) -> Result<String, String> {
    let help = "give a user's name or number, or --no-drop to stay root";
    (!text.trim().is_empty()).then(|| text.to_owned()).ok_or_else(|| help.into())
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
    fn between_two_lines_passes_some_time() {
        assert_eq!(interval("1m"), Ok(Duration::from_secs(60)));
        for wrong in ["0", "0s", "9ms", "0.000001ms"] {
            assert!(
                interval(wrong).is_err_and(|said| said.contains("10ms is the least")),
                "{wrong}"
            );
        }
        assert!(interval("5").is_err_and(|said| said.contains("write for example")));
    }

    #[test]
    fn a_network_may_be_a_single_address() {
        assert_eq!(network("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert_eq!(network("2001:db8::/32").unwrap().to_string(), "2001:db8::/32");
        assert!(network("10.0.0.0/33").is_err());
    }

    #[test]
    fn an_ipv4_address_within_ipv6_is_ipv4() {
        assert_eq!(network("::ffff:10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert_eq!(network("::ffff:10.0.0.0/104").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("::/0").unwrap().to_string(), "::/0");
    }
}
