//! Another program at the XDP hook keeps its place.

use aya::programs::{Xdp, XdpMode};
use rst_tracer_tests::tracer::Tracer;

use crate::{
    net::{in_namespace, link, programs, veth},
    resets::refuse_through,
};

#[test]
fn a_foreign_xdp_program_stays_and_is_named_and_resets_are_seen_nevertheless() {
    in_namespace(|| {
        veth("v0", "v1");
        let mut foreign = programs();
        let xdp: &mut Xdp =
            foreign.program_mut("xdp_ingress").expect("in the object").try_into().expect("XDP");
        xdp.load().expect("loads");
        xdp.attach("v0", XdpMode::Driver).expect("attaches");
        let owner = link("v0").xdp.expect("an occupant");

        let tracer = Tracer::trace(&["-i", "v0", "--xdp-mode", "native", "--settle", "0s"]);
        let told = format!("taken by XDP program {} (xdp_ingress, tag ", owner.program_id);
        tracer.err.await_line(&told, |line| line.starts_with("v0: ") && line.contains(&told));
        assert_eq!(link("v0").xdp, Some(owner.clone()));
        refuse_through("v1", 5000);
        tracer.out.await_count(1);
        tracer.interrupt().assert_code(0);
        assert_eq!(link("v0").xdp, Some(owner));
    });
}
