//! A throw-away network namespace per test, and the interfaces in it.
//!
//! Interfaces are made and looked at with the rtnetlink crate, whose parser is not the agent's:
//! what the agent claims is checked against it.

use std::{fs::File, thread};

use aya::{
    Ebpf,
    programs::{SchedClassifier, TcAttachType},
};
use futures_util::TryStreamExt;
use nix::sched::{CloneFlags, unshare};
use rst_tracer::{
    links::{self, Link},
    source::live::{attach::Hooks, object::OBJECT},
};
use rst_tracer_tests::tap;
use rtnetlink::{
    Handle, LinkUnspec, LinkVeth,
    packet_route::{link::LinkAttribute, tc::TcAttribute},
};

/// Runs a test in a new network namespace on a thread of its own; says so when it cannot.
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: needs root for a network namespace and BPF");
        return;
    }
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        test();
    };
    if let Err(panic) = thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs netlink requests in the calling thread's namespace.
pub(crate) fn netlink<T>(talk: impl AsyncFnOnce(Handle) -> Result<T, rtnetlink::Error>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().expect("a netlink socket");
        let speaking = tokio::spawn(connection);
        let answer = talk(handle).await.expect("an answer from netlink");
        speaking.abort();
        answer
    })
}

/// Makes a veth pair, both ends up, and loopback up.
pub(crate) fn veth(one: &str, other: &str) -> (Link, Link) {
    netlink(async |handle| handle.link().add(LinkVeth::new(one, other).build()).execute().await);
    ["lo", one, other].into_iter().for_each(set_up);
    (link(one), link(other))
}

pub(crate) fn set_up(name: &str) {
    let index = link(name).index;
    netlink(async |handle| {
        handle.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await
    });
}

pub(crate) fn delete(link: &Link) {
    netlink(async |handle| handle.link().del(link.index).execute().await);
}

/// The interface as the agent reads it.
pub(crate) fn link(name: &str) -> Link {
    let links = links::inventory().expect("an inventory");
    links.into_iter().find(|l| l.name == name).unwrap_or_else(|| panic!("no interface {name}"))
}

/// A layer-3 tun device; it lives as long as the file.
pub(crate) fn tun(name: &str) -> (File, Link) {
    let file = tap::open(name, libc::IFF_TUN).expect("a tun device");
    set_up(name);
    (file, link(name))
}

/// A set of programs of its own, as a separate agent would have.
pub(crate) fn programs() -> Ebpf {
    Ebpf::load(OBJECT).expect("the object loads")
}

pub(crate) fn hooks() -> Hooks {
    Hooks::new(programs()).expect("the programs load")
}

/// The names of the tcx programs on an interface, in the order in which they run.
pub(crate) fn tcx(name: &str, side: TcAttachType) -> Vec<String> {
    let (_, programs) = SchedClassifier::query_tcx(name, side).expect("tcx can be asked");
    programs.iter().filter_map(|p| p.name_as_str().map(str::to_owned)).collect()
}

/// Priority and handle of the filters on both sides of clsact, as rtnetlink reads them.
pub(crate) fn filters(link: &Link) -> Vec<(u32, u32)> {
    let index = i32::try_from(link.index).expect("a small index");
    netlink(async |handle| {
        let mut found = Vec::new();
        for egress in [false, true] {
            let request = handle.traffic_filter(index).get();
            let request = if egress { request.egress() } else { request.ingress() };
            let mut listed = request.execute();
            while let Some(filter) = listed.try_next().await? {
                let handle = u32::from(filter.header.handle);
                if handle != 0 {
                    found.push((filter.header.info >> 16, handle));
                }
            }
        }
        Ok(found)
    })
}

pub(crate) fn has_clsact(link: &Link) -> bool {
    netlink(async |handle| {
        let mut listed = handle.qdisc().get().execute();
        while let Some(qdisc) = listed.try_next().await? {
            let kind = |a: &TcAttribute| *a == TcAttribute::Kind("clsact".into());
            if qdisc.header.index.cast_unsigned() == link.index && qdisc.attributes.iter().any(kind)
            {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// Index, name and MTU of every interface, as rtnetlink reads them.
pub(crate) fn listed() -> Vec<(u32, String, u32)> {
    netlink(async |handle| {
        let mut found = Vec::new();
        let mut links = handle.link().get().execute();
        while let Some(message) = links.try_next().await? {
            let (mut name, mut mtu) = (String::new(), 0);
            for attribute in message.attributes {
                match attribute {
                    LinkAttribute::IfName(n) => name = n,
                    LinkAttribute::Mtu(m) => mtu = m,
                    _ => {}
                }
            }
            found.push((message.header.index, name, mtu));
        }
        found.sort();
        Ok(found)
    })
}
