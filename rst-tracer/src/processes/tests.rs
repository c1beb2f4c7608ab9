//! This very process is found behind its own sockets, and behind nothing else.

use std::{
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
};

use rst_tracer_common::{
    event::Hook,
    notice::{Point, Task, notice_trait},
    wire::Address,
};

use super::{Processes, Seen, proc};
use crate::{
    correlate::{
        Joined, Rules,
        story::{Client, Server, Story},
    },
    event::{KnownBy, Process},
    source::Notice,
};

fn me() -> u32 {
    std::process::id()
}

fn own_netns() -> u32 {
    proc::netns(me()).unwrap()
}

fn start() -> Processes {
    Processes::start(Seen::now(own_netns(), false))
}

fn inode(socket: &impl AsRawFd) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().ino()
}

/// A story on the host of a server that listens on this port.
fn story(port: u16) -> Story {
    let mut story = Story::between(false, 51_234, port);
    (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
    story.by(Rules { netns: Some(own_netns()), ..Rules::default() })
}

fn completed(processes: &Processes, story: &mut Story) -> Joined {
    let mut joined = story.all().remove(0);
    processes.complete(&mut joined);
    joined
}

fn known(process: Option<&Process>) -> Option<(u32, KnownBy)> {
    process.map(|process| (process.pid, process.known_by))
}

#[test]
fn a_connection_older_than_the_tracer_has_its_owner() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut processes = start();
    let mut notice = story(443).statement(Point::RECEIVE_RESET, Server, "");
    notice.wire.inode = inode(&client);
    let process = processes.told(&notice);
    assert_eq!(known(process.as_ref()), Some((me(), KnownBy::SocketOwner)));
}

#[test]
fn a_connection_that_comes_later_is_found_with_its_listener() {
    let mut processes = start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let story = story(port);
    processes.told(&listener_notice(&story, inode(&listener), "LISTEN"));
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let mut notice = story.statement(Point::SEND_RESET, Server, "TCP_KEEPALIVE_TIMEOUT");
    (notice.wire.inode, notice.wire.netns) = (inode(&accepted), own_netns());
    let process = processes.told(&notice);
    assert_eq!(known(process.as_ref()), Some((me(), KnownBy::SocketOwner)));
}

#[test]
fn a_listener_older_than_the_tracer_tells_the_server_and_its_process() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let processes = start();
    let mut story = story(listener.local_addr().unwrap().port());
    story.say(Client, b"who are you").disown(Server);
    let joined = completed(&processes, &mut story);
    if processes.unseen > 0 {
        return eprintln!("skipped: no sock_diag here");
    }
    assert_eq!(joined.listens, Some(true));
    assert_eq!(known(joined.process.as_ref()), Some((me(), KnownBy::Listener)));
}

#[test]
fn a_listener_that_went_tells_the_server_but_no_process_after_a_while() {
    let mut processes = start();
    let mut story = story(443);
    processes.told(&listener_notice(&story, 0, "LISTEN"));
    processes.told(&listener_notice(&story, 0, "CLOSE"));
    story.wait(5_000).say(Client, b"still there?").disown(Server);
    let joined = completed(&processes, &mut story);
    assert_eq!(joined.listens, Some(true));
    assert_eq!(known(joined.process.as_ref()), None);
}

#[test]
fn the_task_that_closes_is_the_answer_and_has_the_name_of_its_process() {
    let mut processes = start();
    let mut notice = story(443).statement(Point::SEND_RESET, Server, "TCP_ABORT_ON_CLOSE");
    notice.state = Some("CLOSE".into());
    notice.wire.time_ns = crate::clock::monotonic_ns();
    notice.wire.task =
        Task { pid: me(), uid: 0, comm: *b"worker thread 1\0", ..Default::default() };
    let process = processes.told(&notice).unwrap();
    assert_eq!(known(Some(&process)), Some((me(), KnownBy::ActiveClose)));
    assert_eq!(Some(process.name), proc::name(me()));
    assert_eq!(process.executable.as_deref(), std::env::current_exe().unwrap().to_str());
    assert!(process.start.is_some() && process.entity_id.is_some());
}

#[test]
fn a_process_that_has_ended_keeps_the_name_that_the_kernel_knew() {
    let mut processes = start();
    let mut notice = story(443).statement(Point::SEND_RESET, Server, "TCP_ABORT_ON_CLOSE");
    notice.state = Some("CLOSE".into());
    let task = Task { pid: u32::MAX, uid: 33, comm: *b"nginx\0\0\0\0\0\0\0\0\0\0\0", cgroup: 0 };
    notice.wire.task = task;
    let process = processes.told(&notice).unwrap();
    assert_eq!((process.name.as_str(), process.uid), ("nginx", Some(33)));
    assert_eq!((process.executable, process.start, process.entity_id), (None, None, None));
}

#[test]
fn whoever_runs_in_softirq_is_not_named() {
    let mut processes = start();
    let mut story = story(443);
    story.handshake().say(Client, b"x");
    let answered = story.statement(Point::SEND_RESET, Server, "NO_SOCKET");
    let mut notice = story.about_last(answered, Client);
    notice.wire.task = Task { pid: me(), ..Default::default() };
    assert_eq!(processes.told(&notice), None);
    notice.wire.traits &= !notice_trait::TRIGGER;
    notice.reason = Some("TCP_KEEPALIVE_TIMEOUT".into());
    notice.state = Some("ESTABLISHED".into());
    assert_eq!(processes.told(&notice), None);
}

#[test]
fn a_reset_that_passes_through_belongs_to_no_process() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let processes = start();
    let mut story = story(listener.local_addr().unwrap().port());
    story.came_by = 3;
    story.handshake().abort(Server);
    let joined = completed(&processes, &mut story);
    assert_eq!((joined.listens, joined.process), (None, None));
}

fn listener_notice(story: &Story, inode: u64, state: &'static str) -> Notice {
    let mut notice = story.statement(Point::LISTENER, Server, "");
    notice.state = Some(state.into());
    notice.wire.inode = inode;
    notice.wire.netns = own_netns();
    notice.wire.src.address = Address::v4(0);
    notice.wire.task = Task { pid: me(), ..Default::default() };
    notice
}
