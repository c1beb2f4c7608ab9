//! Community ID, version 1: one name for a connection in every tool.
//!
//! <https://github.com/corelight/community-id-spec>

use std::net::IpAddr;

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};

use crate::event::Endpoint;

const TCP_AND_PADDING: [u8; 2] = [6, 0];
/// The version and 20 bytes in Base64.
const LENGTH: usize = 2 + 28;

/// The id of the connection between two ends, the same in both directions. Tools that use another `seed` name it
/// otherwise; the usual one is 0.
pub(super) fn of(a: Endpoint, b: Endpoint, seed: u16) -> String {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut hash = Sha1::new();
    hash.update(seed.to_be_bytes());
    for end in [low, high] {
        match end.ip {
            IpAddr::V4(v4) => hash.update(v4.octets()),
            IpAddr::V6(v6) => hash.update(v6.octets()),
        }
    }
    hash.update(TCP_AND_PADDING);
    hash.update(low.port.to_be_bytes());
    hash.update(high.port.to_be_bytes());
    let mut id = String::with_capacity(LENGTH);
    id.push_str("1:");
    BASE64_STANDARD.encode_string(hash.finalize(), &mut id);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(a: &str, b: &str) -> String {
        id_of_seed(a, b, 0)
    }

    fn id_of_seed(a: &str, b: &str, seed: u16) -> String {
        let end = |text: &str| Endpoint::from(text.parse::<std::net::SocketAddr>().unwrap());
        of(end(a), end(b), seed)
    }

    #[test]
    fn the_ids_of_the_specification_come_out() {
        let v4 = id("128.232.110.120:34855", "66.35.250.204:80");
        assert_eq!(v4, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        let v6 =
            id("[2001:470:e5bf:dead:4957:2174:e82c:4887]:63943", "[2607:f8b0:400c:c03::1a]:25");
        assert_eq!(v6, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=");
    }

    #[test]
    fn another_seed_gives_the_id_that_other_tools_give() {
        let one = id_of_seed("128.232.110.120:34855", "66.35.250.204:80", 1);
        assert_eq!(one, "1:3V71V58M3Ksw/yuFALMcW0LAHvc=", "as the Python package says");
    }

    #[test]
    fn both_directions_have_one_id() {
        assert_eq!(id("10.0.0.1:80", "10.0.0.1:90"), id("10.0.0.1:90", "10.0.0.1:80"));
        assert_eq!(id("[::1]:9", "[::2]:8"), id("[::2]:8", "[::1]:9"));
    }
}
