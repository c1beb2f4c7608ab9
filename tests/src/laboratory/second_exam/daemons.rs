//! Real servers and real clients: nginx, sshd, curl, wget, psql, Python and the like.

pub(in crate::laboratory) mod clients;
mod python;
pub(super) mod servers;

use rst_tracer::demo::scenarios::Listed;

use super::super::servers::haproxy::HAPROXY;
use super::super::servers::sshd::SSHD;

/// A class and a cause of the taxonomy.
pub(super) type Cause = (&'static str, &'static str);

const AFTER_CLOSE: Cause = ("application_error", "data_after_close");
const CLOSED: Cause = ("connection_refused", "closed_port");
const MISMATCH: Cause = ("application_error", "protocol_mismatch");

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "nginx_worker_killed",
        "One worker of nginx killed",
        "nginx's only worker hangs with two kept-alive clients, each of which asks again; it is \
         killed (SIGKILL), its master starts another, and that one serves a third client.",
        servers::nginx_worker_killed,
    )
    .needs(&["nginx"])
    .slow(),
    Listed::new(
        "sshd_login_grace",
        "sshd waits in vain for a login",
        "A client greets sshd and then dawdles; after three seconds sshd hangs up (LoginGraceTime); the \
         client goes on.",
        servers::sshd_login_grace,
    )
    .needs(SSHD)
    .slow(),
    Listed::new(
        "nginx_upstream_late",
        "nginx has given up the server behind it",
        "nginx on the client, a proxy, waits 700 ms for the server's answer, answers 504 and closes; \
         then the server answers.",
        servers::nginx_upstream_late,
    )
    .needs(&["nginx"])
    .slow(),
    Listed::new(
        "nginx_proxy_client_gone",
        "nginx drops a download that nobody wants",
        "nginx on the client, a proxy, holds a part of the server's answer back because its own \
         client does not read; that client goes away, and nginx drops the rest.",
        servers::nginx_proxy_client_gone,
    )
    .needs(&["nginx"])
    .slow(),
    Listed::new(
        "wget_read_timeout",
        "wget waits no longer",
        "wget gives up after a second without an answer (--read-timeout) and ends; then the server \
         answers.",
        clients::wget_read_timeout,
    )
    .needs(&["wget"])
    .slow(),
    Listed::new(
        "curl_max_filesize",
        "curl finds a file too large",
        "curl reads in the head of the answer that the file is larger than it wants \
         (--max-filesize) and ends; what it has got already lies unread.",
        clients::curl_max_filesize,
    )
    .needs(&["curl"]),
    Listed::new(
        "psql_first_host_down",
        "psql tries two hosts",
        "psql knows two servers of a cluster: nobody listens at the first one, the second one does \
         not let it in.",
        clients::psql_first_host_down,
    )
    .needs(&["psql"]),
    Listed::new(
        "ssh_to_tls_server",
        "ssh calls a TLS server",
        "ssh introduces itself to a TLS server, which reads five bytes, sends an alert and closes.",
        clients::ssh_to_tls_server,
    )
    .needs(&["ssh"]),
    Listed::new(
        "nmap_ping",
        "nmap asks whether a host is up",
        "nmap pings the server with a SYN (-PS) and then with an ACK (-PA) to an open port.",
        clients::nmap_ping,
    )
    .needs(&["nmap"]),
    Listed::new(
        "haproxy_redispatch",
        "HAProxy tries another server",
        "HAProxy on the client balances two servers, the first of which does not run: it passes \
         its client on to the second (option redispatch).",
        clients::haproxy_redispatch,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "python_segfault",
        "A database in Python crashes",
        "A client logs into a database written in Python, which crashes (SIGSEGV) when it has read \
         the first bytes of a query.",
        python::segfault,
    )
    .needs(&["python3"]),
    Listed::new(
        "python_pool_reuse",
        "A connection of a pool used too late",
        "A Python program keeps its connection to a web server, which closes it after a second \
         without requests; the program uses it again.",
        python::pool_reuse,
    )
    .needs(&["python3"])
    .slow(),
    Listed::new(
        "tls_client_leaves_first",
        "The server's TLS farewell comes too late",
        "A TLS client says goodbye (close_notify) and closes; when the TLS server answers the \
         farewell, nobody is there.",
        python::tls_client_leaves_first,
    )
    .needs(&["python3", "openssl"])
    .slow(),
];
