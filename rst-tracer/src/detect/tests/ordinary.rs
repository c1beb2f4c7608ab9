//! What looks like a scan and is none: clients whose servers are down.

use super::*;

fn scans(events: impl IntoIterator<Item = (u64, RstEvent)>) -> usize {
    told(events).iter().filter(|finding| finding.kind == FindingKind::PortScan).count()
}

#[test]
fn a_client_that_asks_again_scans_nothing() {
    // Thirty exporters that are down, looked at once a minute.
    let ask = |n: u64| {
        (
            n * 2_000,
            refused(&format!("10.0.0.2:{}", 30_000 + n), &format!("10.5.0.{}:9100", n % 30)),
        )
    };
    assert_eq!(scans((0..150).map(ask)), 0);
}

#[test]
fn a_client_of_sites_everywhere_scans_nothing() {
    let ask = |n: u64| {
        let site = format!("{}.{}.7.9:443", 50 + n % 100, n);
        (n * 8_000, refused(&format!("192.0.2.10:{}", 30_000 + n), &site))
    };
    assert_eq!(scans((0..60).map(ask)), 0);
}

#[test]
fn what_a_host_asks_itself_is_no_scan() {
    for host in ["127.0.0.1", "10.0.0.5"] {
        let ask = |n: u64| {
            (
                n * 1_000,
                refused(&format!("{host}:{}", 41_000 + n), &format!("{host}:{}", 20_000 + n)),
            )
        };
        assert_eq!(scans((0..40).map(ask)), 0, "{host}");
    }
}

#[test]
fn services_that_accepted_lately_are_not_looked_for() {
    let asked = |accepts: bool| {
        let mut watch = Watch::default();
        for n in 0..40_u64 {
            let server = format!("10.0.0.9:{}", 2_000 + n);
            let time = START + n * SECOND;
            if accepts {
                watch.accepts(at(&server), time - 200 * SECOND);
            }
            let event = refused(&format!("10.0.0.5:{}", 41_000 + n), &server);
            watch.see(&RstEvent { time: Timestamp(time), ..event });
        }
        watch.end().len()
    };
    assert_eq!((asked(true), asked(false)), (0, 1));
}

#[test]
fn a_service_that_resets_as_always_has_no_surge_when_a_trace_begins() {
    assert_eq!(told(intervals(&[30; 180], Cause::ClientCancel)), []);
}

#[test]
fn a_service_that_had_no_reset_for_long_has_a_surge() {
    let outage = |begin: Option<u64>| {
        let mut watch = Watch::default();
        let mut all = begin.map(|at| watch.begin(at)).unwrap_or_default();
        for (ms, event) in intervals(&[200; 4], Cause::ClosedWithUnreadData) {
            let time = Timestamp(START + 7_000 * SECOND + ms * 1_000_000);
            all.extend(watch.see(&RstEvent { time, ..event }));
        }
        all.extend(watch.end());
        all
    };
    assert_eq!(outage(None), [], "nobody knows what is usual");
    let findings = outage(Some(START));
    let last = only(&findings, FindingKind::Surge);
    assert!(last.text.contains("usually none in ten seconds"), "{}", last.text);
}

#[test]
fn a_frame_with_a_wrong_clock_ends_and_begins_nothing() {
    let ask = |n: u64| {
        (n * 200, refused(&format!("10.0.0.66:{}", 40_000 + n), &format!("10.0.0.9:{}", 20 + n)))
    };
    let future = (315_360_000_000, refused("10.7.0.5:1", "10.0.0.9:2"));
    let events = (0..20).map(ask).chain([future]).chain((20..40).map(ask));
    let findings = told(events);
    let last = only(&findings, FindingKind::PortScan);
    assert_eq!((last.counts["ports"], last.time.0), (40, START + 7_800_000_000));
    let future = (315_360_000_000, refused("10.7.0.5:1", "10.0.0.9:2"));
    let findings = told((0..20).map(ask).chain([future]));
    let over = only(&findings, FindingKind::PortScan).time.0;
    assert_eq!(
        over,
        START + 3_800_000_000 + 60 * SECOND,
        "when it was over, and not ten years later"
    );
}

#[test]
fn what_comes_much_later_and_goes_on_counts() {
    let ask = |n: u64| {
        let ms = if n < 3 { n } else { 3_600_000 + n };
        (ms, refused(&format!("10.0.0.66:{}", 40_000 + n), &format!("10.0.0.9:{}", 20 + n)))
    };
    assert_eq!(only(&told((0..18).map(ask)), FindingKind::PortScan).counts["ports"], 15);
}
