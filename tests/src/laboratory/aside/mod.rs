//! The scenarios that are kept aside: the engine's exam, the third of its kind.
//!
//! In: nothing. Out: scenarios of refusals and aborts by bare sockets and by programs as they are
//! in daily use, of packet filters, injectors, proxies and of connections that were lost, by somebody who did not
//! know the engine's rules. They differ from all others in what is done, when, how
//! often and by whom. Of their results only sums are looked at.

mod appliances;
mod balancers;
mod capacity;
mod common;
mod endings;
mod filters;
mod inspectors;
mod lost;
mod programs;
mod redis;
mod refused;
mod retired;
mod strangers;
mod tools;
mod walled;

use rst_tracer::demo::scenarios::Listed;

/// Those scenarios, by family of files.
pub(super) const LISTED: &[&[Listed]] = &[
    refused::LISTED,
    appliances::LISTED,
    walled::LISTED,
    inspectors::LISTED,
    strangers::LISTED,
    capacity::LISTED,
    filters::LISTED,
    redis::LISTED,
    retired::LISTED,
    endings::LISTED,
    lost::LISTED,
    programs::LISTED,
    balancers::LISTED,
    tools::LISTED,
];

/// Those of them that are open: every second one, chosen by the order in which they are listed. Their results were
/// looked at, and they count among the others.
pub const OPEN: &[&str] = &[
    "wrong_family_first",
    "listener_shut_down",
    "curl_in_vain",
    "curl_connect_timeout",
    "killed_while_calling",
    "mail_gateway_says_why",
    "suricata_imap_login",
    "curl_walled_off",
    "name_read_one_bare",
    "syn_answered_from_afar",
    "aims_until_it_fits",
    "third_record_is_too_much",
    "guesses_from_below",
    "leaked_number",
    "bash_tries_doors",
    "nginx_queue_overflow",
    "translator_without_ports",
    "gateway_counts_sessions",
    "quota_of_upload",
    "last_ack_rejected",
    "marked_traffic_rejected",
    "pool_after_quiet_rule",
    "redis_http_request",
    "redis_idle_client",
    "redis_keepalive",
    "load_generator",
    "websocket_closed_and_aborted",
    "form_sent_twice",
    "tickets_unread",
    "proxy_header_unexpected",
    "pool_after_failover",
    "keepalive_never_used",
    "farewell_before_welcome",
    "session_of_another_day",
    "forked_worker_timed_out",
    "one_of_two_listeners_closes",
    "nginx_body_timeout",
    "haproxy_checks_pages",
    "haproxy_session_shut",
    "proxy_minds_the_pace",
    "monitor_asks_and_aborts",
    "ncat_does_not_listen",
    "socat_linger_zero",
    "curl_disk_full",
    "curl_prefers_the_other",
];
