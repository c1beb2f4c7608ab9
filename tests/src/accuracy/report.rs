//! The accuracy report, as Markdown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rst_tracer::event::Class;

use super::{
    Viewpoint,
    ceiling::Ceiling,
    goals::{MOST_CALIBRATION_ERROR, least},
    judge::Judged,
    sums::{Calibration, Rates, confusion},
};

/// Everything that `docs/accuracy.md` says: of the scenarios kept aside it tells sums only. `unrecorded` is what was
/// said about the captures without the recorder.
pub fn report(judged: &[Judged], unrecorded: &[Judged], kernel: &str) -> String {
    let mut text = String::from(INTRODUCTION);
    // Writing to a string does not fail.
    _ = write_all(&mut text, judged, unrecorded, kernel);
    text
}

const INTRODUCTION: &str = "\
# Accuracy

Written by `cargo xtask accuracy`; do not edit. The laboratory plays scenarios whose truth is known from
how they were made (real sockets, real servers, real packet filters; injectors where an attacker is
meant), and holds every verdict against it from three points of view:

- **sender's host**: the tracer stands on the host that put the reset on the wire, with that host's
  kernel evidence;
- **receiver's host**: on the host that the reset was for, with that host's kernel evidence;
- **capture at the router**: a capture file, packets only.

All hosts are namespaces of one kernel; each tracer hears its own namespace only
(`--kernel-scope netns`). A family of scenarios is *kept aside*: others who did not know the engine's rules
wrote them, and what the engine says about them never serves to choose a rule, a threshold or a probability. Only
sums of it are told: which of them were missed is not. Five families of that kind were opened, one after the other,
the third, the fourth and the fifth in two halves: their misses were looked at, rules were written for what packets and
kernels can tell, and they count among the others since. What is kept aside now, the sixth, was written after them, by
somebody who saw neither their results nor the rules; none of it was opened. The resets of one scenario, IP family and
point of view together count one.
";

const CEILINGS: &str = "
## How often anybody could be right

Some causes leave the same bytes (`tests/tests/twins.rs` plays them and compares, segment by segment): a
socket that is aborted by its owner, by `ss -K` or by the death of its process; a SYN that is refused by a
closed port or by a filter; a segment that is answered by a host that restarted, that believed a forged
reset, or whose filter rejects. Who has packets only puts these together by what the packets show (who sent
the reset, over which family, whose data came last) and can at best name the most frequent cause of each heap,
if he knows it beforehand; where the engine is right more often, by what was said or by other connections,
that counts instead. Every other reset counts as one that can be told.
";

const UNRECORDED: &str = "
## Without the recorder

With `--recorder off` nothing amid a connection is recorded. The captures once more, had the last segment before every
reset of an open connection been such a one, which is so on connections of more than sixteen segments:
";

fn write_all(
    text: &mut String,
    judged: &[Judged],
    unrecorded: &[Judged],
    kernel: &str,
) -> std::fmt::Result {
    let ids = |held_out| -> BTreeSet<&str> {
        judged.iter().filter(|one| one.held_out == held_out).map(|one| one.id).collect()
    };
    let (aside, used) = (ids(true), ids(false));
    writeln!(
        text,
        "\nLinux {kernel}; {} scenarios ({} kept aside), {} judgements.\n",
        aside.len() + used.len(),
        aside.len(),
        judged.len()
    )?;
    write_rates(text, judged)?;
    write_ceilings(text, judged)?;
    write_calibration(text, judged)?;
    write_unrecorded(text, judged, unrecorded)?;
    for viewpoint in Viewpoint::ALL {
        write_confusion(text, judged, viewpoint)?;
    }
    write_misses(text, judged.iter().filter(|one| !one.held_out))?;
    let names: Vec<&str> = aside.into_iter().collect();
    writeln!(text, "\n## Kept aside\n\n{}", names.join(", "))
}

fn write_rates(text: &mut String, judged: &[Judged]) -> std::fmt::Result {
    writeln!(text, "## How often it is right\n")?;
    writeln!(text, "| point of view | scenarios | resets | class | goal | cause | goal |")?;
    writeln!(text, "|---|---|---|---|---|---|---|")?;
    for held_out in [true, false] {
        for viewpoint in Viewpoint::ALL {
            let chosen =
                judged.iter().filter(|j| j.viewpoint == viewpoint && j.held_out == held_out);
            let rates = Rates::over(chosen);
            let (class, cause) = least(viewpoint);
            let which = if held_out { "kept aside" } else { "others" };
            writeln!(
                text,
                "| {}, {which} | {:.0} | {} | {:.1} % | {:.0} % | {:.1} % | {:.0} % |",
                viewpoint.words(),
                rates.weight,
                rates.count,
                rates.class * 100.0,
                class * 100.0,
                rates.cause * 100.0,
                cause * 100.0
            )?;
        }
    }
    Ok(())
}

fn write_unrecorded(
    text: &mut String,
    judged: &[Judged],
    unrecorded: &[Judged],
) -> std::fmt::Result {
    writeln!(text, "{UNRECORDED}")?;
    writeln!(
        text,
        "| recorder | class | cause | at 0.8 or more | of them wrong | calibration error |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|")?;
    let recorded: Vec<&Judged> =
        judged.iter().filter(|one| one.viewpoint == Viewpoint::Capture).collect();
    for (name, judged) in [("on", recorded), ("off", unrecorded.iter().collect())] {
        let rates = Rates::over(judged.iter().copied());
        writeln!(
            text,
            "| {name} | {:.1} % | {:.1} % | {} | {} | {:.3} |",
            rates.class * 100.0,
            rates.cause * 100.0,
            judged.iter().filter(|one| one.confidence() >= 0.8).count(),
            judged.iter().filter(|one| one.is_confidently_wrong()).count(),
            Calibration::over(judged.iter().copied()).error
        )?;
    }
    Ok(())
}

fn write_ceilings(text: &mut String, judged: &[Judged]) -> std::fmt::Result {
    writeln!(text, "{CEILINGS}")?;
    writeln!(text, "| point of view | among twins | class: is | at most | cause: is | at most |")?;
    writeln!(text, "|---|---|---|---|---|---|")?;
    for held_out in [true, false] {
        for viewpoint in [Viewpoint::Receiver, Viewpoint::Capture] {
            let chosen =
                || judged.iter().filter(|j| j.viewpoint == viewpoint && j.held_out == held_out);
            let (is, most) = (Rates::over(chosen()), Ceiling::over(chosen()));
            writeln!(
                text,
                "| {}, {} | {:.0} % | {:.1} % | {:.1} % | {:.1} % | {:.1} % |",
                viewpoint.words(),
                if held_out { "kept aside" } else { "others" },
                most.twins * 100.0,
                is.class * 100.0,
                most.class * 100.0,
                is.cause * 100.0,
                most.cause * 100.0
            )?;
        }
    }
    Ok(())
}

fn write_calibration(text: &mut String, judged: &[Judged]) -> std::fmt::Result {
    let aside = Calibration::over(judged.iter().filter(|one| one.held_out));
    let all = Calibration::over(judged);
    writeln!(
        text,
        "\n## Is the confidence honest?\n\nOf the verdicts with a confidence in a range, how many are \
         right? Mean difference {:.3} on the scenarios kept aside (goal: at most \
         {MOST_CALIBRATION_ERROR}), {:.3} on all.\n",
        aside.error, all.error
    )?;
    writeln!(
        text,
        "| confidence | kept aside: verdicts | expected | right | all: verdicts | expected | right |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|")?;
    for (index, (a, b)) in aside.bins.iter().zip(&all.bins).enumerate() {
        if b.weight == 0.0 {
            continue;
        }
        let share = |bin: &super::sums::Bin| match bin.weight {
            0.0 => "0 | |".to_owned(),
            weight => format!("{weight:.1} | {:.2} | {:.2}", bin.expected, bin.observed),
        };
        let low = index as f64 / 10.0;
        writeln!(text, "| {low:.1} to {:.1} | {} | {} |", low + 0.1, share(a), share(b))?;
    }
    Ok(())
}

fn write_confusion(text: &mut String, judged: &[Judged], viewpoint: Viewpoint) -> std::fmt::Result {
    let table = confusion(judged.iter().filter(|one| one.viewpoint == viewpoint));
    let verdicts: BTreeSet<&str> = table.keys().map(|(_, verdict)| *verdict).collect();
    writeln!(text, "\n## Confusion of classes: {}\n", viewpoint.words())?;
    writeln!(text, "Rows: what is true. Columns: the verdict. Resets.\n")?;
    let columns: Vec<&str> = verdicts.iter().copied().collect();
    writeln!(text, "| | {} |", columns.join(" | "))?;
    writeln!(text, "|---|{}", "---|".repeat(columns.len()))?;
    for class in Class::ALL {
        let id = class.id();
        if !table.keys().any(|(truth, _)| *truth == id) {
            continue;
        }
        let cell = |verdict: &&str| match table.get(&(id, *verdict)) {
            Some(n) if *verdict == id => format!("**{n}**"),
            Some(n) => n.to_string(),
            None => String::new(),
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        writeln!(text, "| {id} | {} |", cells.join(" | "))?;
    }
    Ok(())
}

/// Every kind of miss once, with how often it happened.
fn write_misses<'a>(
    text: &mut String,
    judged: impl Iterator<Item = &'a Judged>,
) -> std::fmt::Result {
    let mut kinds: BTreeMap<(&str, Viewpoint, &str, &str), Vec<f64>> = BTreeMap::new();
    for one in judged.filter(|one| !one.cause_is_right()) {
        let told = one.event.as_ref().map_or("not reported", |event| event.cause.id());
        let key = (one.id, one.viewpoint, one.truth.cause, told);
        kinds.entry(key).or_default().push(one.confidence());
    }
    writeln!(text, "\n## Misses, save of what was kept aside\n")?;
    writeln!(text, "| scenario | point of view | is | verdict | confidence | resets | reason |")?;
    writeln!(text, "|---|---|---|---|---|---|---|")?;
    for ((id, viewpoint, truth, told), confidences) in kinds {
        let most = confidences.iter().copied().fold(0.0, f64::max);
        let reason = super::reasons::reason(viewpoint, truth, told);
        writeln!(
            text,
            "| {id} | {} | {truth} | {told} | {most:.2} | {} | {reason} |",
            viewpoint.words(),
            confidences.len()
        )?;
    }
    Ok(())
}
