//! What a service manager hears, and the unit that is shipped for it.

use std::{
    fs,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::PermissionsExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::{sys::signal::Signal, time::ClockId};
use rst_tracer::demo::wait;
use rst_tracer_tests::{
    capture::Folder,
    skip::skipped,
    tracer::{Tracer, command},
};

use crate::{
    net::{in_namespace, set_up},
    resets::refuse_on_loopback,
};

/// A manager that listens.
struct Manager {
    socket: UnixDatagram,
    at: PathBuf,
    _folder: Option<Folder>,
}

impl Manager {
    fn new() -> Self {
        let folder = Folder::new();
        let at = folder.path("notify");
        let socket = UnixDatagram::bind(&at).expect("a socket");
        // As systemd's: anybody may write.
        for (path, mode) in [(folder.path(""), 0o755), (at.clone(), 0o777)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode is set");
        }
        Self::at(socket, at, Some(folder))
    }

    /// One without a file: systemd's in a container, or that of another manager.
    fn without_a_file() -> Self {
        let name = format!("rst-tracer-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("a socket");
        Self::at(socket, format!("@{name}").into(), None)
    }

    fn at(socket: UnixDatagram, at: PathBuf, folder: Option<Folder>) -> Self {
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        Self { socket, at, _folder: folder }
    }

    fn start(&self, arguments: &[&str], watchdog: Duration) -> Tracer {
        let mut command = command(&[&["trace", "-i", "lo", "--settle", "0s"], arguments].concat());
        command.env("NOTIFY_SOCKET", &self.at);
        command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        Tracer::spawn(&mut command)
    }

    /// The next message that is this, or begins with it; others are passed over.
    fn await_message(&self, wanted: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).expect("a message in time");
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.starts_with(wanted) {
                return message;
            }
        }
    }
}

fn monotonic_usec() -> u64 {
    let now = nix::time::clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    u64::try_from(Duration::from(now).as_micros()).expect("a small number")
}

#[test]
fn a_manager_without_a_file_hears_the_same() {
    in_namespace(|| {
        set_up("lo");
        let manager = Manager::without_a_file();
        let tracer = manager.start(&[], Duration::from_millis(400));
        assert_eq!(manager.await_message("READY=1"), "READY=1\n");
        assert_eq!(manager.await_message("WATCHDOG=1"), "WATCHDOG=1\n");
        tracer.interrupt().assert_code(0);
        assert_eq!(manager.await_message("STOPPING=1"), "STOPPING=1\n");
    });
}

#[test]
fn the_manager_hears_of_the_start_of_life_of_a_reload_and_of_the_end() {
    in_namespace(|| {
        set_up("lo");
        let manager = Manager::new();
        let tracer = manager.start(&[], Duration::from_millis(400));
        assert_eq!(manager.await_message("READY=1"), "READY=1\n");
        assert_eq!(manager.await_message("STATUS="), "STATUS=tracing one interface; 0 events\n");
        for _ in 0..3 {
            assert_eq!(manager.await_message("WATCHDOG=1"), "WATCHDOG=1\n");
        }
        // Without an output file HUP would be the end, were there no manager.
        let before = monotonic_usec();
        tracer.signal(Signal::SIGHUP);
        let reloading = manager.await_message("RELOADING=1\nMONOTONIC_USEC=");
        let time = reloading.trim_end().rsplit('=').next().and_then(|text| text.parse().ok());
        let time: u64 = time.expect("a time");
        assert!((before..=monotonic_usec()).contains(&time), "{before} {time}");
        manager.await_message("READY=1");
        refuse_on_loopback(1);
        tracer.out.await_count(1);
        tracer.signal(Signal::SIGTERM);
        manager.await_message("STOPPING=1");
        tracer.wait().assert_code(0);
    });
}

#[test]
fn a_tracer_that_cannot_start_never_is_ready() {
    in_namespace(|| {
        let manager = Manager::new();
        let ended = manager.start(&["-i", "no-such", "--strict"], Duration::from_secs(1)).wait();
        ended.assert_code(1);
        manager.socket.set_nonblocking(true).expect("set");
        assert!(manager.socket.recv(&mut [0; 64]).is_err(), "nothing was said");
    });
}

#[test]
fn a_manager_that_has_gone_is_no_reason_to_stop() {
    in_namespace(|| {
        set_up("lo");
        let manager = Manager::new();
        let tracer = manager.start(&[], Duration::from_millis(200));
        manager.await_message("READY=1");
        drop(manager);
        refuse_on_loopback(1);
        tracer.out.await_count(1);
        tracer.interrupt().assert_code(0);
    });
}

#[test]
fn logrotate_renames_the_file_and_no_event_is_lost() {
    if Command::new("logrotate").arg("--version").output().is_err() {
        return skipped("there is no logrotate");
    }
    in_namespace(|| {
        set_up("lo");
        let folder = Folder::new();
        let logs = folder.path("logs");
        fs::create_dir(&logs).expect("a folder");
        for path in [folder.path(""), logs.clone()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode is set");
        }
        // As the folder of a service: its user's own.
        std::os::unix::fs::chown(&logs, Some(65_534), None).expect("given away");
        let events = logs.join("events.jsonl");
        let output = ["--settle", "0s", "--output", events.to_str().expect("UTF-8")];
        let tracer = Tracer::trace(&output);
        let rule = fs::read_to_string(contrib("logrotate/rst-tracer")).expect("the rule");
        let hangup = "systemctl kill --signal=HUP rst-tracer.service";
        assert!(rule.contains(hangup));
        let rule = rule
            .replace("/var/log/rst-tracer", logs.to_str().expect("UTF-8"))
            .replace(hangup, &format!("kill -HUP {}", tracer.pid()));
        let rule = folder.file("rule", rule.as_bytes());
        fs::set_permissions(&rule, fs::Permissions::from_mode(0o644)).expect("its mode is set");
        let lines = |path: &Path| fs::read_to_string(path).map_or(0, |text| text.lines().count());
        let before = logs.join("events.jsonl.1");
        for (resets, kept) in [(1, 0), (2, 1)] {
            refuse_on_loopback(resets);
            wait::until("the events", || Ok(lines(&events) == resets)).expect("written");
            let state = folder.path("state");
            let rotated = Command::new("logrotate")
                .args(["--force", "--state"])
                .arg(state)
                .arg(&rule)
                .output();
            let rotated = rotated.expect("it runs");
            assert!(rotated.status.success() && rotated.stderr.is_empty(), "{rotated:?}");
            wait::until("a new file", || Ok(events.exists())).expect("opened anew");
            assert_eq!((lines(&before), lines(&events)), (resets, 0));
            assert_eq!(logs.join("events.jsonl.2.gz").exists(), kept == 1);
        }
        let ended = tracer.interrupt();
        ended.assert_code(0);
        assert_eq!(ended.summary().count("events"), 3);
    });
}

/// Measured with systemd 252; less is better.
const EXPOSURE: f64 = 2.4;

fn contrib(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib").join(file)
}

#[test]
fn the_unit_is_valid_and_no_more_exposed_than_it_was() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skipped("there is no systemd-analyze");
    }
    // Programs and manual pages are not installed here; all else must be known.
    let folder = Folder::new();
    let text = fs::read_to_string(contrib("systemd/rst-tracer.service")).expect("the unit");
    let here = text.replace("/usr/bin/rst-tracer", "/bin/true").replace("man:rst-tracer(8) ", "");
    let unit = folder.file("rst-tracer.service", here.as_bytes());
    let verified = Command::new("systemd-analyze").args(["verify", &unit]).output();
    let verified = verified.expect("it runs");
    let told = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && told.is_empty(), "{told}");

    let security = ["security", "--offline=yes", "--no-pager", &unit];
    let security = Command::new("systemd-analyze").args(security).output().expect("it runs");
    let told = String::from_utf8_lossy(&security.stdout);
    let (_, score) =
        told.split_once("Overall exposure level for rst-tracer.service: ").expect("a score");
    let score: f64 =
        score.split(' ').next().and_then(|score| score.parse().ok()).expect("a number");
    println!("exposure {score}");
    assert!(score <= EXPOSURE, "{told}");
}
