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

/// What the tests call.
pub(crate) const TEST: &[Package] = &[
    package("tshark", "the tests compare our reading of captures with Wireshark's"),
    package("nginx", "a web server that drops, refuses and loses patience").with_service("nginx"),
    package("haproxy", "a proxy with health checks and timeouts").with_service("haproxy"),
    package("openssh-server", "a server that turns callers away").with_service("ssh"),
    package("openssh-client", "a client that is killed in a session"),
    package("nmap", "a port scanner"),
    package("iptables", "a packet filter by its usual name"),
    package("iproute2", "`ss -K`, and the paths of Multipath TCP"),
    package("curl", "a client that gives up a download"),
    package("openssl", "certificates, and TLS by the usual library"),
    package("python3", "a web server and a TLS server that do not read to the end"),
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
