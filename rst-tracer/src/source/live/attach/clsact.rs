//! Filters of the clsact queueing discipline, for kernels before tcx (6.6).
//!
//! They survive their maker, so each carries a name and a handle by which a later start and
//! `doctor --clean` know it as ours; see `claim.rs` for how they know it as dead. The discipline
//! itself is removed only if we made it and nothing is left on it.

use std::{collections::BTreeSet, io, os::fd::AsFd, os::fd::AsRawFd};

use super::{
    claim::{Claim, TOKEN_BITS, is_alive},
    traffic::Side,
};
use crate::links::netlink::{
    self, Body, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Netlink, attribute, text, u32_at,
};

// <https://github.com/torvalds/linux/blob/v6.18/include/uapi/linux/pkt_sched.h>
const TC_H_CLSACT: u32 = 0xffff_fff1;
const PARENT_INGRESS: u32 = 0xffff_fff2;
const PARENT_EGRESS: u32 = 0xffff_fff3;
const TCMSG: usize = 20;
const TCA_CHAIN: u16 = 11;
// <https://github.com/torvalds/linux/blob/v6.18/include/uapi/linux/pkt_cls.h>
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;

/// Every filter of ours is called so, followed by the program's name.
const NAME_PREFIX: &str = "rst_tracer:";
/// The top byte of every handle of ours: `R`. Handles that the kernel chooses count from 1.
const HANDLE_MARK: u32 = 0x52 << 24;
/// Set in the handle when the clsact discipline was made by us.
const HANDLE_MADE_QDISC: u32 = 1 << TOKEN_BITS;

/// A filter of ours in place; dropping it removes it.
#[derive(Debug)]
pub(super) struct Filter {
    /// Opened in the interface's namespace, so that the drop works from any thread.
    route: Netlink,
    place: Place,
    _claim: Claim,
}

/// What [`attach`] achieved.
pub(super) struct Placed {
    pub(super) filter: Filter,
    pub(super) notes: Vec<String>,
}

/// A filter that an agent left behind when it was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The filter's name: `rst_tracer:tc_egress`.
    pub name: String,
    place: Place,
}

/// Which filter, as the kernel addresses it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    index: u32,
    parent: u32,
    priority: u16,
    handle: u32,
}

/// A filter as listed.
struct Listed {
    place: Place,
    protocol: u16,
    kind: String,
    chain: u32,
    name: String,
}

impl Listed {
    fn is_ours(&self) -> bool {
        self.kind == "bpf"
            && self.place.handle & 0xff << 24 == HANDLE_MARK
            && self.name.starts_with(NAME_PREFIX)
    }

    fn is_dead(&self) -> bool {
        self.is_ours() && !is_alive(self.place.handle & (HANDLE_MADE_QDISC - 1))
    }
}

/// Adds our filter to one side of an interface, after removing what a killed agent left there.
pub(super) fn attach(
    program: &impl AsFd,
    program_name: &str,
    index: u32,
    side: Side,
) -> io::Result<Placed> {
    let mut route = Netlink::open(netlink::ROUTE)?;
    let mut notes: Vec<String> = remove_dead(&mut route, index)?
        .into_iter()
        .map(|name| format!("removed {name}, left behind by a killed tracer"))
        .collect();

    let made_now = make_qdisc(&mut route, index)?;
    let parent = if side == Side::Ingress { PARENT_INGRESS } else { PARENT_EGRESS };
    let everywhere = list(&mut route, index)?;
    let made = made_now
        || everywhere.iter().any(|f| f.is_ours() && f.place.handle & HANDLE_MADE_QDISC != 0);
    let here: Vec<&Listed> = everywhere.iter().filter(|f| f.place.parent == parent).collect();
    let priority = free_priority(&here);
    let ahead: BTreeSet<&str> = here
        .iter()
        .filter(|f| f.chain == 0 && f.place.handle != 0 && f.place.priority <= priority)
        .filter(|f| !f.is_ours())
        .map(|f| if f.name.is_empty() { f.kind.as_str() } else { f.name.as_str() })
        .collect();
    if !ahead.is_empty() {
        let names: Vec<&str> = ahead.into_iter().collect();
        notes.push(format!("filters that run before ours may hide packets: {}", names.join(", ")));
    }

    let claim = Claim::take()?;
    let made_bit = if made { HANDLE_MADE_QDISC } else { 0 };
    let place = Place { index, parent, priority, handle: HANDLE_MARK | made_bit | claim.token };
    let added = add(&mut route, &place, program, program_name);
    if let Err(error) = added {
        if made {
            remove_qdisc_if_empty(&mut route, index)?;
        }
        return Err(error);
    }
    Ok(Placed { filter: Filter { route, place, _claim: claim }, notes })
}

/// The filters that killed agents left on this interface.
///
/// # Errors
/// When netlink cannot be spoken.
pub fn leftovers(index: u32) -> io::Result<Vec<Leftover>> {
    dead(&mut Netlink::open(netlink::ROUTE)?, index)
}

/// Removes what killed agents left on this interface; returns the names of what it removed.
///
/// # Errors
/// When netlink cannot be spoken or `CAP_NET_ADMIN` is missing.
pub fn clean(index: u32) -> io::Result<Vec<String>> {
    remove_dead(&mut Netlink::open(netlink::ROUTE)?, index)
}

impl Drop for Filter {
    fn drop(&mut self) {
        if let Err(error) = remove(&mut self.route, &self.place) {
            log::warn!(
                "cannot remove our clsact filter from interface {}: {error}",
                self.place.index
            );
        }
    }
}

fn dead(route: &mut Netlink, index: u32) -> io::Result<Vec<Leftover>> {
    let listed = list(route, index)?.into_iter().filter(Listed::is_dead);
    Ok(listed.map(|f| Leftover { name: f.name, place: f.place }).collect())
}

fn remove_dead(route: &mut Netlink, index: u32) -> io::Result<Vec<String>> {
    let dead = dead(route, index)?;
    dead.iter().try_for_each(|leftover| remove(route, &leftover.place))?;
    Ok(dead.into_iter().map(|leftover| leftover.name).collect())
}

/// Removes one filter of ours, and the discipline if it was ours and is now empty.
fn remove(route: &mut Netlink, place: &Place) -> io::Result<()> {
    let info = filter_info(place.priority);
    let body =
        tcmsg(place.index, place.handle, place.parent, info).attribute(libc::TCA_KIND, b"bpf\0");
    gone_is_fine(route.ask(libc::RTM_DELTFILTER, 0, body.bytes()))?;
    if place.handle & HANDLE_MADE_QDISC != 0 {
        remove_qdisc_if_empty(route, place.index)?;
    }
    Ok(())
}

fn add(
    route: &mut Netlink,
    place: &Place,
    program: &impl AsFd,
    program_name: &str,
) -> io::Result<()> {
    let name = format!("{NAME_PREFIX}{program_name}\0");
    let options = Body::default()
        .attribute(TCA_BPF_FD, &program.as_fd().as_raw_fd().to_ne_bytes())
        .attribute(TCA_BPF_NAME, name.as_bytes())
        .attribute(TCA_BPF_FLAGS, &TCA_BPF_FLAG_ACT_DIRECT.to_ne_bytes());
    let info = filter_info(place.priority);
    let body = tcmsg(place.index, place.handle, place.parent, info)
        .attribute(libc::TCA_KIND, b"bpf\0")
        .attribute(libc::TCA_OPTIONS, options.bytes());
    route.ask(libc::RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, body.bytes()).map(drop)
}

/// Makes the clsact discipline; `false` when there was one.
fn make_qdisc(route: &mut Netlink, index: u32) -> io::Result<bool> {
    let body = tcmsg(index, TC_H_CLSACT & 0xffff_0000, TC_H_CLSACT, 0)
        .attribute(libc::TCA_KIND, b"clsact\0");
    match route.ask(libc::RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body.bytes()) {
        Ok(_) => Ok(true),
        Err(error) if netlink::errno(&error) == Some(libc::EEXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_qdisc_if_empty(route: &mut Netlink, index: u32) -> io::Result<()> {
    if !list(route, index)?.is_empty() {
        return Ok(());
    }
    let body = tcmsg(index, TC_H_CLSACT & 0xffff_0000, TC_H_CLSACT, 0);
    gone_is_fine(route.ask(libc::RTM_DELQDISC, 0, body.bytes()))
}

/// Every filter on both sides of an interface.
fn list(route: &mut Netlink, index: u32) -> io::Result<Vec<Listed>> {
    let mut filters = Vec::new();
    for parent in [PARENT_INGRESS, PARENT_EGRESS] {
        let body = tcmsg(index, 0, parent, 0);
        match route.ask(libc::RTM_GETTFILTER, NLM_F_DUMP, body.bytes()) {
            Ok(replies) => filters.extend(replies.iter().filter_map(|m| listed(m, parent))),
            // No clsact there, or a classless discipline in its place.
            Err(error) if is_gone(&error) || netlink::errno(&error) == Some(libc::EINVAL) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filters)
}

fn listed(body: &[u8], parent: u32) -> Option<Listed> {
    let attributes = body.get(TCMSG..)?;
    let options = attribute(attributes, libc::TCA_OPTIONS).unwrap_or_default();
    let kind = attribute(attributes, libc::TCA_KIND).map(text)?;
    // The numbers inside the options mean something else for other kinds of filter.
    let name = Some(options).filter(|_| kind == "bpf").and_then(|o| attribute(o, TCA_BPF_NAME));
    let info = u32_at(body, 16)?;
    Some(Listed {
        place: Place {
            index: u32_at(body, 4)?,
            parent,
            priority: (info >> 16) as u16,
            handle: u32_at(body, 8)?,
        },
        protocol: u16::from_be(info as u16),
        chain: attribute(attributes, TCA_CHAIN).and_then(|c| u32_at(c, 0)).unwrap_or_default(),
        name: name.map(text).unwrap_or_default(),
        kind,
    })
}

/// The first priority we can have. Filters of one priority are of one kind and protocol.
fn free_priority(here: &[&Listed]) -> u16 {
    let foreign = |priority: u16| {
        here.iter().any(|f| {
            f.place.priority == priority
                && (f.kind != "bpf" || f.protocol != libc::ETH_P_ALL as u16 || f.chain != 0)
        })
    };
    (1..u16::MAX).find(|&priority| !foreign(priority)).unwrap_or(u16::MAX)
}

/// `struct tcmsg`.
fn tcmsg(index: u32, handle: u32, parent: u32, info: u32) -> Body {
    let mut header = [0; TCMSG];
    for (at, word) in [(4, index), (8, handle), (12, parent), (16, info)] {
        header[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }
    Body::new(&header)
}

/// Priority above, protocol (all of them, in network byte order) below.
fn filter_info(priority: u16) -> u32 {
    u32::from(priority) << 16 | u32::from((libc::ETH_P_ALL as u16).to_be())
}

fn gone_is_fine<T>(result: io::Result<T>) -> io::Result<()> {
    match result {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(netlink::errno(error), Some(libc::ENODEV | libc::ENOENT))
}
