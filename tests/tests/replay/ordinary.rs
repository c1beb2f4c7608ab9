//! Captures of ordinary traffic in which nothing is found, or no more than was seen.

use rst_tracer_tests::{
    bytes::{SYN, Segment},
    story::{Form, Side, Story},
};
use serde_json::Value;

use super::findings::{findings, only, silences};

/// A connection of its own that begins so many milliseconds after the start.
fn call(client: &str, server: &str, ms: u64) -> Story {
    let mut story = Story::between(client, server);
    story.pause_ms(ms);
    story
}

/// All frames of these conversations as one capture has them.
fn together(stories: impl IntoIterator<Item = Story>) -> Story {
    let mut all = Story::v4();
    all.frames.extend(stories.into_iter().flat_map(|story| story.frames));
    all.frames.sort_by_key(|frame| frame.time_ns);
    all
}

fn refused(client: &str, server: &str, ms: u64) -> Story {
    let mut story = call(client, server, ms);
    story.syn();
    story.reset(Side::Server, Form::Refusal);
    story
}

fn aborted(client: &str, server: &str, ms: u64, by: Side) -> Story {
    let mut story = call(client, server, ms);
    story.exchange();
    story.reset(by, Form::Active);
    story
}

fn served(client: &str, server: &str, ms: u64) -> Story {
    let mut story = call(client, server, ms);
    story.exchange();
    story.fin(Side::Client);
    story.fin(Side::Server);
    story.ack(Side::Client);
    story
}

fn none(stories: impl IntoIterator<Item = Story>) {
    assert_eq!(findings(&together(stories)), [] as [Value; 0]);
}

#[test]
fn a_service_with_three_resets_a_second_has_them_from_the_begin() {
    none((0..600).map(|n| {
        let client = format!("10.1.{}.{}:{}", n % 7, n % 250 + 1, 20_000 + n);
        aborted(&client, "10.0.0.9:443", n * 333, Side::Client)
    }));
}

#[test]
fn an_outage_after_an_hour_of_traffic_without_a_reset_is_a_surge() {
    let calm =
        (0..360).map(|n| served(&format!("10.1.0.5:{}", 20_000 + n), "10.0.0.9:443", n * 10_000));
    let outage = (0..200).map(|n| {
        let client = format!("10.2.0.5:{}", 30_000 + n);
        aborted(&client, "10.0.0.9:443", 3_600_000 + n * 50, Side::Server)
    });
    only(&findings(&together(calm.chain(outage))), "surge");
}

#[test]
fn a_rolling_deployment_of_forty_pods_is_no_scan() {
    none((0..40).flat_map(|n| {
        let (pod, port) = (format!("10.244.{}.{}:8080", n % 4, n + 10), 30_000 + n * 3);
        let client = |more: u64| format!("10.244.9.9:{}", port + more);
        [
            served(&client(0), &pod, n * 2_000),
            refused(&client(1), &pod, n * 2_000 + 1_000),
            served(&client(2), &pod, n * 2_000 + 20_000),
        ]
    }));
}

#[test]
fn exporters_that_are_down_and_asked_again_are_not_scanned() {
    none((0..360).map(|n| {
        let exporter = format!("10.5.0.{}:9100", n % 30 + 1);
        refused(&format!("10.0.0.2:{}", 30_000 + n), &exporter, n * 500)
    }));
}

#[test]
fn tests_that_wait_for_their_servers_on_this_host_scan_nothing() {
    none((0..40).map(|n| {
        let server = format!("127.0.0.1:{}", 20_000 + n * 37);
        refused(&format!("127.0.0.1:{}", 41_000 + n), &server, n * 4_000)
    }));
}

#[test]
fn four_hundred_services_in_any_order_are_a_scan_if_no_tcp_asks() {
    let asked = |n: u64| {
        let server = format!("10.9.0.{}:{}", n * 37 % 100 + 1, n * 61 % 103 + 1);
        let mut story = call(&format!("203.0.113.5:{}", 40_000 + n), &server, n * 10);
        let syn = story.segment(Side::Client, SYN, &[]);
        let ack = syn.seq + 1;
        story.send_packet(&Segment { window: 1024, options: vec![], ..syn }.packet());
        let refusal = story.reset_segment(Side::Server, Form::Refusal);
        story.send_packet(&Segment { ack, ..refusal }.packet());
        story
    };
    let last = only(&findings(&together((0..400).map(asked))), "port_scan");
    assert_eq!(last["counts"]["rsts"], 400, "{last:#}");
}

#[test]
fn connections_of_a_laptop_that_wakes_were_ended_by_no_timer() {
    none([together((0..6).map(|n| {
        let client = format!("192.168.1.5:{}", 51_000 + n);
        let mut story = call(&client, "93.184.216.34:443", n * 100);
        story.exchange();
        story.ack(Side::Client);
        story.pause_ms(7_200_000);
        story.data(Side::Client, 100);
        story.reset(Side::Server, Form::Passive);
        story
    }))]);
}

#[test]
fn a_timer_of_the_server_is_not_said_to_be_stopped_by_keepalive() {
    let last = only(&findings(&silences([60_000; 6])), "idle_timeout");
    let text = last["text"].as_str().unwrap_or_default();
    assert!(text.contains("a timer of the server, or of a proxy in its place"), "{text}");
}

#[test]
fn a_frame_of_ten_years_later_ends_no_scan() {
    let mut story = together((0..40).map(|n| {
        let server = format!("10.0.0.9:{}", 20 + n);
        refused(&format!("10.1.0.5:{}", 41_000 + n), &server, n * 200)
    }));
    let mut later = refused("10.7.0.5:999", "10.0.0.9:99", 0).frames;
    later.iter_mut().for_each(|frame| frame.time_ns += 315_360_000_000_000_000);
    story.frames.splice(40..40, later);
    let last = only(&findings(&story), "port_scan");
    assert!(last["time"].as_str().is_some_and(|time| time.starts_with("2023-")), "{last:#}");
}

#[test]
fn an_address_whose_other_hosts_go_on_went_down_in_part() {
    let cut = (0..5).map(|n| {
        let mut story = call(&format!("10.0.0.1:{}", 40_000 + n), "10.96.0.10:8080", n * 10);
        story.exchange();
        story.ack(Side::Client);
        story.pause_ms(6_000 - n * 10);
        story.data(Side::Client, 100);
        story.reset(Side::Server, Form::Active);
        story
    });
    let others = (0..60)
        .map(|n| served(&format!("10.0.0.2:{}", 42_000 + n), "10.96.0.10:8080", 5_000 + n * 50));
    let late = (0..3)
        .map(|n| refused(&format!("10.0.0.3:{}", 43_000 + n), "10.96.0.10:8080", 6_330 + n * 400));
    let last = only(&findings(&together(cut.chain(others).chain(late))), "restart");
    let text = last["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("10.96.0.10:8080 went down in part: 8 connections lost"), "{text}");
}
