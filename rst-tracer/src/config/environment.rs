//! Options from the environment: `RST_TRACER_RING_SIZE=16`, `RST_TRACER_INTERFACE=eth0,eth1`.
//!
//! Kubernetes puts variables of its own there for every Service of the pod's namespace, unless `enableServiceLinks` is
//! false: of one called rst-tracer they begin as ours do, and one of them (`RST_TRACER_PORT=tcp://10.0.0.1:9477`) has the
//! name of an option. They are known by their shapes, and set nothing.

use std::{collections::BTreeMap, ffi::OsString};

use anyhow::Result;
use clap::Arg;

use super::{
    TRACE,
    nearest::nearest_option,
    options_of,
    setting::{self, Origin, Setting},
};
use crate::sink::words::clean;

/// Variables and their values, by name.
pub(super) type Environment = BTreeMap<OsString, OsString>;

const PREFIX: &str = "RST_TRACER_";

/// The variable for an option with this long name.
pub(super) fn name(option: &str) -> String {
    format!("{PREFIX}{}", option.replace('-', "_").to_uppercase())
}

/// The options that the environment sets. Values of a repeatable one stand between commas.
pub(super) fn read(verb: &str, options: &[Arg], environment: &Environment) -> Result<Vec<Setting>> {
    let found = options.iter().filter_map(|option| {
        let name = name(option.get_long()?);
        let value = environment.get(&OsString::from(&name))?;
        let values = match value.to_str() {
            Some(text) if is_of_a_service(&name, text) => return None,
            Some(text) if setting::is_list(option) => text.split(',').map(OsString::from).collect(),
            _ => vec![value.clone()],
        };
        Some(Setting::new(option, values, Origin::Variable(name)).checked(verb))
    });
    found.collect()
}

/// What is said of variables that look like ours and set nothing. One that only a trace heeds may be there for a trace.
pub(super) fn odd(verb: &str, options: &[Arg], environment: &Environment) -> Vec<String> {
    let of_trace = options_of(TRACE);
    let is_known = |variable: &str| {
        let all = options.iter().chain(&of_trace);
        all.filter_map(Arg::get_long).chain(["config"]).any(|option| name(option) == variable)
    };
    let ours = environment.iter().filter_map(|(name, value)| {
        let name = name.to_str().filter(|name| name.starts_with(PREFIX))?;
        Some((name, value.to_string_lossy()))
    });
    let (of_services, own): (Vec<_>, Vec<_>) =
        ours.partition(|(name, value)| is_of_a_service(name, value));
    let unknown = own.iter().filter(|(name, _)| !is_known(name));
    let mut odd: Vec<String> =
        unknown.map(|(name, _)| unknown_variable(name, verb, options)).collect();
    // One that has the name of an option tells more than the others.
    if let Some((name, value)) = of_services.iter().max_by_key(|(name, _)| is_known(name)) {
        let (are, set) = match of_services.len() - 1 {
            0 => ("is".into(), "sets"),
            more => (format!("and {more} more are"), "set"),
        };
        odd.push(format!(
            "{name}={} {are} of a Service in Kubernetes and {set} no option; `enableServiceLinks: false` in the pod's \
             spec keeps such out",
            clean(value)
        ));
    }
    odd
}

fn unknown_variable(name: &str, verb: &str, options: &[Arg]) -> String {
    let key = name.trim_start_matches(PREFIX).to_lowercase().replace('_', "-");
    let hint = match nearest_option(&key, options) {
        Some(near) => format!("did you mean {}?", self::name(near)),
        None => format!("`rst-tracer {verb} --help` lists the options"),
    };
    format!("{} sets no option; {hint}", clean(name))
}

/// Whether Kubernetes makes such a variable for a Service whose name is rst-tracer or begins with it: its address, its
/// ports, and what Docker's links had.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>
fn is_of_a_service(name: &str, value: &str) -> bool {
    let is_link = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    // `PORT_9477_TCP`, `PORT_9477_TCP_ADDR` and the like.
    let is_port = name.split("_PORT_").skip(1).any(|port| {
        let mut words = port.split('_');
        words.next().is_some_and(|number| number.parse::<u16>().is_ok())
            && words.next().is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol))
    });
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT") && is_link
        || is_port
}
