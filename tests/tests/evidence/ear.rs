//! A tracer at an interface of the server that keeps every record instead of judging it.

use std::{
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use rst_tracer::{
    correlate::{SendReset, Witnesses},
    demo::netns::Netns,
    links,
    source::{
        Notice, Record, Reset,
        live::{self, Live, attach::XdpMode, evidence::Scope, kernel, rings::Cut},
    },
};
use rst_tracer_common::{
    notice::{Point, Statements},
    wire::Endpoint,
};
use tokio::sync::oneshot;

/// A tracer that listens.
pub(crate) struct Ear {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Heard>,
    pub(crate) witnesses: Witnesses,
}

/// What it heard.
pub(crate) struct Heard {
    records: Vec<Record>,
    pub(crate) statements: Statements,
    /// Segments that took the short way.
    pub(crate) usual: u64,
}

impl Ear {
    /// Starts it in a namespace, at its loopback device.
    pub(crate) fn open(netns: &Netns, scope: Scope) -> Self {
        Self::open_at(netns, "lo", scope)
    }

    /// Starts it in a namespace, at one of its interfaces.
    pub(crate) fn open_at(netns: &Netns, interface: &'static str, scope: Scope) -> Self {
        let fd = netns.fd().try_clone_to_owned().expect("a descriptor");
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            nix::sched::setns(&fd, nix::sched::CloneFlags::CLONE_NEWNET).expect("the namespace");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(listen(interface, scope, &ready, stopped))
        });
        let witnesses = is_ready.recv().expect("the tracer starts");
        Self { stop, thread, witnesses }
    }

    /// Ends it, once everything has arrived.
    pub(crate) fn close(self) -> Heard {
        thread::sleep(Duration::from_millis(100));
        self.stop.send(()).expect("the tracer still runs");
        self.thread.join().expect("the tracer ends well")
    }

    /// Whether every reset that TCP sends is told, with its reason.
    pub(crate) fn hears_all(&self) -> bool {
        self.witnesses.send_reset == SendReset::Always
    }
}

/// A tracer of this test: small, and whose statements it hears.
pub(crate) fn options(interfaces: &[&str], xdp_mode: XdpMode, scope: Scope) -> live::Options {
    live::Options {
        interfaces: links::Choice {
            patterns: interfaces.iter().map(|&name| name.to_owned()).collect(),
            ..links::Choice::default()
        },
        xdp_mode,
        kernel: kernel::Options {
            tunnels: false,
            ..kernel::Options::all_told(8192, Cut::for_this_host(8 << 20)).expect("random numbers")
        },
        scope,
        object: None,
    }
}

async fn listen(
    interface: &str,
    scope: Scope,
    ready: &mpsc::Sender<Witnesses>,
    mut stopped: oneshot::Receiver<()>,
) -> Heard {
    let options = options(&[interface], XdpMode::Off, scope);
    let mut live = Live::start(options, |line| println!("{line}")).expect("the tracer starts");
    ready.send(live.witnesses()).expect("somebody waits");
    let mut records = Vec::new();
    loop {
        while live.drain(4096, |record| records.push(record)).may_have_more {}
        tokio::select! {
            _ = &mut stopped => break,
            _ = tokio::time::timeout(Duration::from_millis(10), live.next()) => {}
        }
    }
    live.detach();
    while live.drain(4096, |record| records.push(record)).may_have_more {}
    assert_eq!(live.undecoded(), 0);
    let usual = live.usual().expect("the counters");
    Heard { records, statements: live.statements().expect("the counters"), usual }
}

impl Heard {
    /// Every statement of a tracepoint.
    pub(crate) fn of(&self, point: Point) -> impl Iterator<Item = &Notice> {
        self.records.iter().filter_map(move |record| match record {
            Record::Notice(notice) if notice.wire.point == point => Some(&**notice),
            _ => None,
        })
    }

    /// The only statement of a tracepoint about a reset from `src` to `dst`.
    pub(crate) fn only(&self, point: Point, src: Endpoint, dst: Endpoint) -> &Notice {
        let is_it = |notice: &&Notice| notice.wire.src == src && notice.wire.dst == dst;
        let all: Vec<_> = self.of(point).filter(is_it).collect();
        assert_eq!(all.len(), 1, "{:?} from {src:?} to {dst:?}: {all:#?}", point.0);
        all[0]
    }

    /// The resets on the wire.
    pub(crate) fn resets(&self) -> impl Iterator<Item = &Reset> {
        self.records.iter().filter_map(|record| match record {
            Record::Reset(reset) => Some(reset),
            _ => None,
        })
    }
}
