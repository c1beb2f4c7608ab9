//! Shortage of what a whole kernel shares. It disturbs everybody on the machine, and is played
//! only where the machine is nobody else's.

use std::env;
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};
use rst_tracer::exit::{Code, Failure};

pub(super) const LISTED: &[Listed] = &[Listed::new(
    "too_many_orphans",
    "No room for orphaned sockets",
    "One orphaned socket is waiting for its last ACK when the kernel's limit for them becomes \
     zero, for a moment in which the server closes another: a reset follows its FIN.",
    too_many_orphans,
)
.alone()];

/// Whoever sets this to 1 says that the machine is theirs alone.
const PERMISSION: &str = "RST_TRACER_LAB_OWNS_MACHINE";

/// One for all network namespaces: `tcp_too_many_orphans` in the kernel's net/ipv4/tcp.c counts
/// over all of them, and the sysctl is registered for the first one only.
const MAX_ORPHANS: &str = "/proc/sys/net/ipv4/tcp_max_orphans";

/// The kernel counts orphans every 100 ms (TCP_ORPHAN_TIMER_PERIOD).
const COUNTED: Duration = Duration::from_millis(250);

/// The laboratory lets orphans retransmit once (tcp_orphan_retries).
const GIVEN_UP: Duration = Duration::from_secs(3);

fn too_many_orphans(scene: &Scene<'_>) -> Result<GroundTruth> {
    if env::var(PERMISSION).as_deref() != Ok("1") {
        let message = format!(
            "it would reset whatever else on this machine closes at that moment; set \
             {PERMISSION}=1 to allow it"
        );
        return Err(Failure::new(Code::UNAVAILABLE, message).into());
    }
    let listener = scene.listen(8)?;
    let (first, second) = (scene.pair_at(&listener)?, scene.pair_at(&listener)?);
    for pair in [&first, &second] {
        pair.exchange()?;
        pair.settle()?;
    }
    // The ACKs of both FINs are lost, so that both sockets are still there.
    let _unheard = scene.lose(&[(Port::To(scene.server.port()), Only::Any)])?;
    let bystander = first.connection.clone();
    let cause = ("resource_limitation", "orphan_or_memory_pressure");
    let reset = Reset::by(Sender::Server, Stage::PostFin, cause);
    let mut truth = second.truth("the client's socket got EPIPE", vec![reset]);
    scene.lab.server.run(|| sockets::close(first.server))?;
    thread::sleep(COUNTED);
    {
        // Here, not on a thread of the server's: a namespace of its own does not have the file.
        let _none = NoOrphans::allowed()?;
        sockets::close(second.server)?;
    }
    sockets::await_error(&second.client, Errno::EPIPE)?;
    scene.await_resets(&truth)?;
    // Until the first one has given up, its client must be there, or it would reset it.
    thread::sleep(GIVEN_UP);
    sockets::vanish(first.client)?;
    truth.connections.push(bystander);
    Ok(truth)
}

/// No orphans are allowed on the whole machine, as long as this lives.
struct NoOrphans(String);

impl NoOrphans {
    fn allowed() -> Result<Self> {
        let before = fs::read_to_string(MAX_ORPHANS).context("reading the limit for orphans")?;
        fs::write(MAX_ORPHANS, "0").context("setting the limit for orphans")?;
        Ok(Self(before))
    }
}

impl Drop for NoOrphans {
    fn drop(&mut self) {
        if let Err(error) = fs::write(MAX_ORPHANS, &self.0) {
            eprintln!("{MAX_ORPHANS} stays at zero: {error}");
        }
    }
}
