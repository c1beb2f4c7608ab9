//! The command line: verbs and options, as `--help` shows them.

mod amend;
mod parse;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ipnet::IpNet;
use rst_tracer_common::{
    wanted::{Net, Wanted},
    wire::Address,
};

pub(crate) use amend::amend;
use parse::{cause_parser, internal, interval, listen_address, place, port, probability, user};
pub(crate) use parse::{duration, network};

use crate::{
    demo::DemoArgs,
    doctor::DoctorArgs,
    event::{Cause, Class, SentBy},
    report::ReportArgs,
    run::Direction,
    sink::{Internal, Marks},
    source::live::{
        attach::XdpMode,
        evidence::Scope,
        kernel::{Clock, Recording},
    },
    top::TopArgs,
    version,
};

/// Who reset this TCP connection, and why?
///
/// Without a command: trace live, on every interface that is up. Needs root, or CAP_BPF,
/// CAP_NET_ADMIN and CAP_PERFMON.
#[derive(Debug, Parser)]
#[command(name = "rst-tracer", version, long_version = version::long(), args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub trace: TraceArgs,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it is made once")]
pub enum Command {
    /// Trace live (the default command)
    Trace(TraceArgs),
    /// Show live on a screen which causes, pairs, services and processes there are
    Top(TopArgs),
    /// Read capture files (pcap, pcapng) through the same engine
    Replay(ReplayArgs),
    /// Make an HTML page about events that were written with `--format json`
    Report(ReportArgs),
    /// Provoke real resets of every kind in namespaces of its own, and trace them
    Demo(DemoArgs),
    /// Say what this host can offer, what is missing and what that costs
    Doctor(DoctorArgs),
    /// Print the page about a cause: what it is, how we know, how sure, what to do; alone: all causes
    Explain {
        /// The cause, as events name it
        #[arg(value_parser = cause_parser(), hide_possible_values = true)]
        cause: Option<Cause>,
    },
    /// Print the JSON Schema of the events
    Schema,
    /// Print a shell completion script
    Completions {
        /// The shell it is for
        shell: Shell,
    },
    /// Print the manual page (roff)
    Man,
}

/// Connections that are remembered when nothing is said.
pub const FLOWS: u32 = 65_536;
/// Memory for what the kernel hands over when nothing is said, in MiB.
pub const RING_SIZE: u32 = 8;

#[derive(Clone, Debug, Args)]
pub struct TraceArgs {
    #[command(flatten)]
    pub live: LiveArgs,
    /// Write a stats event at this interval, whatever happens: 10s, 1m
    #[arg(long, visible_alias = "stats", value_name = "TIME", value_parser = interval)]
    pub heartbeat: Option<Duration>,
    /// Serve metrics for Prometheus at http://ADDR:PORT/metrics, best on a loopback address: whoever
    /// reaches it can read them
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    pub metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub filter: FilterArgs,
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// What is traced live, and how.
#[derive(Clone, Debug, Args)]
pub struct LiveArgs {
    /// Interface to trace; repeatable, globs allowed [default: every interface that is up]
    #[arg(short, long = "interface", value_name = "NAME")]
    pub interfaces: Vec<String>,
    /// Interface to leave out, also if it appears later; repeatable, globs allowed
    #[arg(long = "exclude", value_name = "NAME")]
    pub excluded: Vec<String>,
    /// Trace nothing where an interface that is meant cannot be traced, or one that was named is not there
    #[arg(long)]
    pub strict: bool,
    /// Trace in this network namespace: a name of `ip netns`, a path such as /proc/PID/ns/net, or the id of a process.
    /// Needs CAP_SYS_ADMIN; what is served and told stays where it was started
    #[arg(long, value_name = "NAME|PATH|PID")]
    pub netns: Option<String>,
    /// Tell resets that go this way only; the other way is tracked all the same, for the verdicts
    #[arg(short = 'Q', long, value_enum, default_value_t = Direction::Inout, value_name = "WAY", help_heading = "Filters")]
    pub direction: Direction,
    /// Where XDP is used on ingress
    #[arg(long, value_enum, default_value_t = XdpMode::Auto)]
    pub xdp_mode: XdpMode,
    /// Stop after this time: 90s, 5m, 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Memory for what the kernel hands over, shared by a ring buffer per CPU, in MiB
    #[arg(long, value_name = "MIB", default_value_t = RING_SIZE, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub ring_size: u32,
    /// Resets of no known connection that a CPU hands over in a second, after a burst of two seconds' worth; more
    /// are counted, and a finding names their sources. 0: all of them
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(0..=1_000_000_000))]
    pub no_flow_rate: u32,
    /// Whose kernel evidence counts: this whole host's, or only that of the network namespace that
    /// the tracer stands in, when other namespaces play other hosts
    #[arg(long, value_enum, default_value_t = Scope::Host, value_name = "SCOPE")]
    pub kernel_scope: Scope,
    /// How exact the times of segments amid busy connections are; all others always are exact
    #[arg(long, value_enum, default_value_t = Clock::Coarse, value_name = "CLOCK")]
    pub clock: Clock,
    /// Whether segments amid connections are recorded; all others always are
    #[arg(long, value_enum, default_value_t = Recording::On, value_name = "STATE")]
    pub recorder: Recording,
    /// Load this BPF object instead of the one inside this binary
    #[arg(long, value_name = "FILE")]
    pub bpf_object: Option<PathBuf>,
}

/// How it runs as a service.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Service")]
pub struct ServiceArgs {
    /// Take from this file (TOML; keys are the long names of options) what neither the command line nor the
    /// environment (RST_TRACER_ and the long name in capitals) says
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say which options are not at their defaults, and where they come from; trace nothing
    #[arg(long)]
    pub check_config: bool,
    /// Say what would be traced where and how, and what memory that takes; trace nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub privileges: PrivilegeArgs,
}

/// As whom it runs.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Service")]
pub struct PrivilegeArgs {
    /// Become this user when everything is attached [default: nobody, if started as root]
    #[arg(long, value_name = "NAME", value_parser = user)]
    pub user: Option<String>,
    /// Keep the user and every capability that it was started with
    #[arg(long, overrides_with = "user")]
    pub no_drop: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Capture files; `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// Write a stats event at the end
    #[arg(long)]
    pub stats: bool,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub filter: FilterArgs,
}

#[derive(Clone, Debug, Args)]
pub struct TableArgs {
    /// Connections to remember, rounded up to a power of two; one takes 968 bytes
    #[arg(long, value_name = "N", default_value_t = FLOWS, value_parser = clap::value_parser!(u32).range(8..=16_777_216))]
    pub flows: u32,
    /// Do not look into tunnels (IPIP, 6in4, GRE, VXLAN, Geneve)
    #[arg(long)]
    pub no_tunnels: bool,
}

#[derive(Clone, Debug, Args)]
pub struct OutputArgs {
    /// How events are written
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Where events go: a file, to which they are appended (also as file:FILE), or `-`; with a format of its own as
    /// FORMAT:FILE, or as FORMAT alone for standard output; repeatable
    #[arg(
        short,
        long,
        value_name = "[FORMAT:]FILE",
        default_value = "-",
        hide_default_value = true,
        value_parser = place
    )]
    pub output: Vec<String>,
    /// Memory for the lines that wait for a slow output, for each, in MiB; what finds no room is counted (live only)
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub output_queue: u32,
    /// Unfold each event: evidence, flow, and the last segments as a ladder (text only)
    #[arg(long)]
    pub explain: bool,
    /// Stop after this many events
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Write no findings, which tell what shows only over many resets: scans, surges, restarts and the like
    #[arg(long)]
    pub no_findings: bool,
    /// Judge each reset by the rules of this file (TOML): what a firewall is to deny, what is harmless, what must never
    /// be. Findings tell what violates a rule, and the summary what every rule matched
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// How long a reset waits for what proves or refutes it: 0s, 500ms, 1s. One that need not wait is told before earlier
    /// ones that do: lines are in the order of their times to within this
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub settle: Duration,
    /// Seed of Community IDs, where other tools do not use 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub community_id_seed: u16,
    /// Networks that are inside, and `private` for all that are used inside only: OCSF then tells lateral connections, and
    /// directions where this host is neither end; ECS `inbound`, `outbound`, `internal`, `external`; repeatable, or
    /// several between commas
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = internal)]
    pub internal_nets: Vec<Internal>,
    /// Say this word in every line (json, ecs, ocsf, otlp); repeatable
    #[arg(long = "tag", value_name = "NAME", value_parser = Marks::tag)]
    pub tags: Vec<String>,
    /// Say this in every line (json, ecs, ocsf, otlp); keys have letters, digits, `_` and `-`; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = Marks::label)]
    pub labels: Vec<(String, String)>,
    /// When to colour text [also: NO_COLOR]
    #[arg(long, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line a reset, for people
    Text,
    /// One JSON object a line (see `rst-tracer schema`)
    Json,
    /// Elastic Common Schema 9.4, one document a line
    Ecs,
    /// OCSF 1.8 (valid from 1.4 on), one document a line
    Ocsf,
    /// JSON lines as Suricata's EVE log has them
    Eve,
    /// ArcSight's Common Event Format, version 0
    Cef,
    /// OpenTelemetry log records, as JSON lines of its file exporter
    Otlp,
    /// Each reset and the last segments before it as packets with comments, for Wireshark
    Pcapng,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Which resets become events. Options of one kind are alternatives; kinds must all hold.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Only with this port on either side; repeatable
    #[arg(long = "port", value_name = "PORT", value_parser = port)]
    pub ports: Vec<u16>,
    /// Only with an address in this network on either side; repeatable
    #[arg(long = "net", value_name = "CIDR", value_parser = network)]
    pub nets: Vec<IpNet>,
    /// Only this cause; repeatable
    #[arg(long = "cause", value_name = "CAUSE", value_parser = cause_parser(), hide_possible_values = true)]
    pub causes: Vec<Cause>,
    /// Only this class of causes; repeatable
    #[arg(long = "class", value_name = "CLASS")]
    pub classes: Vec<Class>,
    /// Only those sent by: client, server, unknown; repeatable
    #[arg(long = "sent-by", value_name = "SIDE")]
    pub sent_by: Vec<SentBy>,
    /// Only with at least this confidence, from 0 to 1
    #[arg(long, value_name = "P", value_parser = probability)]
    pub min_confidence: Option<f64>,
}

impl FilterArgs {
    /// What of it the kernel programs decide, before anything is handed over.
    pub fn in_kernel(&self) -> Option<Wanted> {
        let net = |net: &IpNet| Net::new(Address::from_ip(net.addr()), net.prefix_len());
        let nets: Vec<Net> = self.nets.iter().map(net).collect();
        Wanted::new(&self.ports, &nets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
