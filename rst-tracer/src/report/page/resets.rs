//! Findings, and the resets that are shown in full: verdict, evidence, and the last segments.

use maud::{Markup, html};

use super::{badge, moment, of, told};
use crate::{
    digest::grouped,
    event::{Finding, RstEvent, Severity},
    report::digest::Digest,
    sink::{ladder, words},
};

/// Findings that are shown.
const FINDINGS: usize = 50;
/// Resets that are shown, of each kind.
const RESETS: usize = 40;
/// Sources of a finding that are shown.
const SOURCES: usize = 10;

/// What shows only over many resets.
pub(super) fn findings(digest: &Digest) -> Markup {
    let all = digest.findings();
    let hidden = all.len().saturating_sub(FINDINGS) as u64 + digest.more_findings;
    html! {
        @if all.is_empty() { p { "None." } }
        @for finding in all.iter().take(FINDINGS) { (finding_of(finding)) }
        @if hidden > 0 { p.dim { (of(hidden, "more finding")) " not shown." } }
    }
}

fn finding_of(finding: &Finding) -> Markup {
    html! {
        article.finding {
            h3 { (badge(finding.severity)) " " (finding.kind.words()) }
            p { (told(&finding.text)) }
            p.dim {
                (moment(finding.time)) ", " (told(&finding.host))
                @for (name, n) in &finding.counts { ", " (told(name)) " " (grouped(*n)) }
            }
            @if !finding.sources.is_empty() {
                ul.plain {
                    @for source in finding.sources.iter().take(SOURCES) {
                        li {
                            (source.ip) @if let Some(port) = source.port { " port " (port) }
                            ": " (of(source.resets, "reset"))
                        }
                    }
                    @if finding.sources.len() > SOURCES { li.dim { (finding.sources.len() - SOURCES) " more" } }
                }
            }
        }
    }
}

/// A few resets of each cause, the most severe first; benign ones folded.
pub(super) fn examples(digest: &Digest) -> Markup {
    let [notable, benign] = digest.examples.parted(Severity::Low);
    html! {
        p.dim { "The most severe of each cause, at most three, each between other hosts." }
        @if notable.is_empty() { p { "None that is worth a look: all are benign." } }
        @for event in notable.iter().take(RESETS) { (reset(event)) }
        @if !benign.is_empty() {
            details.group {
                summary { (of(benign.len() as u64, "example")) " of benign resets" }
                @for event in benign.iter().take(RESETS) { (reset(event)) }
            }
        }
    }
}

fn reset(event: &RstEvent) -> Markup {
    html! {
        details.reset {
            summary {
                (badge(event.severity)) " " strong { (event.cause.words()) } " "
                span.dim { (event.confidence.percent()) "%" } " "
                span.ends { (event.src) " → " (event.dst) }
                " " span.dim { (words::who(event)) ", " (moment(event.time)) }
            }
            p { (told(&words::verdict(event))) }
            @if !event.evidence.is_empty() {
                table.evidence {
                    caption { "Evidence" }
                    @for evidence in &event.evidence {
                        tr { td.number { (format!("{:+.1}", evidence.weight.value())) } td { (told(&evidence.text)) } }
                    }
                }
            }
            @if !event.alternatives.is_empty() {
                p {
                    "Otherwise: "
                    @for (at, other) in event.alternatives.iter().enumerate() {
                        @if at > 0 { ", " }
                        (other.cause.words()) " (" (other.confidence.percent()) "%)"
                    }
                }
            }
            @if let Some(text) = &event.payload_text { p { "Its payload says “" (told(text)) "”" } }
            @if let Some(process) = &event.process {
                p {
                    "Process: " (told(&words::process(process)))
                    @if let Some(end) = words::end_of_process(event) { " at the " (end) }
                    @if let Some(cgroup) = &process.cgroup { ", " (told(cgroup)) }
                }
            }
            @if let Some(reason) = event.kernel.as_ref().and_then(|kernel| kernel.reason.as_ref()) {
                p { "The kernel’s reason: " code { (told(reason)) } }
            }
            @if let Some(policy) = &event.policy { p { "Policy: " (told(&words::policy(policy))) } }
            pre tabindex="0" { (ladder(event)) }
            p.dim {
                (event.stage.words()) ", application " (told(&event.app)) ", seen at " (told(&words::place(event, false)))
                " on " (told(&event.host)) ", id " code { (told(&event.id)) } ", community id " code { (told(&event.community_id)) }
            }
        }
    }
}
