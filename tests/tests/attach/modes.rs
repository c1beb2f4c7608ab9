//! Which hooks each kind of interface gets, and what `Attached` says about it.

use aya::{
    Ebpf,
    programs::{TcAttachType, Xdp, XdpMode as ForeignMode},
};
use rst_tracer::{
    exit::Code,
    links::{self, Layer, Link, XdpPlace},
    source::live::attach::{Hooks, How, XdpMode},
};

use crate::lab::{delete, hooks, in_namespace, link, programs, set_up, tcx, tun, veth};

#[test]
fn auto_on_a_veth_is_tcx_both_ways_and_says_why() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let attached = hooks().attach(&v0, XdpMode::Auto).expect("attached");
        assert_eq!((attached.ingress, attached.egress), (How::Tcx, How::Tcx));
        let line = attached.to_string();
        assert!(
            line.starts_with("v0: ingress tcx (native XDP on a veth would switch off TSO"),
            "{line}"
        );
        assert!(line.ends_with("), egress tcx"), "{line}");
        assert_eq!(tcx("v0", TcAttachType::Ingress), ["tc_ingress"]);
        assert_eq!(tcx("v0", TcAttachType::Egress), ["tc_egress"]);
        assert_eq!(link("v0").xdp, None);
    });
}

#[test]
fn dropping_detaches() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        drop(hooks().attach(&v0, XdpMode::Native).expect("attached"));
        assert_eq!(link("v0").xdp, None);
        assert!(tcx("v0", TcAttachType::Egress).is_empty());
    });
}

#[test]
fn native_and_generic_on_a_veth_are_what_was_asked() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        for (mode, how, place) in [
            (XdpMode::Native, How::NativeXdp, XdpPlace::Native),
            (XdpMode::Generic, How::GenericXdp, XdpPlace::Generic),
        ] {
            let attached = hooks().attach(&v0, mode).expect("attached");
            assert_eq!((attached.ingress, attached.egress), (how, How::Tcx));
            assert_eq!(link("v0").xdp.map(|x| x.place), Some(place));
            assert!(!attached.notes.is_empty(), "what {how} costs on a veth is not said");
        }
    });
}

#[test]
fn jumbo_frames_do_not_prevent_native_xdp() {
    in_namespace(|| {
        let (v0, v1) = veth("v0", "v1");
        for end in [&v0, &v1] {
            crate::lab::netlink(async |handle| {
                let message = rtnetlink::LinkUnspec::new_with_index(end.index).mtu(9000).build();
                handle.link().set(message).execute().await
            });
        }
        let attached = hooks().attach(&link("v0"), XdpMode::Native).expect("attached");
        assert_eq!(attached.ingress, How::NativeXdp, "{attached}");
    });
}

/// Lets somebody else's program have the XDP hook: who owns it, the program's id, and its tag.
fn occupy(name: &str, mode: ForeignMode) -> (Ebpf, u32, u64) {
    let mut foreign = programs();
    let xdp: &mut Xdp =
        foreign.program_mut("xdp_ingress").expect("in the object").try_into().expect("XDP");
    xdp.load().expect("loads");
    xdp.attach(name, mode).expect("attaches");
    let tag = xdp.info().expect("its information").tag();
    (foreign, link(name).xdp.expect("an occupant").program_id, tag)
}

#[test]
fn an_occupied_xdp_hook_is_left_to_its_owner_who_is_named() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let (_foreign, owner, _) = occupy("v0", ForeignMode::Driver);

        for mode in [XdpMode::Native, XdpMode::Generic] {
            let attached = hooks().attach(&v0, mode).expect("attached");
            assert_eq!((attached.ingress, attached.egress), (How::Tcx, How::Tcx), "{mode:?}");
            let line = attached.to_string();
            assert!(
                line.contains(&format!("taken by XDP program {owner} (xdp_ingress, tag ")),
                "{line}"
            );
            assert!(line.contains("; what it drops or redirects is not seen"), "{line}");
            assert_eq!(link("v0").xdp.map(|x| x.program_id), Some(owner));
        }
    });
}

#[test]
fn an_occupant_is_named_where_its_place_is_not_wanted() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let (_foreign, owner, tag) = occupy("v0", ForeignMode::Skb);
        let who = format!("XDP program {owner} (xdp_ingress, tag {tag:016x})");

        for mode in [XdpMode::Auto, XdpMode::Off] {
            let attached = hooks().attach(&v0, mode).expect("attached");
            let line = attached.to_string();
            let told = format!("what {who} drops or redirects is not seen), egress");
            assert!(line.contains(&told), "{mode:?}: {line}");
        }
    });
}

#[test]
fn native_refused_by_the_driver_falls_to_traffic_control_with_the_reason() {
    in_namespace(|| {
        // A bridge has no native XDP.
        crate::lab::netlink(async |handle| {
            handle.link().add(rtnetlink::LinkBridge::new("br0").build()).execute().await
        });
        set_up("br0");
        let attached = hooks().attach(&link("br0"), XdpMode::Native).expect("attached");
        assert_eq!(attached.ingress, How::Tcx);
        let reason = attached.reason.clone().unwrap_or_default();
        assert_eq!(reason, "native XDP refused: the driver cannot", "{attached}");
    });
}

#[test]
fn loopback_is_hooked_on_egress_only() {
    in_namespace(|| {
        set_up("lo");
        for mode in [XdpMode::Auto, XdpMode::Generic] {
            let attached = hooks().attach(&link("lo"), mode).expect("attached");
            assert_eq!((attached.ingress, attached.egress), (How::Nothing, How::Tcx));
            assert_eq!(
                attached.to_string(),
                "lo: ingress no hook (every packet on loopback passes egress), egress tcx"
            );
            assert!(tcx("lo", TcAttachType::Ingress).is_empty());
            assert_eq!(tcx("lo", TcAttachType::Egress), ["tc_egress"]);
            assert_eq!(link("lo").xdp, None);
        }
    });
}

#[test]
fn a_tun_gets_the_programs_for_frames_without_ethernet_header() {
    in_namespace(|| {
        let (_file, tun0) = tun("tun0");
        assert_eq!((tun0.layer, tun0.kind.as_deref()), (Layer::Ip, Some("tun")));
        let attached = hooks().attach(&tun0, XdpMode::Auto).expect("attached");
        assert_eq!((attached.ingress, attached.egress), (How::Tcx, How::Tcx));
        assert_eq!(tcx("tun0", TcAttachType::Ingress), ["tc_ingress_l3"]);
        assert_eq!(tcx("tun0", TcAttachType::Egress), ["tc_egress_l3"]);
        drop(attached);
        let attached = hooks().attach(&tun0, XdpMode::Generic).expect("attached");
        assert_eq!(attached.ingress, How::GenericXdp, "{attached}");
        let id = link("tun0").xdp.expect("attached").program_id;
        let name = rst_tracer::source::live::attach::program_name(id);
        assert_eq!(name.as_deref(), Some("xdp_ingress_l3"));
    });
}

#[test]
fn one_set_of_programs_serves_many_interfaces_and_many_tracers_one_interface() {
    in_namespace(|| {
        let (v0, v1) = veth("v0", "v1");
        let (mut one, mut other) = (hooks(), hooks());
        let all = [
            one.attach(&v0, XdpMode::Auto).expect("attached"),
            one.attach(&v1, XdpMode::Auto).expect("attached"),
            other.attach(&v0, XdpMode::Auto).expect("attached"),
        ];
        assert_eq!(tcx("v0", TcAttachType::Ingress), ["tc_ingress", "tc_ingress"]);
        assert_eq!(tcx("v1", TcAttachType::Ingress), ["tc_ingress"]);
        drop(all);
    });
}

#[test]
fn attaching_twice_with_the_same_programs_is_busy_and_changes_nothing() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let mut hooks = hooks();
        let first = hooks.attach(&v0, XdpMode::Auto).expect("attached");
        let failure = hooks.attach(&v0, XdpMode::Auto).expect_err("already there");
        assert_eq!(failure.code, Code::BUSY, "{failure}");
        assert_eq!(tcx("v0", TcAttachType::Ingress), ["tc_ingress"]);
        assert_eq!(link("v0").xdp, None, "generic XDP beside tcx would count everything twice");
        drop(first);
    });
}

#[test]
fn an_interface_that_vanishes_while_attached_breaks_nothing() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let mut hooks = hooks();
        let attached = hooks.attach(&v0, XdpMode::Native).expect("attached");
        delete(&v0);
        assert_eq!(links::find(v0.index).expect("netlink answers"), None);
        drop(attached);
        let (again, _) = veth("v0", "v1");
        hooks.attach(&again, XdpMode::Auto).expect("the programs are still good");
    });
}

#[test]
fn an_interface_that_is_gone_or_unreadable_is_a_failure_that_names_it() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let mut hooks = hooks();
        let strange = Link { layer: Layer::Unsupported(280), ..v0.clone() };
        let failure = hooks.attach(&strange, XdpMode::Auto).expect_err("unreadable");
        assert_eq!(failure.code, Code::UNAVAILABLE);
        assert!(failure.message.starts_with("v0: link layer ARPHRD 280"), "{failure}");
        delete(&v0);
        let failure = hooks.attach(&v0, XdpMode::Auto).expect_err("gone");
        assert_eq!(failure.code, Code::FAILURE);
        assert!(failure.message.contains("v0") && failure.message.contains("gone"), "{failure}");
    });
}

#[test]
fn without_the_capability_the_failure_names_it() {
    in_namespace(|| {
        let ebpf = programs();
        // The raw call changes this thread only; giving up uid 0 clears its capabilities.
        // SAFETY: no pointers are passed.
        let given_up = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
        assert_eq!(given_up, 0);
        let failure = Hooks::new(ebpf).expect_err("not permitted");
        assert_eq!(failure.code, Code::NO_PERMISSION);
        assert!(failure.message.contains("CAP_NET_ADMIN"), "{failure}");
    });
}

#[test]
fn only_what_an_interface_needs_is_loaded() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let (_file, tun0) = tun("tun0");
        let mut hooks = hooks();
        let names = |hooks: &Hooks| hooks.loaded().collect::<Vec<_>>();
        assert_eq!(names(&hooks), ["tc_egress"]);
        let on_v0 = hooks.attach(&v0, XdpMode::Auto).expect("attached");
        assert_eq!(names(&hooks), ["tc_egress", "tc_ingress"]);
        let on_tun0 = hooks.attach(&tun0, XdpMode::Auto).expect("attached");
        let all = ["tc_egress", "tc_egress_l3", "tc_ingress", "tc_ingress_l3"];
        assert_eq!(names(&hooks), all);
        drop((on_v0, on_tun0));
    });
}
