//! curl as the client of nginx.

use anyhow::Result;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Scene};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};

use super::program::{Folder, Program, command};
use super::{DIED, nginx, the_caller, truth};
use crate::laboratory::wishes::quiet;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "curl_max_time",
        "curl has no more time",
        "curl, which reads slowly, gives a download up after a second (--max-time).",
        max_time,
    )
    .needs(CURL)
    .slow(),
    Listed::new(
        "curl_killed",
        "curl killed in a download",
        "curl, which reads slowly, is killed (SIGKILL) in the middle of a download.",
        killed,
    )
    .needs(CURL)
    .slow(),
];

const CURL: &[&str] = &["nginx", "curl"];

/// curl downloads a long file slowly.
fn curl(scene: &Scene<'_>, more: &[&str]) -> Result<Program> {
    let source = scene.ip(Place::Client, scene.family).to_string();
    let mut curl = command("curl");
    curl.args(["-q", "--silent", "--limit-rate", "1k", "--noproxy", "*", "--globoff"]);
    curl.args(["--interface", &source, "-o", "/dev/null"]).args(more);
    curl.arg(format!("http://{}/file", scene.server));
    Folder::new()?.start(&scene.lab.client, &mut curl)
}

fn max_time(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _nginx = nginx::start(scene, "")?;
    let mut curl = curl(scene, &["--max-time", "1"])?;
    curl.wait()?;
    // It cancels; that the kernel resets is because the rest lies unread.
    let cause = ("normal_abortive_close", "client_cancel");
    let reset = Reset::by(Sender::Client, Stage::PostData, cause);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    let truth = truth(the_caller(scene)?, reset, "the reset reached the server");
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn killed(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _nginx = nginx::start(scene, "")?;
    let curl = curl(scene, &[])?;
    let connection = the_caller(scene)?;
    // How much more the client's buffer takes, its kernel decides.
    scene.lab.sniffer(Place::Client).wait_for("the download", &connection, |seen| {
        (seen.iter().map(|one| one.segment.payload_len).sum::<usize>() > 30_000).then_some(())
    })?;
    // Halted, so that nothing is under way when it dies.
    curl.halt()?;
    quiet(scene, &connection)?;
    curl.kill()?;
    // The process died; to the server that is a client which no longer wants the answer.
    let reset = Reset::by(Sender::Client, Stage::PostData, DIED);
    let reset = reset.or_as_truly(&["client_cancel", "closed_with_unread_data"]);
    let truth = truth(connection, reset, "the reset reached the server");
    scene.await_resets(&truth)?;
    Ok(truth)
}
