//! What was counted until a moment ago, as metrics.
//!
//! In: one look at the counters of the kernel and of the agent. Out: metrics that add up among themselves,
//! because all of them are of that one look.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Instant,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use rst_tracer_common::{
    event::{Counters, Hook},
    notice::Point,
    wire::Malformed,
};

use super::{Outputs, lock};
use crate::{
    run::{Summary, skipped, untracked},
    source::live::{
        Live,
        attach::{Attached, How},
    },
};

/// An interface that is traced.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// How what arrives is seen; `None` where there is nothing to see that egress does not, as on loopback.
    pub ingress: Option<How>,
    /// How what leaves is seen.
    pub egress: How,
}

/// What was counted until one moment.
#[derive(Clone, Debug)]
pub struct Look {
    /// Since the Unix epoch.
    pub time_ns: u64,
    /// What became of every segment and reset.
    pub summary: Summary,
    /// The interfaces that are traced now.
    pub interfaces: Vec<Interface>,
    /// Connections that the table has room for.
    pub table_size: u32,
    /// Records that were not understood.
    pub undecoded: u64,
}

impl Look {
    /// At a running trace.
    pub fn at(time_ns: u64, summary: Summary, live: &Live) -> Self {
        let interface = |(name, attached): (&str, &Attached)| Interface {
            name: name.to_owned(),
            ingress: (!attached.needs_no_ingress()).then_some(attached.ingress),
            egress: attached.egress,
        };
        let interfaces = live.attached().map(interface).collect();
        let (table_size, undecoded) = (live.table_size(), live.undecoded());
        Self { time_ns, summary, interfaces, table_size, undecoded }
    }
}

/// What the trace has left for the next scrape.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) look: Mutex<Option<(Instant, Arc<Look>)>>,
    pub(super) outputs: Mutex<Outputs>,
}

impl Collector for Left {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let outputs = lock(&self.outputs).clone();
        // Shared, so that the trace never waits for a scrape.
        let Some((_, look)) = lock(&self.look).clone() else { return Ok(()) };
        let mut page = Page(encoder);
        page.segments(&look)?;
        page.resets(&look, &outputs)?;
        page.table(&look)?;
        page.outputs(&outputs)?;
        page.interfaces(&look.interfaces)?;
        let seconds = look.time_ns as f64 / 1e9;
        page.gauge("look_timestamp_seconds", "When these numbers were last read.", seconds)
    }
}

/// Labels of one series and its value.
type Series<'a, const N: usize> = ([(&'static str, &'a str); N], u64);

/// A series with one label for each value.
fn by<'a>(
    label: &'static str,
    names: impl IntoIterator<Item = &'a str>,
    values: impl IntoIterator<Item = u64>,
) -> impl Iterator<Item = Series<'a, 1>> {
    names.into_iter().zip(values).map(move |(name, value)| ([(label, name)], value))
}

/// A series with two labels for each value of each hook.
fn by_hook<const N: usize>(
    hooks: &[Counters],
    label: &'static str,
    values: fn(&Counters) -> [(&'static str, u64); N],
) -> impl Iterator<Item = Series<'static, 2>> {
    Hook::NAMES.into_iter().zip(hooks).flat_map(move |(hook, counters)| {
        values(counters).map(|(name, value)| ([("hook", hook), (label, name)], value))
    })
}

/// What became of the resets at a hook: these are all of them.
fn handed_over(hook: &Counters) -> [(&'static str, u64); 4] {
    [
        ("delivered", hook.delivered),
        ("suppressed", hook.all_suppressed()),
        ("filtered", hook.filtered),
        ("ring_full", hook.ring_full),
    ]
}

/// The hooks of a live trace.
const LIVE: usize = Hook::PCAP.0 as usize;

/// Where metrics are written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn counters<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = Series<'s, N>>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            ConstCounter::new(value).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)
    }

    fn segments(&mut self, look: &Look) -> fmt::Result {
        let hooks = &look.summary.hooks[..LIVE];
        let each = |of: fn(&Counters) -> u64| by("hook", Hook::NAMES, hooks.iter().map(of));
        self.counters("frames", "Frames that passed.", each(|hook| hook.frames))?;
        self.counters("packets", "TCP segments that passed.", each(|hook| hook.segments))?;
        let tracked = "TCP segments that updated a connection.";
        self.counters("segments_tracked", tracked, each(|hook| hook.tracked))?;
        let none = "TCP segments that updated none, by reason.";
        self.counters("segments_untracked", none, by_hook(hooks, "kind", untracked))?;
        let seen = "RST segments that passed; one that passes two hooks counts twice.";
        self.counters("resets_seen", seen, each(|hook| hook.rsts))?;
        let help = "What the kernel programs did with the RST segments that passed.";
        self.counters("kernel_resets", help, by_hook(hooks, "outcome", handed_over))?;
        let malformed = by("kind", Malformed::NAMES, look.summary.total().malformed);
        self.counters("malformed", "Frames that could not be parsed.", malformed)?;
        let help = "Frames that may hold TCP in what is not looked into.";
        let total = look.summary.total();
        let skipped = skipped(&total).map(|(kind, n)| ([("kind", kind)], n));
        self.counters("frames_skipped", help, skipped)
    }

    fn resets(&mut self, look: &Look, outputs: &Outputs) -> fmt::Result {
        let (total, tally) = (look.summary.total(), &look.summary.tally);
        let suppressed = total.all_suppressed();
        let became = [
            ("event", tally.events),
            ("merged", tally.merged),
            ("filtered", look.summary.filtered(&total)),
            ("suppressed", suppressed),
            ("lost", total.ring_full),
        ];
        let help = "What became of the RST segments seen.";
        self.counters("resets", help, became.map(|(name, n)| ([("outcome", name)], n)))?;
        let help = "RST segments of which it is not yet said what became of them.";
        self.gauge("resets_pending", help, look.summary.pending())?;
        let help = "Those of the suppressed RST segments that a later event told in its repeats.";
        self.counter("resets_repeated", help, tally.repeated)?;
        let lost = [
            ("ring", total.ring_full),
            ("suppressed", suppressed),
            ("undecoded", look.undecoded),
            ("output", outputs.values().map(|[_, dropped]| dropped).sum()),
        ];
        let help =
            "Resets that became no event, or whose event was not written, by where that was.";
        self.counters("events_lost", help, lost.map(|(name, n)| ([("stage", name)], n)))?;
        let help = "Segments after a reset that found the ring full.";
        self.counter("aftermath_lost", help, total.aftermath_lost)?;
        let lost = by("tracepoint", Point::NAMES, look.summary.statements.lost);
        self.counters(
            "kernel_statements_lost",
            "Statements of the kernel that found the ring full.",
            lost,
        )
    }

    fn table(&mut self, look: &Look) -> fmt::Result {
        let total = look.summary.total();
        let (finished, half_open) = (total.evicted_finished, total.evicted_half_open);
        let held = total.flows.saturating_sub(finished + half_open);
        self.gauge("flow_table_size", "Connections that the table has room for.", look.table_size)?;
        let help = "Connections in the table, with those that are over: they stay until their place is needed.";
        self.gauge("flow_table_flows", help, held)?;
        self.counter("flows", "Connections that were entered in the table.", total.flows)?;
        let evicted = by("kind", ["finished", "half_open"], [finished, half_open]);
        let help = "Connections that made room for another.";
        self.counters("flow_table_evictions", help, evicted)?;
        let help = "Segments of connections for which the table had no room.";
        self.counter("flow_table_no_room", help, total.table_full)
    }

    fn outputs(&mut self, outputs: &Outputs) -> fmt::Result {
        for (index, name, help) in [
            (0, "output_written", "Events that an output has written."),
            (1, "output_dropped", "Events that an output had to leave out."),
        ] {
            let series =
                outputs.iter().map(|(output, n)| ([("output", output.as_str())], n[index]));
            self.counters(name, help, series)?;
        }
        Ok(())
    }

    /// Interfaces without a name of their own share a series.
    fn interfaces(&mut self, interfaces: &[Interface]) -> fmt::Result {
        let mut attached = BTreeMap::new();
        for interface in interfaces {
            let egress = Some(("egress", interface.egress));
            for (direction, how) in
                interface.ingress.map(|how| ("ingress", how)).into_iter().chain(egress)
            {
                let labels = (interface.name.as_str(), direction, how.id());
                *attached.entry(labels).or_insert(0) += u32::from(how != How::Nothing);
            }
        }
        let help = "How an interface is traced; 0 if a direction of it is not.";
        let kind = MetricType::Gauge;
        let mut metric = self.0.encode_descriptor("interface_attached", help, None, kind)?;
        for ((interface, direction, mode), count) in attached {
            let labels = [("iface", interface), ("direction", direction), ("mode", mode)];
            ConstGauge::new(count).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
