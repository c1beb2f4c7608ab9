//! Two hosts and a cable: whoever is measured is attached `here`, frames and connections come from `there`.

use std::{fs, net::IpAddr, process::Command};

use anyhow::{Context, Result, ensure};
use nix::net::if_::if_nametoindex;
use rst_tracer::demo::{netns::Netns, topology};

/// The device that is watched.
pub(crate) const DEVICE: &str = "h0";
/// The other end of its cable.
const FAR: &str = "t0";
/// Its address.
pub(crate) const HERE: [u8; 4] = [10, 79, 0, 1];
const THERE: [u8; 4] = [10, 79, 0, 2];

/// The hosts.
pub(crate) struct Hosts {
    pub(crate) here: Netns,
    pub(crate) there: Netns,
    /// The index of the far end, there.
    pub(crate) far: u32,
}

impl Hosts {
    /// Lays the cable; the watched end has so many queues.
    pub(crate) fn new(queues: usize) -> Result<Self> {
        let (here, there) = (Netns::new("here")?, Netns::new("there")?);
        topology::connect((&here, DEVICE), (&there, FAR))?;
        topology::raise(&here, DEVICE, &[(IpAddr::from(HERE), 24)])?;
        topology::raise(&there, FAR, &[(IpAddr::from(THERE), 24)])?;
        topology::await_carrier(&here, DEVICE, false)?;
        topology::await_carrier(&there, FAR, false)?;
        let far = there.run(|| Ok(if_nametoindex(FAR)?))?;
        let hosts = Self { here, there, far };
        if queues > 1 {
            hosts.ethtool(&["-L", DEVICE, "rx", &queues.to_string()])?;
        }
        Ok(hosts)
    }

    /// Switches GRO of the watched end. A veth that has neither GRO nor native XDP takes no live frames.
    pub(crate) fn set_gro(&self, on: bool) -> Result<()> {
        self.ethtool(&["-K", DEVICE, "gro", if on { "on" } else { "off" }])
    }

    fn ethtool(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("ethtool");
        let output = self.here.run(|| {
            command.args(arguments).output().context("starting ethtool (apt-get install ethtool)")
        })?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ethtool {}: {}", arguments.join(" "), said.trim());
        Ok(())
    }

    /// How many frames have arrived at the watched end.
    pub(crate) fn received(&self) -> Result<u64> {
        let path = "/proc/thread-self/net/dev";
        let table = self.here.run(|| fs::read_to_string(path).context("reading its counters"))?;
        packets_of(&table, DEVICE).with_context(|| format!("{DEVICE} in {path}"))
    }
}

/// Packets received, by `/proc/net/dev`.
fn packets_of(table: &str, device: &str) -> Option<u64> {
    let mut lines = table.lines().filter_map(|line| line.trim().split_once(':'));
    let (_, numbers) = lines.find(|(name, _)| *name == device)?;
    numbers.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_from_bytes_and_devices_from_each_other() {
        let table = "Inter-|   Receive\n face |bytes    packets errs\n\
            \x20   lo:     100       1    0\n    h0: 6400     100    0    0\n   h01: 1 2 3\n";
        assert_eq!(packets_of(table, "h0"), Some(100));
        assert_eq!(packets_of(table, "h1"), None);
    }
}
