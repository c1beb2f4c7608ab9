//! The filters for kernels without tcx: they come, go, and leave those of others alone.

use aya::programs::{
    SchedClassifier, TcAttachType,
    tc::{NlOptions, TcAttachOptions, qdisc_add_clsact},
};
use rst_tracer::{
    links::Link,
    source::live::attach::{Attached, Hooks, How, TrafficControl, XdpMode, clean, leftovers},
};

use crate::lab::{delete, filters, has_clsact, hooks, in_namespace, programs, veth};

fn attach(hooks: &mut Hooks, link: &Link) -> Attached {
    hooks.attach_through(link, XdpMode::Off, TrafficControl::Clsact).expect("attached")
}

/// A filter of somebody else; it stays as long as the returned object.
fn foreign_filter(name: &str, priority: u16) -> aya::Ebpf {
    let mut foreign = programs();
    let program: &mut SchedClassifier =
        foreign.program_mut("tc_egress").expect("in the object").try_into().expect("a classifier");
    program.load().expect("loads");
    let options = TcAttachOptions::Netlink(NlOptions { priority, ..NlOptions::default() });
    program.attach_with_options(name, TcAttachType::Egress, options).expect("attaches");
    foreign
}

#[test]
fn both_filters_and_the_discipline_come_and_go() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let attached = attach(&mut hooks(), &v0);
        assert_eq!((attached.ingress, attached.egress), (How::Clsact, How::Clsact));
        assert_eq!(attached.to_string(), "v0: ingress clsact (XDP is off), egress clsact");
        let found = filters(&v0);
        assert_eq!(found.len(), 2, "{found:x?}");
        assert!(found.iter().all(|&(priority, _)| priority == 1), "{found:x?}");
        drop(attached);
        assert!(filters(&v0).is_empty());
        assert!(!has_clsact(&v0), "the discipline was ours to remove");
    });
}

#[test]
fn a_discipline_of_others_stays() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        qdisc_add_clsact("v0").expect("added");
        drop(attach(&mut hooks(), &v0));
        assert!(filters(&v0).is_empty());
        assert!(has_clsact(&v0));
    });
}

#[test]
fn a_foreign_filter_stays_even_on_a_discipline_we_made() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let attached = attach(&mut hooks(), &v0);
        let foreign = foreign_filter("v0", 10);
        drop(attached);
        assert_eq!(filters(&v0).len(), 1);
        assert!(leftovers(v0.index).expect("listed").is_empty(), "a foreign filter is not ours");
        assert!(clean(v0.index).expect("cleaned").is_empty());
        assert_eq!(filters(&v0).len(), 1);
        drop(foreign);
    });
}

#[test]
fn a_foreign_filter_that_runs_before_ours_is_said() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        qdisc_add_clsact("v0").expect("added");
        let _foreign = foreign_filter("v0", 1);
        let attached = attach(&mut hooks(), &v0);
        assert!(
            attached.notes.iter().any(|n| n.ends_with("may hide packets: tc_egress")),
            "{:?}",
            attached.notes
        );
    });
}

#[test]
fn the_last_tracer_removes_the_discipline_that_the_first_made() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let mut hooks = hooks();
        let (first, second) = (attach(&mut hooks, &v0), attach(&mut hooks, &v0));
        assert_eq!(filters(&v0).len(), 4);
        drop(first);
        assert_eq!(filters(&v0).len(), 2, "a living tracer's filters were removed");
        drop(second);
        assert!(!has_clsact(&v0));
    });
}

#[test]
fn a_tcx_program_ahead_of_clsact_is_said() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let mut hooks = hooks();
        let _first = hooks.attach(&v0, XdpMode::Off).expect("attached");
        let second = attach(&mut hooks, &v0);
        let said = |name: &str| {
            second.notes.iter().any(|n| n.starts_with("tcx runs before clsact") && n.contains(name))
        };
        assert!(said("tc_ingress") && said("tc_egress"), "{:?}", second.notes);
    });
}

#[test]
fn a_vanished_interface_takes_its_filters_along() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let attached = attach(&mut hooks(), &v0);
        delete(&v0);
        drop(attached);
        let (again, _) = veth("v0", "v1");
        assert!(filters(&again).is_empty());
    });
}

#[test]
fn dropping_from_another_thread_works_although_that_is_in_another_namespace() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let attached = attach(&mut hooks(), &v0);
        let elsewhere = std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a namespace");
            drop(attached);
        });
        elsewhere.join().expect("dropped");
        assert!(filters(&v0).is_empty());
    });
}
