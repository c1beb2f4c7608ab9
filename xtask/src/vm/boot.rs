//! Booting a kernel in an emulated machine and listening to its serial console.
//!
//! Comes in: a kernel image and an initramfs. Goes out: what the guest wrote; never later than the
//! deadline. The machine has no network, and no disk unless there is an image of one.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longest time a guest may run.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15 * 60);
/// Most a guest may write; a guest that loops does not fill the disk.
const CONSOLE_LIMIT: usize = 16 << 20;

/// A panic reboots at once, which with qemu's -no-reboot ends the machine. The rest is for systemd: it writes nothing
/// among the lines of the steps, and does not wait for a console that udev would tell of.
const KERNEL_OPTIONS: &str = "console=ttyS0 panic=-1 nokaslr mitigations=off loglevel=4 systemd.show_status=0 \
                              systemd.mask=serial-getty@ttyS0.service";

/// What came of a boot.
pub(crate) struct Boot {
    /// All the guest wrote on its console.
    pub(crate) console: String,
    pub(crate) took: Duration,
    /// Why the machine was stopped from outside, if it was.
    pub(crate) stopped: Option<&'static str>,
}

/// Boots and waits for the guest's end; the console goes to `log` as it is written. What the guest writes to the disk
/// is forgotten.
///
/// # Errors
/// When qemu cannot be started or the log cannot be written.
pub(crate) fn boot(
    image: &Path,
    initramfs: &Path,
    log: &Path,
    disk: Option<&Path>,
) -> Result<Boot> {
    let started = Instant::now();
    let mut log_file =
        File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
    let mut machine =
        Machine(qemu(image, initramfs, disk).spawn().context("cannot start qemu-system-x86_64")?);
    let mut stdout = machine.0.stdout.take().context("qemu's stdout is a pipe")?;
    let (sender, receiver) = channel::<Vec<u8>>();
    let reader = std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = stdout.read(&mut chunk) {
            if sender.send(chunk[..length].to_vec()).is_err() {
                break;
            }
        }
    });

    let mut console = Vec::new();
    let stopped = loop {
        match receiver.recv_timeout(DEADLINE.saturating_sub(started.elapsed())) {
            Ok(chunk) => {
                log_file.write_all(&chunk).with_context(|| format!("{}", log.display()))?;
                console.extend(chunk);
            }
            Err(RecvTimeoutError::Disconnected) => break None,
            Err(RecvTimeoutError::Timeout) => break Some("it did not end before the deadline"),
        }
        if console.len() > CONSOLE_LIMIT {
            break Some("it wrote without end");
        }
    };
    drop(machine);
    drop(receiver);
    let _ = reader.join();
    let console = String::from_utf8_lossy(&console).into_owned();
    Ok(Boot { console, took: started.elapsed(), stopped })
}

/// Emulation without hardware help: it works in every container and virtual machine.
fn qemu(image: &Path, initramfs: &Path, disk: Option<&Path>) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-machine", "pc", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1536"])
        .args(["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"])
        .args(["-serial", "stdio", "-kernel"])
        .arg(image)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", KERNEL_OPTIONS])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if let Some(disk) = disk {
        let disk = format!("file={},format=raw,if=virtio,snapshot=on", disk.display());
        command.args(["-drive", &disk]);
    }
    command
}

/// A running machine; it does not outlive its value.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
