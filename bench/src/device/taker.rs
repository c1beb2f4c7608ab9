//! Takes every frame that arrives, behind all hooks that anybody is attached to.
//!
//! Native and generic XDP, packet sockets and tcx links all come before the classifiers of traffic control. Taken, not
//! dropped: the kernel tells of drops, and whoever listens to that would pay for each of these frames.

use anyhow::{Context, Result, bail};
use aya::{
    Ebpf, EbpfLoader,
    programs::{
        Program, SchedClassifier, TcAttachType,
        tc::{NlOptions, TcAttachOptions, qdisc_add_clsact},
    },
};

use super::hosts::{DEVICE, Hosts};
use crate::loaded::load_program;

const NAME: &str = "tc_take";

/// Whoever takes frames.
pub(crate) struct Taker(Ebpf);

impl Taker {
    /// Loads it.
    pub(crate) fn new(baselines: &[u8], hosts: &Hosts) -> Result<Self> {
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("TABLE", 1 << 10)
            .load(baselines)
            .context("loading the baselines")?;
        load_program(&mut ebpf, NAME)?;
        hosts.here.run(|| qdisc_add_clsact(DEVICE).context("making room for a classifier"))?;
        Ok(Self(ebpf))
    }

    /// Frames are taken as long as this work lasts.
    pub(crate) fn during<R>(
        &mut self,
        hosts: &Hosts,
        work: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let tc = self.program()?;
        let link = hosts.here.run(|| {
            // Not a link: those come before the classifiers.
            let options = TcAttachOptions::Netlink(NlOptions::default());
            let attached = tc.attach_with_options(DEVICE, TcAttachType::Ingress, options);
            attached.context("attaching whoever takes frames")
        })?;
        let result = work();
        hosts.here.run(|| tc.detach(link).context("detaching whoever takes frames"))?;
        result
    }

    fn program(&mut self) -> Result<&mut SchedClassifier> {
        match self.0.program_mut(NAME) {
            Some(Program::SchedClassifier(tc)) => Ok(tc),
            _ => bail!("the object has no program {NAME}"),
        }
    }
}
