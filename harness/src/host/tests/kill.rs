//! The kill-proof rule: SIGKILL leaves nothing of a process and its real stack.
#![expect(clippy::disallowed_methods, reason = "a kill and its consequences happen in real time")]

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::fixture::{OnWrite, OneFile, Recorder, attach, ready, unique, world};
use crate::block::{Bio, BlockDevice, flush, write_at};
use crate::event::Op;
use crate::host::{Child, FuseMount, Job, Leftover, Running, Snapshot};
use crate::sched::SplitMix64;
use crate::units::Sectors;

/// How long a killed process, its devices and its mounts may take to disappear.
const GONE: Duration = Duration::from_secs(1);
const READY: Duration = Duration::from_secs(10);
const KILLS: u32 = 25;

fn job(role: &str) -> Job {
    Job::new(["--exact", &format!("host::tests::kill::{role}"), "--nocapture", "--test-threads=1"])
}

fn loop_of(pid: u32) -> Option<Leftover> {
    let mine = format!("reclaimdep-{pid}-");
    let found = Snapshot::default().diff(&Snapshot::take());
    found.into_iter().find(|left| left.to_string().contains(&mine))
}

/// Kills `child` and checks that in time nothing of it is left: process, loop device, connection.
#[track_caller]
fn kill_and_check(mut child: Running) {
    let (pid, connections) = (child.pid(), child.connections().to_vec());
    let deadline = Instant::now() + GONE;
    child.kill();
    let ended = child.wait_until(deadline).expect("the child speaks the protocol");
    assert!(ended, "process {pid} survives SIGKILL: {:#?}", crate::host::stacks(pid));
    while let Some(left) = loop_of(pid) {
        assert!(Instant::now() < deadline, "{left} is left of process {pid}");
        std::thread::yield_now();
    }
    while let Some(connection) = connections.iter().find(|connection| connection.exists()) {
        assert!(Instant::now() < deadline, "FUSE connection {connection} is left of process {pid}");
        std::thread::yield_now();
    }
}

/// A child: a write that its filesystem never answers.
#[test]
fn role_blocked_in_a_write() {
    let Some(child) = Child::from_env().expect("supervised") else {
        return;
    };
    let file = unique("blocked");
    let (entered, entering) = channel();
    let entered = Mutex::new(entered);
    let never: OnWrite = Box::new(move |_, _| {
        entered.lock().expect("no handler panics").send(()).expect("the test listens");
        loop {
            std::thread::park();
        }
    });
    let mount =
        FuseMount::serve("blocked", OneFile::new(&file, never)).expect("the mount is served");
    child.report_connection(mount.connection()).expect("reported");
    world(Recorder::default(), |sched| {
        let device = attach(sched, &mount, &file);
        for number in 0..4 {
            let sector = Sectors(number * 8);
            device.submit(Bio::new(Op::Write, sector, vec![1; 4096], Box::new(|_, _| {})));
        }
        entering.recv().expect("the handler runs");
        child.send(b"blocked").expect("sent");
        loop {
            std::thread::park();
        }
    });
}

/// A child that breaks the rule: it waits for its own loop device beside its `/dev/fuse`.
#[test]
fn role_waits_in_the_wrong_table() {
    let Some(child) = Child::from_env().expect("supervised") else {
        return;
    };
    let file = unique("wrong");
    let (entered, entering) = channel();
    let entered = Mutex::new(entered);
    let never: OnWrite = Box::new(move |_, _| {
        entered.lock().expect("no handler panics").send(()).expect("the test listens");
        loop {
            std::thread::park();
        }
    });
    let mount = FuseMount::serve("wrong", OneFile::new(&file, never)).expect("the mount is served");
    child.report_connection(mount.connection()).expect("reported");
    world(Recorder::default(), |sched| {
        let device = attach(sched, &mount, &file);
        let path = format!("/dev/loop{}", device.number());
        let node = std::fs::OpenOptions::new().write(true).open(path).expect("the node opens");
        std::thread::spawn(move || {
            let _ = std::os::unix::fs::FileExt::write_all_at(&node, &[1; 4096], 0)
                .and_then(|()| node.sync_all());
        });
        entering.recv().expect("the handler runs");
        child.send(b"blocked").expect("sent");
        loop {
            std::thread::park();
        }
    });
}

/// A child: builds stacks, uses them and tears them down until it is killed.
#[test]
fn role_busy() {
    let Some(child) = Child::from_env().expect("supervised") else {
        return;
    };
    let file = unique("busy");
    child.send(b"started").expect("sent");
    loop {
        let mount = FuseMount::serve("busy", OneFile::new(&file, Box::new(|_, _| Ok(()))))
            .expect("the mount is served");
        world(Recorder::default(), |sched| {
            let device = attach(sched, &mount, &file);
            for round in 0..8 {
                write_at(&device, round * 65536, &[1; 65536]).expect("written");
            }
            flush(&device).expect("flushed");
            device.stop();
        });
        mount.shutdown().expect("nothing is open");
    }
}

#[test]
fn a_process_killed_in_a_blocked_write_leaves_nothing() {
    if !ready() {
        return;
    }
    for _ in 0..KILLS {
        let mut child = Running::start(&job("role_blocked_in_a_write")).expect("started");
        let blocked =
            child.wait_for_result(Instant::now() + READY).expect("the child speaks the protocol");
        assert_eq!(blocked, Some(&b"blocked"[..]));
        assert!(loop_of(child.pid()).is_some(), "the blocked child has a loop device");
        kill_and_check(child);
    }
}

#[test]
fn a_process_killed_at_any_moment_leaves_nothing() {
    if !ready() {
        return;
    }
    let mut random = SplitMix64(7);
    for _ in 0..KILLS {
        let mut child = Running::start(&job("role_busy")).expect("started");
        child
            .wait_for_result(Instant::now() + READY)
            .expect("the child speaks the protocol")
            .expect("it starts");
        let moment = Duration::from_micros(random.below(20_000).into());
        let ended =
            child.wait_until(Instant::now() + moment).expect("the child speaks the protocol");
        assert!(!ended, "the child runs until it is killed");
        kill_and_check(child);
    }
}

/// The counter-example: without the rule the two tests above would fail.
#[test]
fn a_process_that_breaks_the_rule_is_stuck_until_its_connection_is_aborted() {
    if !ready() {
        return;
    }
    let mut child = Running::start(&job("role_waits_in_the_wrong_table")).expect("started");
    let blocked =
        child.wait_for_result(Instant::now() + READY).expect("the child speaks the protocol");
    assert_eq!(blocked, Some(&b"blocked"[..]));
    child.kill();
    let ended = child
        .wait_until(Instant::now() + Duration::from_millis(200))
        .expect("the child speaks the protocol");
    let connections = child.connections().to_vec();
    for connection in connections {
        connection.abort().expect("aborted");
    }
    assert!(!ended, "SIGKILL alone cannot end it");
    kill_and_check(child);
}
