//! Options from the environment: `RST_TRACER_RING_SIZE=16`, `RST_TRACER_INTERFACE=eth0,eth1`.

use std::ffi::OsString;

use anyhow::Result;
use clap::Arg;

use super::setting::{self, Origin, Setting};

/// The variable for an option with this long name.
pub(super) fn name(option: &str) -> String {
    format!("RST_TRACER_{}", option.replace('-', "_").to_uppercase())
}

/// The options that the environment sets. Values of a repeatable one stand between commas.
pub(super) fn read(
    options: &[Arg],
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<Setting>> {
    let found = options.iter().filter_map(|option| {
        let name = name(option.get_long()?);
        let value = variable(&name)?;
        let values = match value.to_str() {
            Some(text) if setting::is_list(option) => text.split(',').map(OsString::from).collect(),
            _ => vec![value],
        };
        Some(Setting::new(option, values, Origin::Variable(name)).checked())
    });
    found.collect()
}
