//! Whose habits a reset has: tools and boxes that write resets in their own way.
//!
//! In: a case. Out: the first habit of the table that fits. A habit names a suspect; it proves
//! nothing, for anybody can write so. Sources stand with the rows.

mod fits;

use self::fits::Reading;
use super::{Case, Past, forgery::copies::shots};
use crate::event::Cause;

/// A way to write resets.
#[derive(Debug)]
pub struct Habit {
    /// Fixed name.
    pub id: &'static str,
    /// Whose it is, in words.
    pub name: &'static str,
    /// What its owner uses it for.
    pub cause: Cause,
    /// How much rarer a genuine reset looks so: a logarithm.
    pub weight: f64,
    /// How surely an injector that writes so is the one named.
    pub surely: f64,
    fits: fn(&Reading<'_>) -> bool,
}

const fn habit(
    id: &'static str,
    name: &'static str,
    cause: Cause,
    weight: f64,
    surely: f64,
    fits: fn(&Reading<'_>) -> bool,
) -> Habit {
    Habit { id, name, cause, weight, surely, fits }
}

/// The most telling first.
static HABITS: [Habit; 16] = [
    // Payload of ten bytes: "A Wall Behind A Wall", IEEE S&P 2025.
    habit(
        "henan",
        "the provincial firewall of Henan",
        Cause::InjectedReset,
        1.0,
        0.85,
        fits::henan,
    ),
    // net4people/bbs 285 and 511: three with window w, w+1, w+2 and TTL t, t+1, t+2.
    habit(
        "gfw_counting",
        "the Great Firewall since 2023",
        Cause::InjectedReset,
        1.5,
        0.85,
        fits::gfw_counting,
    ),
    // Clayton, Murdoch and Watson, "Ignoring the Great Firewall of China", PET 2006: X, X+1460,
    // X+4380.
    habit(
        "gfw_type_2",
        "the Great Firewall's type 2",
        Cause::InjectedReset,
        1.5,
        0.85,
        fits::gfw_type_2,
    ),
    // Weaver, Sommer and Paxson, NDSS 2009.
    habit("sandvine", "Sandvine's traffic shaper", Cause::InjectedReset, 1.5, 0.85, fits::sandvine),
    // dsniff, tcpkill.c: sequence numbers a window apart.
    habit("tcpkill", "tcpkill", Cause::InjectedReset, 1.5, 0.85, fits::tcpkill),
    // suricata, src/respond-reject-libnet11.c.
    habit("suricata", "Suricata's reject", Cause::IpsActiveResponse, 1.5, 0.92, fits::suricata),
    // snort3, src/packet_io/active.cc: attempts "strafe" by the size of the payload.
    habit(
        "snort_strafing",
        "Snort's active response",
        Cause::IpsActiveResponse,
        1.5,
        0.92,
        fits::snort_strafing,
    ),
    // The same: where none was learnt, the time to live is what the trigger's leaves of 255.
    habit(
        "snort_mirrored_ttl",
        "Snort's active response",
        Cause::IpsActiveResponse,
        1.5,
        0.92,
        fits::snort_mirrored_ttl,
    ),
    // Weaver, Sommer and Paxson, NDSS 2009: resets with reserved bits ("RAE").
    habit(
        "reserved_bits",
        "an injector that sets reserved bits",
        Cause::InjectedReset,
        1.5,
        0.85,
        fits::rae,
    ),
    // The same: constant identifications, or one counted down from the trigger's.
    habit(
        "ip_id_constant",
        "an injector with a constant IP ID",
        Cause::InjectedReset,
        1.5,
        0.85,
        fits::constant_id,
    ),
    habit(
        "ip_id_minus_26",
        "an injector with the trigger's IP ID less 26",
        Cause::InjectedReset,
        1.5,
        0.85,
        fits::minus_26,
    ),
    // snort3, where the time to live is the one learnt of the direction.
    habit(
        "snort_learnt_ttl",
        "Snort's active response",
        Cause::IpsActiveResponse,
        1.0,
        0.5,
        fits::snort_learnt_ttl,
    ),
    // snort3 again, by what many do.
    habit("snort", "Snort's active response", Cause::IpsActiveResponse, 1.0, 0.4, fits::snort),
    // Their documented defaults.
    habit("scapy", "scapy's defaults", Cause::InjectedReset, 1.0, 0.85, fits::scapy),
    habit("hping", "hping's defaults", Cause::InjectedReset, 1.0, 0.85, fits::hping),
    // Wang et al., "Your State is Not Mine", IMC 2017: one bare reset with a window.
    habit(
        "gfw_type_1",
        "the Great Firewall's type 1",
        Cause::InjectedReset,
        0.5,
        0.85,
        fits::gfw_type_1,
    ),
];

/// The habit that a reset has.
pub(super) fn find(case: &Case<'_>, past: &Past<'_>) -> Option<&'static Habit> {
    if past.theirs().packets == 0 {
        return None;
    }
    let reading = Reading::of(case, past, shots(case, past));
    HABITS.iter().find(|habit| (habit.fits)(&reading))
}
