//! Why a live trace cannot start: exit code, and words that say what to do.

use std::{fs, os::unix::fs::PermissionsExt, os::unix::process::CommandExt, process::Command};

use rst_tracer_tests::{
    capture::Folder,
    skip::skipped,
    tracer::{Tracer, program, run},
};

const NOBODY: u32 = 65_534;

#[test]
fn an_unknown_interface_is_told_its_nearest_name_and_all_there_are() {
    let ended = run(&["trace", "-i", "lp"]);
    ended.assert_code(1);
    assert!(ended.said("no interface lp; did you mean lo? (there are: lo"), "{ended:#?}");
    assert!(ended.out.is_empty());
}

#[test]
fn a_glob_that_matches_nothing_is_told_all_there_are() {
    let ended = run(&["trace", "--interface", "nosuch*"]);
    ended.assert_code(1);
    assert!(ended.said("no interface matches nosuch* (there are: lo"), "{ended:#?}");
}

#[test]
fn an_object_that_is_none_is_named() {
    let folder = Folder::new();
    let missing = folder.path("missing.o").to_str().expect("UTF-8").to_owned();
    let ended = run(&["trace", "-i", "lo", "--bpf-object", &missing]);
    ended.assert_code(1);
    assert!(ended.said(&format!("cannot read the BPF object {missing}")), "{ended:#?}");
    let text = folder.file("text.o", b"not an object");
    let elf = program().to_str().expect("UTF-8");
    for none in [&text, elf] {
        let ended = run(&["trace", "-i", "lo", "--bpf-object", none]);
        ended.assert_code(1);
        let told = format!("cannot load the BPF object {none}: it is no BPF object of a tracer: ");
        assert!(ended.said(&told), "{ended:#?}");
    }
}

#[test]
fn without_capabilities_it_exits_77_and_names_those_that_are_missing_once() {
    if !nix::unistd::geteuid().is_root() {
        skipped("needs root to give up what root may");
        return;
    }
    // A copy where everybody may execute it; the build's folders may be for their owner only.
    let folder = Folder::new();
    let copy = folder.path("rst-tracer");
    fs::copy(program(), &copy).expect("copied");
    fs::set_permissions(folder.path(""), fs::Permissions::from_mode(0o755)).expect("opened");
    for verb in [&["trace", "-i", "lo"] as &[&str], &["doctor"]] {
        let mut command = Command::new(&copy);
        command.args(verb).uid(NOBODY).gid(NOBODY);
        let ended = Tracer::spawn(&mut command).wait();
        ended.assert_code(77);
        let told = [ended.out.clone(), ended.err.clone()].concat().join("\n");
        let missing = "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are missing";
        assert_eq!(told.matches(missing).count(), 1, "{ended:#?}");
    }
    // setpriv has been part of util-linux, which every Debian has, since 2016.
    for (kept, told) in [
        ("+bpf,+net_admin", "CAP_PERFMON is missing"),
        ("+bpf,+perfmon", "CAP_NET_ADMIN is missing"),
        ("+net_admin", "CAP_BPF and CAP_PERFMON are missing"),
    ] {
        let caps = format!("-all,{kept}");
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={NOBODY}")).args(["--clear-groups", "--inh-caps", &caps]);
        command.args(["--ambient-caps", &caps]).arg(&copy).args(["trace", "-i", "lo"]);
        let ended = Tracer::spawn(&mut command).wait();
        ended.assert_code(77);
        let said = ended.err.join("\n");
        assert_eq!(said.matches("missing").count(), 1, "{kept}: {said}");
        assert!(said.contains(&format!("not permitted to load BPF programs: {told};")), "{said}");
    }
}
