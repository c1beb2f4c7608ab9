//! What a tracer leaves behind when it is killed: nothing, or filters known as its own.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use aya::programs::TcAttachType;
use rst_tracer::source::live::attach::{TrafficControl, XdpMode, clean, leftovers};

use crate::lab::{filters, has_clsact, hooks, in_namespace, link, tcx, veth};

const HOLD: &str = "RST_TRACER_TEST_HOLD";
const READY: &str = "hooks are in place";

/// Not a test: what the child process runs. Holds hooks on v0 until killed.
#[test]
#[ignore = "run by the other tests in a process of its own"]
fn hold_hooks_until_killed() {
    let (mode, via) = match env::var(HOLD).as_deref() {
        Ok("links") => (XdpMode::Native, TrafficControl::Auto),
        Ok("clsact") => (XdpMode::Off, TrafficControl::Clsact),
        _ => return,
    };
    let attached = hooks().attach_through(&link("v0"), mode, via).expect("attached");
    println!("{READY}: {attached}");
    // Until killed; should the parent die first, its end of the pipe closes and so do we.
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// Starts a process of its own that holds hooks on v0 of this namespace.
pub(crate) fn hold(what: &str) -> Child {
    let mut child = Command::new(env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "--nocapture", "killed::hold_hooks_until_killed"])
        .env(HOLD, what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let ready = output.lines().map_while(Result::ok).any(|line| line.contains(READY));
    assert!(ready, "the child ended before it was ready");
    child
}

pub(crate) fn kill(mut child: Child) {
    child.kill().expect("SIGKILL is sent");
    child.wait().expect("the child is gone");
}

/// Links go when the last reference to their descriptor does, which the kernel may defer a little.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed().as_secs() < 5, "{what}: not within five seconds");
        std::thread::yield_now();
    }
}

#[test]
fn links_vanish_with_a_killed_tracer() {
    in_namespace(|| {
        veth("v0", "v1");
        let child = hold("links");
        assert!(link("v0").xdp.is_some());
        assert_eq!(tcx("v0", TcAttachType::Egress), ["tc_egress"]);
        kill(child);
        eventually("XDP is detached", || link("v0").xdp.is_none());
        eventually("tcx is detached", || tcx("v0", TcAttachType::Egress).is_empty());
        hooks().attach(&link("v0"), XdpMode::Native).expect("the place is free");
    });
}

#[test]
fn filters_of_a_killed_tracer_are_known_as_ours_and_cleaned() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let child = hold("clsact");
        assert_eq!(filters(&v0).len(), 2);
        assert!(leftovers(v0.index).expect("listed").is_empty(), "its owner lives");
        assert!(clean(v0.index).expect("cleaned").is_empty(), "its owner lives");
        assert_eq!(filters(&v0).len(), 2);

        kill(child);
        assert_eq!(filters(&v0).len(), 2, "filters outlive their maker; is this another kind?");
        let names: Vec<String> =
            leftovers(v0.index).expect("listed").into_iter().map(|l| l.name).collect();
        assert_eq!(names, ["rst_tracer:tc_ingress", "rst_tracer:tc_egress"]);
        assert_eq!(clean(v0.index).expect("cleaned"), names);
        assert!(filters(&v0).is_empty());
        assert!(!has_clsact(&v0), "the dead tracer had made the discipline");
    });
}

#[test]
fn the_next_start_removes_what_a_killed_tracer_left() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        kill(hold("clsact"));
        let attached =
            hooks().attach_through(&v0, XdpMode::Off, TrafficControl::Clsact).expect("attached");
        assert_eq!(filters(&v0).len(), 2, "old and new filters side by side");
        assert!(
            attached.notes.iter().any(|n| n.starts_with("removed rst_tracer:tc_egress")),
            "{:?}",
            attached.notes
        );
    });
}
