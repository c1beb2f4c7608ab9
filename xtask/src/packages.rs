//! Every Debian package this project can need, and why: the one list.
//!
//! Nothing here is needed to build or run rst-tracer itself: that takes stable cargo alone.

/// A Debian package and the reason it is wanted.
pub(crate) struct Package {
    /// The name apt knows it by.
    pub(crate) name: &'static str,
    /// What would not work without it.
    pub(crate) why: &'static str,
    /// The service that it brings, which must not start.
    pub(crate) service: Option<&'static str>,
}

impl Package {
    const fn with_service(self, service: &'static str) -> Self {
        Self { service: Some(service), ..self }
    }
}

const fn package(name: &'static str, why: &'static str) -> Package {
    Package { name, why, service: None }
}

/// What the tests call. None of the servers is started but in namespaces of the tests.
pub(crate) const TEST: &[Package] = &[
    package("tshark", "the tests compare our reading of captures with Wireshark's"),
    package("nginx", "the laboratory's web server").with_service("nginx"),
    package("haproxy", "the laboratory's load balancer").with_service("haproxy"),
    package("openssh-server", "a server that talks first, and limits who may come")
        .with_service("ssh"),
    package("openssh-client", "its client"),
    package("nmap", "scans of several kinds"),
    package("iptables", "the other way to write a packet filter's rules"),
    package("iproute2", "`ss -K` destroys sockets, `ip mptcp` sets limits"),
    package("bpftool", "shows what the kernel made of the programs"),
    package("ethtool", "gives a cable a queue for each CPU"),
    package("curl", "downloads that are given up"),
    package("wget", "the other one that downloads"),
    package("ncat", "a listener for one caller"),
    package("socat", "a relay with a patience of its own"),
    package("redis-server", "a server that drops clients in several ways")
        .with_service("redis-server"),
    package("openssl", "certificates, and a TLS client"),
    package("stunnel4", "a TLS tunnel that passes resets on").with_service("stunnel4"),
    package("mosquitto", "a message broker that knows its devices by name")
        .with_service("mosquitto"),
    package("memcached", "a cache that takes few clients").with_service("memcached"),
    package("vsftpd", "a file server, which opens a second port for each file")
        .with_service("vsftpd"),
    package("xinetd", "a super-server that counts its calls").with_service("xinetd"),
    package("hping3", "a scanner that counts the ports up"),
    package("masscan", "a scanner with a TCP of its own"),
    package("dsniff", "tcpkill, which cuts connections"),
    package("nftables", "sets, meters and hooks of the packet filter"),
    package("conntrack", "makes a host forget the connections that it tracks"),
    package("lighttpd", "another web server, and a proxy").with_service("lighttpd"),
    package("tinyproxy-bin", "a forward proxy"),
    package("dropbear-bin", "another SSH server and its client"),
    package("beanstalkd", "a queue of jobs").with_service("beanstalkd"),
    package("netcat-openbsd", "another netcat, which waits and leaves in ways of its own"),
    package("nodejs", "servers and clients in JavaScript"),
    package("perl-base", "servers, clients and monitors in Perl"),
    package("prometheus", "scrapes the metrics; its promtool checks them and the alerts")
        .with_service("prometheus"),
    package("python3", "small servers: HTTP, TLS"),
    package("systemd", "`systemd-analyze` judges the unit that is shipped"),
    package("logrotate", "tries the rule that is shipped"),
    package(
        "python3-venv",
        "an environment for the databases that the queries of contrib/fleet are tried in",
    ),
    package("lnav", "a viewer of logs, which reads our events with the format in contrib"),
    package("libestr0", "a library of rsyslog"),
    package("libfastjson4", "a library of rsyslog"),
    package("liblognorm5", "a library of rsyslog"),
    package("libglib2.0-0", "a library of syslog-ng"),
    package("libivykis0", "a library of syslog-ng"),
    package("libjson-c5", "a library of syslog-ng"),
    package("libnet1", "a library of syslog-ng"),
    package("libwrap0", "a library of syslog-ng"),
];

/// What the tests call and what is not installed but unpacked below the target directory: Debian lets a machine have
/// one of the two only, and installing one takes the other away from whoever uses it.
pub(crate) const UNPACKED: &[Package] = &[
    package("rsyslog", "a collector that takes the stream of a tracer"),
    package("syslog-ng-core", "another one"),
];

/// What `build-ebpf` compiles the kernel object with.
pub(crate) const EBPF: &[Package] = &[
    package("rustc-web", "the compiler the prebuilt object is recorded with"),
    package("cargo-web", "the cargo of the same release"),
    package("libstd-rust-web-dev-bpf", "core, compiled for bpfel-unknown-none"),
    package("rust-web-llvm", "the LLVM parts of that compiler"),
    package("llvm-22-dev", "bpf-linker links LLVM 22, the one rustc-web writes bitcode for"),
    package("g++", "bpf-linker links the C++ library"),
];

/// What `vm` boots kernels with.
pub(crate) const VM: &[Package] = &[
    package("qemu-system-x86", "the emulated machine"),
    package("seabios", "the emulated machine's firmware"),
    package("busybox-static", "the guest's shell and tools, in one static file"),
    package("kmod", "depmod: Debian's kernel packages carry no modules.dep"),
    package("xz-utils", "Debian compresses kernel modules from 6.12 on"),
];

/// What `fuzz` compiles with.
pub(crate) const FUZZ: &[Package] = &[package("g++", "libFuzzer is C++")];

/// What `bench` measures beside.
pub(crate) const BENCH: &[Package] = &[
    package("tshark", "finds resets in capture files, by a display filter"),
    package("tcpdump", "finds resets in capture files and on the wire, by a packet filter"),
    package("iperf3", "sends a stream through the cable that is watched").with_service("iperf3"),
    package("ethtool", "gives the cable a queue per sender, switches GRO"),
];

/// What `package` tries the package with.
pub(crate) const PACKAGE: &[Package] =
    &[package("debootstrap", "a Debian of its own, to install the package into")];
