//! Interfaces come and go while the tracer runs, or none is there to begin with.

use rst_tracer_tests::tracer::{Tracer, run};

use crate::{
    net::{delete, in_namespace, link, set_up, veth},
    resets::{refuse_on_loopback, refuse_through},
};

#[test]
fn an_interface_that_appears_is_traced_and_one_that_vanishes_is_reported() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["--settle", "0s"]);
        let (v0, _) = veth("v0", "v1");
        for name in ["v0", "v1"] {
            let line = format!("{name}: ingress ");
            tracer.err.await_line(&line, |said| said.starts_with(&line));
        }
        refuse_through("v0", 5000);
        tracer.out.await_count(1);

        delete(&v0); // Its other end goes with it.
        for name in ["v0", "v1"] {
            let line = format!("{name}: gone, no longer traced");
            tracer.err.await_line(&line, |said| said == line);
        }
        refuse_on_loopback(1);
        tracer.out.await_count(2);
        let ended = tracer.interrupt();
        ended.assert_code(0);
        let summary = ended.summary();
        assert_eq!((summary.count("events"), summary.count("further sightings")), (2, 1));
        summary.assert_balanced();
    });
}

#[test]
fn only_what_was_asked_for_is_followed() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["-i", "lo", "-i", "wanted*"]);
        veth("other0", "other1");
        veth("wanted0", "peer0");
        let is_wanted = |said: &str| said.starts_with("wanted0: ingress ");
        tracer.err.await_line("wanted0 to be traced", is_wanted);
        let ended = tracer.interrupt();
        assert!(!ended.said("other0: ") && !ended.said("peer0: "), "{ended:#?}");
    });
}

#[test]
fn what_is_excluded_is_never_traced() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["--exclude", "other*", "--exclude", "peer?"]);
        veth("other0", "other1");
        veth("wanted0", "peer0");
        let is_wanted = |said: &str| said.starts_with("wanted0: ingress ");
        tracer.err.await_line("wanted0 to be traced", is_wanted);
        let ended = tracer.interrupt();
        assert!(!ended.said("other") && !ended.said("peer0"), "{ended:#?}");

        let ended = run(&["trace", "--exclude", "*"]);
        ended.assert_code(1);
        assert!(ended.said("no interface is left beside --exclude *"), "{ended:#?}");
    });
}

#[test]
fn a_name_that_there_is_not_is_said_beside_others_and_may_come() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["-i", "lo", "-i", "v0"]);
        tracer.err.await_line("v0", |said| said.starts_with("not traced: no interface v0"));
        veth("v0", "v1");
        tracer.err.await_line("v0 to be traced", |said| said.starts_with("v0: ingress "));
        tracer.interrupt().assert_code(0);

        let ended = run(&["trace", "-i", "lo", "-i", "nosuch", "--strict"]);
        ended.assert_code(1);
        assert!(ended.said("no interface nosuch"), "{ended:#?}");
        assert!(!ended.said("lo: egress"), "nothing is traced: {ended:#?}");
    });
}

#[test]
fn the_only_interface_may_vanish_and_come_back() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        let tracer = Tracer::trace(&["-i", "v0", "--settle", "0s"]);
        delete(&v0);
        tracer.err.await_line("v0 to be missed", |said| said == "v0: gone, no longer traced");
        veth("v0", "v1");
        tracer.err.await_in("v0 to be traced again", |lines| {
            lines.iter().filter(|line| line.starts_with("v0: ingress ")).nth(1).map(|_| ())
        });
        refuse_through("v0", 5000);
        tracer.out.await_count(1);
        tracer.interrupt().assert_code(0);
    });
}

#[test]
fn where_nothing_is_up_it_says_so_and_what_there_is() {
    in_namespace(|| {
        let ended = run(&["trace"]);
        ended.assert_code(1);
        let told = "no interface is up; set one up or name one with -i (there are: lo)";
        assert!(ended.said(told), "{ended:#?}");
    });
}

#[test]
fn an_interface_asked_for_by_name_may_be_down() {
    in_namespace(|| {
        assert!(!link("lo").up);
        let tracer = Tracer::trace(&["-i", "lo", "--settle", "0s"]);
        set_up("lo");
        refuse_on_loopback(1);
        tracer.out.await_count(1);
        tracer.interrupt().assert_code(0);
    });
}
