//! Resets that a third party on the way writes in the server's name, with more or less knowledge.

use anyhow::Result;
use nix::errno::Errno;

use super::Listed;
use super::pair::{Pair, answer_of_the_dead};
use super::scene::Scene;
use crate::demo::forge::Forgery;
use crate::demo::frame::{ACK, RST};
use crate::demo::lab::Place;
use crate::demo::truth::{Effect, GroundTruth, Maker, Reset, Sender, Side, Stage};
use crate::demo::{packet, sockets};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "forged_rst_exact",
        "Forged reset that is believed",
        "The router writes a reset in the server's name with the exact sequence number; \
         later the server, which was not told, sends again.",
        forged_rst_exact,
    ),
    Listed::new(
        "forged_rst_in_window",
        "Forged reset that is challenged",
        "The router writes a reset in the server's name with a sequence number that is only \
         inside the window; the client asks back (RFC 5961) and the connection lives on.",
        forged_rst_in_window,
    ),
    Listed::new(
        "forged_rst_out_of_window",
        "Forged reset that is ignored",
        "The router writes a reset in the server's name with a sequence number outside the \
         window; the connection lives on and is closed in order.",
        forged_rst_out_of_window,
    ),
];

/// Bytes beyond the next one expected: inside any window the client offers.
const INSIDE: u32 = 1000;
/// Far beyond the largest window there is (65535 << 14, RFC 7323).
const OUTSIDE: u32 = 0x5000_0000;

fn forged_rst_exact(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    forge(scene, &pair, 0)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    pair.speak_to_the_dead()?;
    let resets = vec![reset("injected_reset", Effect::Accepted), answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn forged_rst_in_window(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    forge(scene, &pair, INSIDE)?;
    scene.lab.sniffer(Place::Client).wait_for("a challenge ACK", &pair.connection, |seen| {
        let mut since = seen.iter().map(|one| &one.segment).skip_while(|one| !one.has(RST));
        since.any(|one| one.src == pair.connection.client && one.flags == ACK).then_some(())
    })?;
    survived(pair, Effect::Challenged)
}

fn forged_rst_out_of_window(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    forge(scene, &pair, OUTSIDE)?;
    survived(pair, Effect::Ignored)
}

/// The connection is used once more and closed in order.
fn survived(pair: Pair<'_>, effect: Effect) -> Result<GroundTruth> {
    let done = "the connection was used once more and closed with FINs";
    let truth = pair.truth(done, vec![reset("blind_reset_attempt", effect)]);
    pair.exchange()?;
    pair.part()?;
    Ok(truth)
}

/// Writes the reset from the router's client side, and waits until the client has seen it.
fn forge(scene: &Scene<'_>, pair: &Pair<'_>, beyond: u32) -> Result<()> {
    let seen = pair.last_of(Side::Server, Place::RouterClientSide)?;
    let exact = Forgery::after(&seen, RST | ACK);
    let forged = Forgery { seq: exact.seq.wrapping_add(beyond), ..exact };
    let interface = Place::RouterClientSide.interface();
    packet::inject(&scene.lab.router, interface, &forged.to_frame())?;
    scene.lab.sniffer(Place::Client).wait_for("the forged reset", &pair.connection, |seen| {
        seen.iter().any(|one| one.segment.has(RST)).then_some(())
    })
}

fn reset(cause: &'static str, effect: Effect) -> Reset {
    Reset::by(Sender::RouterOnBehalfOf(Side::Server), Stage::PostData, ("security_measure", cause))
        .made_by(Maker::Injector)
        .with_effect(effect)
        .refuted()
}
