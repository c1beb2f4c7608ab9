//! Balancers, proxies, health checks, drains, administrators, multipath.

mod admin;
mod boxes;
mod haproxy;
mod relay;

use rst_tracer::demo::scenarios::Listed;

use super::super::servers::haproxy::HAPROXY;
use super::daemons::Cause;

const CHECK: Cause = ("traffic_management", "lb_health_check");
const DRAIN: Cause = ("traffic_management", "lb_drain");
const IDLE: Cause = ("traffic_management", "idle_timeout_middlebox");
const KILLED: Cause = ("traffic_management", "admin_kill");
const PROXY: Cause = ("traffic_management", "proxy_abort");

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "haproxy_redis_check",
        "HAProxy asks a Redis whether it is well",
        "Every 600 ms HAProxy on the client connects, says PING, hears PONG and hangs up (option \
         redis-check).",
        haproxy::redis_check,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "haproxy_checks_sshd",
        "HAProxy waits for sshd's greeting",
        "Every 600 ms HAProxy on the client connects with sshd and hangs up as soon as it has been \
         greeted (tcp-check expect).",
        haproxy::checks_sshd,
    )
    .needs(&["haproxy", "sshd", "ssh-keygen", "unshare"])
    .slow(),
    Listed::new(
        "haproxy_marked_down",
        "HAProxy's checks fail, its sessions end",
        "A service stops to listen; HAProxy on the client notices by its checks and ends the \
         sessions that it still has there (on-marked-down shutdown-sessions).",
        haproxy::marked_down,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "haproxy_hard_stop",
        "HAProxy retires, and does not wait for ever",
        "HAProxy on the client is told to finish (SIGUSR1); half of a second later it ends the two \
         sessions that are left (hard-stop-after).",
        haproxy::hard_stop,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "haproxy_idle_nolinger",
        "HAProxy ends an idle session at once",
        "HAProxy in front of a Redis ends a session after 1500 ms without questions (timeout \
         client), and does so with SO_LINGER 0 (option nolinger).",
        haproxy::idle_nolinger,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "relay_nobody_behind",
        "A proxy finds nobody behind it",
        "A client says a TLS hello to a proxy on the server; nobody listens behind the proxy, which \
         aborts.",
        relay::nobody_behind,
    ),
    Listed::new(
        "relay_origin_died",
        "A tunnel breaks at its far end",
        "A client tunnels TLS through a proxy on the server (CONNECT); the process at the far end \
         is killed, and the proxy passes that on.",
        relay::origin_died,
    ),
    Listed::new(
        "relay_circuit_open",
        "A proxy has enough to do",
        "A proxy on the server lets two callers through to what is behind it, and aborts two more \
         as soon as it has heard them.",
        relay::circuit_open,
    ),
    Listed::new(
        "relay_buffer_limit",
        "A proxy holds no more back",
        "What is behind a proxy on the server takes nothing more of an upload; the proxy has read \
         as much as it may and aborts with the rest unread.",
        relay::buffer_limit,
    ),
    Listed::new(
        "relay_drained",
        "A gateway with a deadline",
        "A gateway on the server retires: its two idle sessions it closes at once, its two busy \
         ones get another second, then it aborts them.",
        relay::drained,
    )
    .slow(),
    Listed::new(
        "balancer_idle_one_by_one",
        "A load balancer ends the idle one by one",
        "Three connections fall silent one after another; a load balancer on the way resets both \
         sides of each 1500 ms later.",
        boxes::idle_one_by_one,
    )
    .slow(),
    Listed::new(
        "balancer_idle_push",
        "A notice for somebody whom the balancer forgot",
        "After two seconds of silence the server has news for its client; a load balancer on the \
         way, which has forgotten the connection, resets the server.",
        boxes::idle_push,
    )
    .slow(),
    Listed::new(
        "balancer_deregisters",
        "A load balancer has taken a server out",
        "A load balancer on the way takes the server out; of its three clients each is reset as soon \
         as it speaks again.",
        boxes::deregisters,
    ),
    Listed::new(
        "ss_kill_one_tenant",
        "ss -K for one client among others",
        "Two of four mail clients come from another address than the others; the server's \
         administrator kills what comes from there (ss -K).",
        admin::one_tenant,
    )
    .needs(&["ss"]),
    Listed::new(
        "ss_kill_unused_pool",
        "ss -K for a pool that nobody uses",
        "The client's administrator kills three connections over which nothing has been said for \
         1200 ms (ss -K).",
        admin::unused_pool,
    )
    .needs(&["ss"])
    .slow(),
    Listed::new(
        "admin_kills_subscriber",
        "The administrator kills a subscription",
        "The server has sent its client one notice after the other for a while; its administrator \
         destroys the socket between two of them.",
        admin::subscriber,
    ),
    Listed::new(
        "mptcp_admin_kill",
        "The administrator kills Multipath TCP",
        "The server's administrator destroys the only path of a connection of Multipath TCP.",
        admin::multipath_killed,
    )
    .alone(),
    Listed::new(
        "mptcp_two_paths_aborted",
        "Multipath TCP aborted on both paths",
        "The client aborts a connection of Multipath TCP that has two paths (SO_LINGER 0).",
        admin::multipath_aborted,
    )
    .needs(&["ip"])
    .alone(),
];
