//! What doctor says about a namespace made for it.

use aya::programs::{Xdp, XdpMode};
use rst_tracer::{
    doctor::{DoctorArgs, run},
    exit::Code,
};
use serde_json::Value;

use crate::{
    killed::{hold, kill},
    lab::{filters, in_namespace, programs, tun, veth},
};

fn report(args: &DoctorArgs) -> (Code, String) {
    let mut out = Vec::new();
    let code = run(args, &mut out).expect("a report");
    (code, String::from_utf8(out).expect("UTF-8"))
}

fn json() -> (Code, Value) {
    let (code, text) = report(&DoctorArgs { json: true, ..DoctorArgs::default() });
    (code, serde_json::from_str(&text).expect("JSON"))
}

fn interface<'a>(report: &'a Value, name: &str) -> &'a Value {
    let interfaces = report["interfaces"].as_array().expect("a list");
    interfaces.iter().find(|i| i["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn the_report_has_what_this_kernel_offers() {
    in_namespace(|| {
        veth("v0", "v1");
        let (_file, _) = tun("tun0");
        let (code, report) = json();
        assert_eq!((code, &report["can_trace"]), (Code::OK, &Value::Bool(true)));
        let programs = report["programs"].as_array().expect("a list");
        assert_eq!(programs.len(), 6);
        assert!(programs.iter().all(|p| p["loads"] == true), "{programs:?}");
        let [table, rings] = ["table", "rings"].map(|part| &report["memory"][part]);
        assert_eq!(table["bytes"], 65_536 * 968);
        let each = rings["bytes_each"].as_u64().expect("a number");
        assert_eq!(rings["bytes"], each * rings["count"].as_u64().expect("a number"));
        assert!(each >= 256 << 10 && each.is_power_of_two(), "{rings}");
        assert_eq!(interface(&report, "lo")["ingress"], "nothing");
        assert_eq!(interface(&report, "v0")["egress"], "tcx");
        assert_eq!(interface(&report, "v0")["native_xdp"], true);
        assert_eq!(interface(&report, "tun0")["reason"], "no Ethernet header, so no native XDP");
        if report["kernel"]["btf"] == true {
            let states = &report["evidence"][2];
            assert_eq!(states["tracepoint"], "inet_sock_set_state");
            assert_eq!(states["arguments"][0]["type"], "const struct sock *");
        }
    });
}

#[test]
fn an_occupied_xdp_hook_is_named() {
    in_namespace(|| {
        veth("v0", "v1");
        let mut foreign = programs();
        let xdp: &mut Xdp =
            foreign.program_mut("xdp_ingress").expect("in the object").try_into().expect("XDP");
        xdp.load().expect("loads");
        xdp.attach("v0", XdpMode::Skb).expect("attaches");
        let (_, report) = json();
        assert_eq!(interface(&report, "v0")["occupant"]["place"], "generic");
        assert_eq!(interface(&report, "v0")["occupant_name"], "xdp_ingress");
        let (_, text) = crate::doctor::report(&DoctorArgs::default());
        let id = interface(&report, "v0")["occupant"]["program_id"].to_string();
        let told = format!("! packets that XDP program {id} (xdp_ingress, tag ");
        assert!(text.contains(&told), "{told}: {text}");
    });
}

#[test]
fn leftovers_are_reported_and_cleaned_on_request() {
    in_namespace(|| {
        let (v0, _) = veth("v0", "v1");
        kill(hold("clsact"));
        let (_, before) = report(&DoctorArgs::default());
        assert!(before.contains("left behind by a killed tracer"), "{before}");
        assert_eq!(filters(&v0).len(), 2, "a report must not clean");

        let clean = DoctorArgs { clean: true, ..DoctorArgs::default() };
        let (code, text) = report(&clean);
        assert_eq!(code, Code::OK);
        assert!(text.contains("removed v0: rst_tracer:tc_egress"), "{text}");
        assert!(filters(&v0).is_empty());
        let (_, again) = report(&clean);
        assert!(again.starts_with("nothing to clean"), "{again}");
    });
}

#[test]
fn without_capabilities_doctor_still_reports_and_exits_77() {
    in_namespace(|| {
        veth("v0", "v1");
        // The raw call changes this thread only; giving up uid 0 clears its capabilities.
        // SAFETY: no pointers are passed.
        let given_up = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
        assert_eq!(given_up, 0);
        let (code, text) = report(&DoctorArgs::default());
        assert_eq!(code, Code::NO_PERMISSION);
        assert!(text.starts_with("live tracing does NOT work here"), "{text}");
        assert!(text.contains("-- CAP_NET_ADMIN"), "{text}");
        assert!(text.contains("CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are missing"), "{text}");
        assert!(text.contains("  v0 (veth)"), "the interfaces can be read by anyone: {text}");
    });
}
