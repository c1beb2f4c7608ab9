//! Which addresses are inside, for the directions that OCSF and ECS know beside those of an interface.
//!
//! In: networks, as the operator names them, and a reset. Out: which of its ends are inside.

use std::str::FromStr;

use ipnet::IpNet;

use super::words;
use crate::event::{Endpoint, LocalRole, RstEvent};

/// What `private` stands for: RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291 section 2.5.6, and the loopback; Zeek has the
/// same in `Site::private_address_space`.
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

/// Networks that are inside; none where nobody said which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Internal(Vec<IpNet>);

impl Internal {
    /// The word `private`, or a network by `network`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(
        text: &str,
        network: impl FnOnce(&str) -> Result<IpNet, String>,
    ) -> Result<Self, String> {
        if text == "private" {
            let nets = PRIVATE.iter().filter_map(|net| IpNet::from_str(net).ok());
            return Ok(Self(nets.collect()));
        }
        let help =
            |why| format!("{why}; `private` stands for all addresses that are used inside only");
        network(text).map(|net| Self(vec![net])).map_err(help)
    }

    /// All of them together.
    pub fn of(all: &[Self]) -> Self {
        Self(all.iter().flat_map(|some| some.0.iter().copied()).collect())
    }

    /// Whether the source and the destination of a reset are inside, if it is known what is: those of the networks, and
    /// the observing host.
    pub(super) fn ends(&self, event: &RstEvent) -> Option<[bool; 2]> {
        let is_in = |end: Endpoint, here: LocalRole| {
            let is_here = event.local_role == here || words::is_within_host(event);
            is_here || self.0.iter().any(|net| net.contains(&end.ip))
        };
        let ends = || [is_in(event.src, LocalRole::Sender), is_in(event.dst, LocalRole::Receiver)];
        (!self.0.is_empty()).then(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, samples};

    #[test]
    fn private_and_networks_are_inside_and_so_is_this_host() {
        let read = |text: &str| {
            Internal::read(text, |text| text.parse().map_err(|_| format!("`{text}` is none")))
        };
        assert_eq!(read("private").expect("a word").0.len(), PRIVATE.len());
        let wrong = read("10.0.0.0/33").expect_err("too long");
        assert!(wrong.starts_with("`10.0.0.0/33` is none; `private` stands for"), "{wrong}");
        let inside = Internal::of(&[read("private").unwrap(), read("203.0.113.0/24").unwrap()]);
        let Event::Rst(mut event) = samples::unread_data() else { panic!("a reset") };
        let mut ends = |src: &str, dst: &str, role| {
            (event.src.ip, event.dst.ip) = (src.parse().unwrap(), dst.parse().unwrap());
            event.local_role = role;
            inside.ends(&event).expect("networks")
        };
        let observer = LocalRole::Observer;
        assert_eq!(ends("10.0.0.9", "198.51.100.7", observer), [true, false]);
        assert_eq!(ends("2001:db8::1", "fd00::1", observer), [false, true]);
        assert_eq!(ends("203.0.113.200", "172.31.0.1", observer), [true, true]);
        assert_eq!(ends("198.51.100.7", "192.0.2.1", LocalRole::Receiver), [false, true]);
        assert_eq!(ends("198.51.100.7", "192.0.2.1", LocalRole::Sender), [true, false]);
        assert_eq!(Internal::default().ends(&event), None, "nobody said what is inside");
    }
}
