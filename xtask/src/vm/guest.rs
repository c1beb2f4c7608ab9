//! What runs in the guest: one table of commands, the initramfs that carries them out, and the
//! reading of what it said on its console.
//!
//! Comes in: our static binary, the kernel's modules, the table. Goes out: an initramfs; later the
//! outcome of each command.

use super::cpio::Archive;
use crate::workspace::read;
use anyhow::{Context, Result};
use std::path::Path;

/// Seconds a command may take in the guest (emulated, so about ten times slower than here).
const COMMAND_TIMEOUT_S: u32 = 240;
/// Where a kernel object of one's own lies in the guest.
const OBJECT_PATH: &str = "/object.bpf.o";

/// A command to run in the guest.
pub(crate) struct Step {
    /// For busybox's shell.
    pub(crate) command: String,
    /// Exit codes that mean "works, with less": the kernel lacks something.
    pub(crate) degraded_exits: &'static [i32],
    /// Beginnings of lines worth showing in the table at the end.
    pub(crate) telling: &'static [&'static str],
}

/// A line of the table: the command, whether it takes `--bpf-object`, and how to read it.
struct Row {
    command: &'static str,
    takes_object: bool,
    degraded_exits: &'static [i32],
    telling: &'static [&'static str],
}

/// Every command that every kernel must carry out. Exit 0 is expected.
const COMMANDS: &[Row] = &[
    Row {
        command: "uname -rvm && test -r /sys/kernel/btf/vmlinux && echo btf: present",
        takes_object: false,
        degraded_exits: &[],
        telling: &["btf:"],
    },
    Row {
        command: "rst-tracer doctor",
        takes_object: false,
        // 69: the kernel lacks a feature, and doctor said which.
        degraded_exits: &[69],
        telling: &["summary:", "doctor:", "degraded"],
    },
    // The tracepoints that all of these kernels have, and one that may carry no reason yet.
    Row {
        command: "rst-tracer doctor > /tmp/doctor; grep kfree_skb /tmp/doctor; for point in \
                  tcp_send_reset tcp_receive_reset inet_sock_set_state; do \
                  grep \"ok $point \" /tmp/doctor || exit 1; done",
        takes_object: false,
        degraded_exits: &[],
        telling: &["tcp_", "inet_", "kfree_"],
    },
    // As it is run by default: root becomes nobody with five capabilities, and traces.
    Row {
        command: "rst-tracer -i lo -f json -o /tmp/resets 2> /tmp/said & \
                  until grep -q Ctrl-C /tmp/said; do sleep 0.2; done; status=/proc/$!/status; \
                  nc 127.0.0.1 9; until [ -s /tmp/resets ]; do sleep 0.2; done; \
                  echo $(grep -E '^(Uid|CapEff)' $status); \
                  grep -q '^Uid:.65534.65534.65534.65534' $status && \
                  grep -q '^CapEff:.000000c000081004' $status && \
                  grep -q '^CapBnd:.000000c000081004' $status && kill -INT $! && wait $! && \
                  grep -q '\"cause\":\"closed_port\"' /tmp/resets",
        takes_object: false,
        degraded_exits: &[],
        telling: &["Uid:"],
    },
    // What is not wanted is filtered in the kernel, and counted.
    Row {
        command: "rst-tracer -i lo --port 80 --net 127.0.0.0/8 -f json -o /tmp/wanted 2> /tmp/told & \
                  until grep -q Ctrl-C /tmp/told; do sleep 0.2; done; \
                  nc 127.0.0.1 9; nc 127.0.0.1 10; nc 127.0.0.1 80; \
                  until [ -s /tmp/wanted ]; do sleep 0.2; done; \
                  kill -INT $! && wait $!; cat /tmp/told; \
                  grep -q ' 2 filtered' /tmp/told && [ $(grep -c '\"port\":80}' /tmp/wanted) = 1 ] && \
                  [ $(wc -l < /tmp/wanted) = 1 ]",
        takes_object: false,
        degraded_exits: &[],
        telling: &["summary:"],
    },
    // Where the kernel has Landlock, the threads that hear strangers are confined, and answer all the same.
    Row {
        command: "mount -t securityfs securityfs /sys/kernel/security; lsm=$(cat /sys/kernel/security/lsm); \
                  RUST_LOG=debug rst-tracer -i lo --metrics-listen 127.0.0.1:9464 -o /tmp/none 2> /tmp/heard & \
                  until grep -q Ctrl-C /tmp/heard; do sleep 0.2; done; \
                  wget -q -O /tmp/metrics http://127.0.0.1:9464/metrics; kill -INT $! && wait $!; \
                  echo $(grep -m 1 -o 'serves metrics: .*' /tmp/heard), lsm $lsm; \
                  grep -q '^rst_tracer_' /tmp/metrics && case ,$lsm, in \
                  *,landlock,*) grep -q 'serves metrics: Files' /tmp/heard;; \
                  *) grep -q 'serves metrics: Not' /tmp/heard;; esac",
        takes_object: false,
        degraded_exits: &[],
        telling: &["serves metrics:"],
    },
    // The kernel itself names the task that closed, and takes the XDP program.
    Row {
        command: "rst-tracer demo --at server --json > /tmp/events 2> /tmp/shown; status=$?; cat /tmp/shown; \
                  echo kernel: $(grep -c '\"known_by\":\"active_close\"' /tmp/events) closers named; \
                  grep -q '\"known_by\":\"active_close\"' /tmp/events && \
                  grep -q 'ingress native XDP' /tmp/shown && [ $status = 0 ]",
        takes_object: false,
        degraded_exits: &[],
        telling: &["kernel:", "demo:"],
    },
    Row {
        command: "rst-tracer demo",
        takes_object: true,
        degraded_exits: &[],
        telling: &["demo:", "degraded"],
    },
];

/// The table's steps; with an object of one's own, those that take one are given it.
pub(crate) fn steps(own_object: bool) -> Vec<Step> {
    let step = |row: &Row| Step {
        command: if own_object && row.takes_object {
            format!("{} --bpf-object {OBJECT_PATH}", row.command)
        } else {
            row.command.to_owned()
        },
        degraded_exits: row.degraded_exits,
        telling: row.telling,
    };
    COMMANDS.iter().map(step).collect()
}

/// A step for a command given by hand: every line is telling.
pub(crate) fn one_step(command: &str) -> Vec<Step> {
    vec![Step { command: command.to_owned(), degraded_exits: &[], telling: &[""] }]
}

/// The initramfs that runs `steps`.
///
/// # Errors
/// When a file that goes into it cannot be read.
pub(crate) fn initramfs(
    binary: &Path,
    object: Option<&Path>,
    modules: &[(String, Vec<u8>)],
    steps: &[Step],
) -> Result<Vec<u8>> {
    let mut archive = base(modules, include_bytes!("init.sh"))?;
    archive.file("bin/rst-tracer", &read(binary)?);
    if let Some(object) = object {
        archive.file(OBJECT_PATH.trim_start_matches('/'), &read(object)?);
    }
    archive.file("commands", script(steps).as_bytes());
    Ok(archive.finish())
}

/// Busybox, the modules, and what runs first.
///
/// # Errors
/// When there is no busybox.
pub(super) fn base(modules: &[(String, Vec<u8>)], init: &[u8]) -> Result<Archive> {
    let mut archive = Archive::default();
    for directory in ["bin", "dev", "proc", "sys", "tmp", "run", "etc", "modules"] {
        archive.directory(directory);
    }
    archive.file("bin/busybox", &read(Path::new("/bin/busybox")).context("busybox-static")?);
    let mut order = String::new();
    for (name, contents) in modules {
        order.push_str(name);
        order.push('\n');
        archive.file(&format!("modules/{name}"), contents);
    }
    archive.file("modules/order", order.as_bytes());
    archive.file("init", init);
    Ok(archive)
}

/// Each command between two marks; the second carries its exit code.
pub(super) fn script(steps: &[Step]) -> String {
    let marked = |(number, step): (usize, &Step)| {
        let command = crate::command::quoted(&step.command);
        format!(
            "echo '@@ begin {number}'\n\
             timeout -s KILL {COMMAND_TIMEOUT_S} sh -c {command} 2>&1\n\
             code=$?; echo; echo \"@@ exit {number} $code\"\n"
        )
    };
    steps.iter().enumerate().map(marked).collect()
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Exit 0, nothing said to be missing.
    Pass,
    /// It works, with less, and says so.
    Degraded,
    /// Another exit code, or the guest never came to its end.
    Fail,
}

/// The outcome of a step.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit code; `None` when the guest did not get that far.
    pub(crate) exit: Option<i32>,
    pub(crate) verdict: Verdict,
    /// The telling lines.
    pub(crate) lines: Vec<String>,
}

/// Reads the outcomes of `steps` from what the guest wrote on its console.
pub(crate) fn outcomes(console: &str, steps: &[Step]) -> Vec<Outcome> {
    let read = |(number, step): (usize, &Step)| outcome(console, number, step);
    steps.iter().enumerate().map(read).collect()
}

fn outcome(console: &str, number: usize, step: &Step) -> Outcome {
    let begin = format!("@@ begin {number}");
    let exit_mark = format!("@@ exit {number} ");
    let mut exit = None;
    let mut lines = Vec::new();
    let mut degraded = false;
    for line in console.lines().map(str::trim_end).skip_while(|line| *line != begin).skip(1) {
        if let Some(code) = line.strip_prefix(&exit_mark) {
            exit = code.parse().ok();
            break;
        }
        degraded |= line.to_ascii_lowercase().contains("degraded");
        if !line.is_empty() && step.telling.iter().any(|start| line.starts_with(start)) {
            lines.push(line.to_owned());
        }
    }
    let verdict = match exit {
        Some(0) if degraded => Verdict::Degraded,
        Some(0) => Verdict::Pass,
        Some(code) if step.degraded_exits.contains(&code) => Verdict::Degraded,
        _ => Verdict::Fail,
    };
    Outcome { exit, verdict, lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(degraded_exits: &'static [i32]) -> Step {
        Step { command: "x".to_owned(), degraded_exits, telling: &["demo:"] }
    }

    #[test]
    fn exit_codes_and_telling_lines_are_read_from_between_the_marks() {
        let console = "boot noise\r\n@@ begin 0\r\ndemo: 12 of 12\r\nchatter\r\n\r\n@@ exit 0 0\r\n\
                       @@ begin 1\r\ndemo: nothing\r\n@@ exit 1 69\r\n";
        let outcomes = outcomes(console, &[step(&[]), step(&[69]), step(&[])]);
        assert_eq!(outcomes[0].lines, ["demo: 12 of 12"]);
        let verdicts: Vec<_> = outcomes.iter().map(|outcome| outcome.verdict).collect();
        assert_eq!(verdicts, [Verdict::Pass, Verdict::Degraded, Verdict::Fail]);
        assert_eq!(outcomes[2].exit, None, "the guest never came to the third");
    }

    #[test]
    fn the_script_reports_the_exit_code_of_the_command_and_survives_quotes() {
        let steps = one_step("echo \"it's\"; exit 7");
        let script = script(&steps);
        let console = std::process::Command::new("sh").arg("-c").arg(script).output();
        let console = String::from_utf8(console.expect("sh runs").stdout).expect("UTF-8");
        let outcome = outcome(&console, 0, &steps[0]);
        assert_eq!((outcome.exit, outcome.lines), (Some(7), vec!["it's".to_owned()]));
    }

    #[test]
    fn an_exit_code_that_is_not_tolerated_fails() {
        assert_eq!(outcome("@@ begin 0\n@@ exit 0 69\n", 0, &step(&[])).verdict, Verdict::Fail);
        assert_eq!(outcome("@@ begin 0\n@@ exit 0 1\n", 0, &step(&[69])).verdict, Verdict::Fail);
    }

    #[test]
    fn a_success_that_says_it_is_degraded_is_not_a_plain_pass() {
        let console = "@@ begin 0\nDegraded: no kernel evidence\n@@ exit 0 0\n";
        assert_eq!(outcome(console, 0, &step(&[])).verdict, Verdict::Degraded);
    }

    #[test]
    fn an_object_of_ones_own_reaches_the_demo_and_nothing_else() {
        let with: Vec<String> = steps(true).into_iter().map(|step| step.command).collect();
        assert!(with.iter().any(|c| c.starts_with("rst-tracer demo --bpf-object /")));
        assert_eq!(with.iter().filter(|c| c.contains("--bpf-object")).count(), 1);
        assert!(steps(false).iter().all(|step| !step.command.contains("--bpf-object")));
    }
}
