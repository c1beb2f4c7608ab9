//! What is left of root when everything is attached: of every thread, and that it is enough.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use nix::sys::signal::Signal;
use rst_tracer::demo::wait;
use rst_tracer_tests::{
    capture::Folder,
    tracer::{Tracer, run},
};
use serde_json::Value;

use crate::{
    net::{in_namespace, set_up, veth},
    resets::{refuse_on_loopback, refuse_through},
};

/// CAP_DAC_READ_SEARCH, CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_PERFMON, CAP_BPF.
const KEPT: u64 = 1 << 2 | 1 << 12 | 1 << 19 | 1 << 38 | 1 << 39;
const NOBODY: &str = "65534";

/// A line of the status of each thread of a tracer.
fn of_threads(tracer: &Tracer, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", tracer.pid())).expect("its threads");
    let value = |task: io::Result<fs::DirEntry>| {
        let status = fs::read_to_string(task.expect("a thread").path().join("status"));
        let status = status.expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.expect("such a line").trim().to_owned()
    };
    tasks.map(value).collect()
}

fn sets(tracer: &Tracer, name: &str) -> Vec<u64> {
    let sets = of_threads(tracer, name);
    sets.iter().map(|set| u64::from_str_radix(set, 16).expect("a set")).collect()
}

#[test]
fn root_becomes_nobody_with_five_capabilities_in_every_thread() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["-i", "lo"]);
        let threads = of_threads(&tracer, "Uid");
        assert!(threads.len() > 1, "a reader of /proc is there too");
        let ids = [NOBODY; 4].join("\t");
        for name in ["Uid", "Gid"] {
            assert!(of_threads(&tracer, name).iter().all(|line| *line == ids), "{name}");
        }
        assert!(of_threads(&tracer, "Groups").iter().all(String::is_empty));
        assert!(of_threads(&tracer, "NoNewPrivs").iter().all(|line| line == "1"));
        for (name, set) in
            [("CapEff", KEPT), ("CapPrm", KEPT), ("CapBnd", KEPT), ("CapInh", 0), ("CapAmb", 0)]
        {
            assert!(sets(&tracer, name).iter().all(|&has| has == set), "{name}");
        }
        let ended = tracer.interrupt();
        ended.assert_code(0);
        assert!(ended.said("now nobody (65534), with CAP_BPF CAP_DAC_READ_SEARCH"), "{ended:#?}");
    });
}

#[test]
fn another_user_can_be_named_or_none() {
    in_namespace(|| {
        set_up("lo");
        for (option, uid) in [("--user=4242", "4242"), ("--user=root", "0"), ("--no-drop", "0")] {
            let tracer = Tracer::trace(&["-i", "lo", option]);
            assert_eq!(of_threads(&tracer, "Uid")[0], [uid; 4].join("\t"), "{option}");
            let keeps_all = sets(&tracer, "CapEff")[0] & !KEPT != 0;
            assert_eq!(keeps_all, option == "--no-drop", "{option}");
            tracer.interrupt().assert_code(0);
        }
        let ended = run(&["trace", "-i", "lo", "--user", "nobody-of-this-name"]);
        ended.assert_code(1);
        assert!(ended.said("there is no user nobody-of-this-name"), "{ended:#?}");
    });
}

#[test]
fn the_threads_that_hear_strangers_confine_themselves_even_where_nothing_is_dropped() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["-i", "lo", "--no-drop", "--metrics-listen", "127.0.0.1:0"]);
        let count = |name, value: &str| {
            of_threads(&tracer, name).iter().filter(|line| *line == value).count()
        };
        // Landlock shows nowhere; it wants no_new_privs, which nobody else has set here.
        let all_are = || Ok(count("Name", "metrics") == 8 && count("NoNewPrivs", "1") == 8);
        wait::until("they are confined", all_are).expect("to be confined");
        tracer.interrupt().assert_code(0);
    });
}

#[test]
fn nobody_attaches_to_interfaces_that_appear_and_names_processes() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["--settle", "0s"]);
        refuse_on_loopback(1);
        tracer.out.await_count(1);
        veth("v0", "v1");
        for name in ["v0", "v1"] {
            let line = format!("{name}: ingress ");
            tracer.err.await_line(&line, |said| said.starts_with(&line));
        }
        refuse_through("v0", 5000);
        tracer.out.await_count(2);
        abort_a_connection();
        let lines = tracer.out.await_count(3);
        let event: Value = serde_json::from_str(&lines[2]).expect("JSON");
        assert_eq!(event["process"]["pid"], std::process::id(), "{event:#}");
        let ended = tracer.interrupt();
        ended.assert_code(0);
        ended.summary().assert_balanced();
    });
}

/// A connection of this process, which is root's and nobody else's, ends with a reset.
fn abort_a_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    let client = std::net::TcpStream::connect(address).expect("a connection");
    let (server, _) = listener.accept().expect("the other end");
    rst_tracer::demo::sockets::abort(server).expect("to abort");
    drop(client);
}

#[test]
fn a_folder_in_which_the_user_may_create_no_file_is_told_at_the_start() {
    in_namespace(|| {
        set_up("lo");
        let folder = Folder::new();
        let now = folder.path("events");
        let open = |mode| {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(folder.path(""), permissions).expect("its mode is set");
        };
        let output = ["--settle", "0s", "-o", now.to_str().expect("UTF-8")];
        let warning = |lines: &[String]| {
            lines.iter().any(|line| line.contains("this user may create no file there"))
        };
        open(0o755);
        let tracer = Tracer::trace(&output);
        assert!(warning(&tracer.err.so_far()));
        // It goes on with the file that it has.
        fs::rename(&now, folder.path("events.1")).expect("renamed");
        tracer.signal(Signal::SIGHUP);
        let told = "going on with the file that is open";
        tracer.err.await_line(told, |line| line.contains(told));
        // Whoever rotates creates the file for the user.
        fs::write(&now, "").expect("created");
        std::os::unix::fs::chown(&now, Some(65_534), None).expect("given away");
        tracer.signal(Signal::SIGHUP);
        assert_writes_into(&now);
        tracer.interrupt().assert_code(0);

        open(0o777);
        let tracer = Tracer::trace(&output);
        assert!(!warning(&tracer.err.so_far()));
        tracer.interrupt().assert_code(0);
    });
}

fn assert_writes_into(path: &Path) {
    wait::until("an event", || {
        refuse_on_loopback(1);
        Ok(fs::metadata(path)?.len() > 0)
    })
    .expect("written");
}
