//! Frames of many connections.

use anyhow::Result;

use super::{COLUMNS, add};
use crate::{
    crowd::{Crowd, Order, Strangers},
    frames::{Kind, Road},
    loaded::{Bench, Objects},
    report::{Goal, Table},
    rounds::{Effort, measure, measure_new, open},
    subject::{Hook, Subject},
};

/// Many connections, IPv4, XDP.
pub(super) fn crowds(
    objects: &Objects<'_>,
    effort: Effort,
    quick: bool,
    goals: &mut Vec<Goal>,
    floors: &mut Vec<Goal>,
) -> Result<Table> {
    const HOOK: Hook = Hook::Xdp;
    let mut table = Table::new("Many connections", &COLUMNS);
    let counts: &[u32] = if quick { &[1_000] } else { &[1_000, 64_000, 1_000_000] };
    for &flows in counts {
        let slots = (flows * 4).next_power_of_two().clamp(1 << 16, 1 << 21);
        let mut bench = Bench::load(objects, slots)?;
        let everyone = Crowd { flows, order: Order::Uniform };
        let mut stands = open(&mut bench, HOOK, Road::V4, everyone)?;
        for order in [Order::Trains, Order::Zipf, Order::Uniform] {
            let sequence = Crowd { flows, order }.sequence(effort.sequence);
            let what = (Kind::Data, Road::V4);
            let measured = measure(&mut bench, HOOK, what, &sequence, &mut stands, effort)?;
            let what = format!("data segment, {flows} flows, {}", order.name());
            let goal = match order {
                Order::Trains => Some(0.5),
                Order::Uniform if flows > 1_000 => Some(0.65),
                _ => None,
            };
            let textbook = measured.times(Subject::Ours, Subject::Textbook);
            let goal =
                goal.map(|at_most| Goal::at_most(format!("{what}: × textbook"), at_most, textbook));
            goals.extend(goal);
            let beside = |it| measured.times(Subject::Unrecorded, it);
            let off = |which, most, times| {
                Goal::at_most(format!("{what}, recorder off: × {which}"), most, times)
            };
            goals.push(off("textbook", 0.45, beside(Subject::Textbook)));
            let most = match (flows, order) {
                (64_000, Order::Trains) => Some(1.8),
                (1_000_000, Order::Trains) => Some(2.5),
                _ => None,
            };
            goals.extend(most.map(|most| off("parse only", most, beside(Subject::Parse))));
            // So few frames as a smoke run's find their flows out of the cache.
            if !quick {
                let most = if flows > 1_000 { 1.4 } else { 0.85 };
                floors.push(Goal::at_most(format!("{what}: × textbook"), most, textbook));
            }
            add(&mut table, what, &measured);
        }
        let new = [
            // Beside a million flows the textbook's table has free elements left, and evicts nothing.
            (Kind::Syn, "SYN", Strangers::CALLERS, if flows > 64_000 { 2.5 } else { 1.6 }),
            (Kind::Rst, "RST without a flow", Strangers::RESETTERS, if quick { 0.9 } else { 0.6 }),
        ];
        for (kind, name, strangers, most) in new {
            let measured = measure_new(&mut bench, HOOK, (kind, Road::V4), strangers, effort)?;
            let what = format!("{name}, always new, beside {flows} flows");
            let textbook = measured.times(Subject::Ours, Subject::Textbook);
            let times = |most| Goal::at_most(format!("{what}: × textbook"), most, textbook);
            if kind == Kind::Syn && flows > 1_000 {
                goals.push(times(0.4));
            }
            floors.push(times(most));
            add(&mut table, what, &measured);
        }
    }
    Ok(table)
}
