//! The contract, held against its own example and table.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const EXAMPLE: &str = include_str!("samples/unread_data.json");

/// The taxonomy as the contract lists it.
const TAXONOMY: &[(&str, &str)] = &[
    ("connection_refused", "closed_port listener_went_away client_gave_up"),
    ("policy_enforcement", "host_firewall_reject network_firewall_reject dpi_block"),
    (
        "security_measure",
        "injected_reset ips_active_response scan_response scanner_probe blind_reset_attempt \
         backscatter",
    ),
    (
        "resource_limitation",
        "accept_queue_overflow orphan_or_memory_pressure mptcp_resource middlebox_table_full",
    ),
    (
        "application_error",
        "closed_with_unread_data process_crash_or_kill restart_with_pending_connections \
         data_after_close protocol_mismatch half_open_stale_state",
    ),
    (
        "traffic_management",
        "idle_timeout_middlebox lb_health_check lb_drain proxy_abort admin_kill",
    ),
    (
        "protocol_state",
        "half_open_discovery port_reuse_timewait bad_handshake_ack timestamp_mismatch \
         keepalive_timeout late_segment_after_timeout segment_after_reset stray_segment \
         mptcp_protocol",
    ),
    ("normal_abortive_close", "linger0_close client_cancel rst_after_fin tls_close_then_rst"),
    ("unknown", "unknown no_connection_seen"),
];

#[test]
fn the_example_of_the_contract_keeps_every_key_and_their_order() {
    let written = serde_json::to_string(&samples::unread_data()).unwrap();
    // `Value` keeps the order of keys, so equal text means equal order.
    let example: Value = serde_json::from_str(EXAMPLE).unwrap();
    assert_eq!(written, example.to_string());
}

#[test]
fn the_taxonomy_is_the_one_of_the_contract() {
    let declared: Vec<_> = Cause::ALL.iter().map(|c| (c.class().id(), c.id())).collect();
    let listed: Vec<_> = TAXONOMY
        .iter()
        .flat_map(|(class, causes)| causes.split_whitespace().map(move |cause| (*class, cause)))
        .collect();
    assert_eq!(declared, listed);
    assert!(Class::ALL.iter().map(|c| c.id()).eq(TAXONOMY.iter().map(|(class, _)| *class)));
}

#[test]
fn every_cause_has_words_of_its_own_that_fit_a_column() {
    let words: std::collections::BTreeSet<_> = Cause::ALL.iter().map(|c| c.words()).collect();
    assert_eq!(words.len(), Cause::ALL.len());
    assert!(words.iter().all(|w| w.chars().count() <= 30));
}

#[test]
fn a_name_finds_its_value_and_a_wrong_name_lists_the_right_ones() {
    for cause in Cause::ALL {
        assert_eq!(cause.id().parse(), Ok(*cause));
    }
    let error = "kprobe".parse::<Hook>().unwrap_err().to_string();
    assert_eq!(error, "`kprobe` is not one of xdp, tc_ingress, tc_egress, pcap");
}

#[test]
fn flags_are_letters_in_the_order_of_their_bits() {
    assert_eq!((Flags::ACK | Flags::RST).to_string(), "RA");
    assert_eq!(Flags(0xff).to_string(), "FSRPAUEC");
    assert_eq!(Flags(0).to_string(), "");
    assert_eq!(serde_json::from_str::<Flags>("\"SAE\"").unwrap(), Flags(0x52));
    assert!(serde_json::from_str::<Flags>("\"SX\"").is_err());
}

#[test]
fn rounding_makes_nobody_certain() {
    assert_eq!(Confidence::new(0.999).percent(), 99);
    assert_eq!(Confidence::new(1.0).percent(), 100);
    assert_eq!(Confidence::new(0.974).percent(), 97);
    assert_eq!(Confidence::new(f64::NAN).percent(), 0);
    assert_eq!(Confidence::new(-3.0).percent(), 0);
    assert_eq!(Weight::new(f64::NAN).hundredths(), 0);
}

#[test]
fn a_line_that_is_not_ours_is_refused_with_its_reason() {
    let read = |line: &str| serde_json::from_str::<Event>(line).unwrap_err().to_string();
    assert!(read(r#"{"type":"rst"}"#).contains("`schema` is missing"));
    assert!(read(r#"{"schema":"rst-tracer/9","type":"rst"}"#).contains("rst-tracer/9"));
    assert!(read(r#"{"schema":"rst-tracer/1","type":"fin"}"#).contains("`fin`"));
    let with_more = EXAMPLE.replacen("\"host\"", "\"colour\":\"red\",\"host\"", 1);
    assert!(read(&with_more).contains("colour"));
}

#[test]
fn a_lost_reset_unbalances_the_statistics() {
    let hook = HookStats {
        hook: Hook::Xdp,
        interface: Some("eth0".into()),
        segments: 10,
        tracked: 7,
        untracked: [("set_full".into(), 3)].into(),
        malformed: [].into(),
        skipped: [].into(),
    };
    let whole = StatsEvent {
        rsts: 5,
        events: 3,
        merged: 1,
        lost: 1,
        hooks: vec![hook],
        ..Default::default()
    };
    assert!(whole.balanced());
    assert!(!StatsEvent { lost: 0, ..whole.clone() }.balanced());
    let mut untold = whole;
    untold.hooks[0].untracked.clear();
    assert!(!untold.balanced());
}

proptest! {
    #[test]
    fn every_event_survives_the_way_through_json(event in samples::event()) {
        let json = serde_json::to_string(&event).unwrap();
        let read: Event = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&serde_json::to_string(&read).unwrap(), &json);
        // As somebody else may have written it.
        let turned: serde_json::Map<String, Value> =
            serde_json::from_str::<serde_json::Map<_, _>>(&json).unwrap().into_iter().rev().collect();
        prop_assert_eq!(serde_json::from_value::<Event>(turned.into()).unwrap(), read);
    }
}
