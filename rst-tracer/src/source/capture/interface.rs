//! Interfaces as a pcapng section describes them, and the options blocks carry.
//!
//! In: the body of an interface description block. Out: link type, clock, lengths, name.

use rst_tracer_common::wire::LinkType;

use super::clock::Clock;
use super::order::Order;

/// Longer names are cut: IFNAMSIZ is 16 on Linux, a Windows device path has some 60 characters.
const LONGEST_NAME: usize = 255;

const END_OF_OPTIONS: u16 = 0;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_FCSLEN: u16 = 13;
const IF_TSOFFSET: u16 = 14;

/// One interface of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) link: LinkType,
    /// The most bytes kept of a packet; 0 for all.
    pub(super) snaplen: u32,
    /// Bytes of frame check sequence at the end of each packet.
    pub(super) fcs: u32,
    pub(super) clock: Clock,
    pub(super) name: Option<Box<str>>,
}

impl Interface {
    /// Reads the body of an interface description block, between type and length and the length
    /// at its end; an error says what is wrong.
    pub(super) fn parse(body: &[u8], order: Order) -> Result<Self, String> {
        let (Some(link), Some(snaplen), Some(rest)) =
            (order.u16(body, 0), order.u32(body, 4), body.get(8..))
        else {
            return Err("an interface description is too short for its header".into());
        };
        let mut interface =
            Self { link: LinkType(link), snaplen, fcs: 0, clock: Clock::default(), name: None };
        for option in Options::new(rest, order) {
            let (code, value) =
                option.ok_or("an option of an interface description is longer than the block")?;
            interface.learn(code, value, order);
        }
        Ok(interface)
    }

    /// Takes what one option says; one of a wrong length says nothing, as in Wireshark.
    fn learn(&mut self, code: u16, value: &[u8], order: Order) {
        match (code, value) {
            (IF_NAME, _) => {
                let name = String::from_utf8_lossy(&value[..value.len().min(LONGEST_NAME)]);
                self.name = Some(name.trim_end_matches('\0').into());
            }
            (IF_TSRESOL, &[exponent]) => self.clock.set_resolution(exponent),
            (IF_FCSLEN, &[length]) => self.fcs = fcs_bytes(length),
            (IF_TSOFFSET, value) if value.len() == 8 => {
                if let Some(seconds) = order.i64(value, 0) {
                    self.clock.set_offset(seconds);
                }
            }
            _ => {}
        }
    }
}

/// `if_fcslen` counts bits (draft-ietf-opsawg-pcapng 4.2), but the example there is 4 and files
/// with bytes exist; no link has a check sequence of less than one or more than seven bytes.
fn fcs_bytes(length: u8) -> u32 {
    u32::from(if length < 8 { length } else { length / 8 })
}

/// The options at the end of a block: code and value each, `None` once one is cut short.
pub(super) struct Options<'a> {
    rest: &'a [u8],
    order: Order,
}

impl<'a> Options<'a> {
    pub(super) fn new(rest: &'a [u8], order: Order) -> Self {
        Self { rest, order }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Option<(u16, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        let code = self.order.u16(rest, 0)?;
        let length = usize::from(self.order.u16(rest, 2)?);
        if code == END_OF_OPTIONS {
            return None;
        }
        let Some(value) = rest.get(4..4 + length) else { return Some(None) };
        self.rest = rest.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        Some(Some((code, value)))
    }
}
