//! How a supervised run can end.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::fixture::{OnWrite, OneFile, Recorder, attach_with, ready, unique, world};
use crate::block::write_at;
use crate::host::supervise::Outcome;
use crate::host::{Child, FuseMount, IoEngine, IoOptions, Job};

fn run(role: &str, limit: Duration) -> Outcome {
    let name = format!("host::tests::supervised::{role}");
    let mut job = Job::new(["--exact", &name, "--nocapture", "--test-threads=1"]);
    job.deadline = limit;
    job.run().expect("supervised")
}

const AMPLE: Duration = Duration::from_secs(10);

#[test]
fn role_finish() {
    if let Some(child) = Child::from_env().expect("supervised") {
        child.send(&[7; 300_000]).expect("sent");
    }
}

#[test]
fn role_die() {
    if let Some(child) = Child::from_env().expect("supervised") {
        child.send(b"half").expect("sent");
        panic!("as planned");
    }
}

#[test]
fn role_say_nothing() {
    drop(Child::from_env().expect("supervised"));
}

/// Writes to a device whose filesystem waits for ever.
#[test]
fn role_hang() {
    let Some(child) = Child::from_env().expect("supervised") else {
        return;
    };
    let file = unique("hang");
    let (entered, entering) = channel::<()>();
    let entering = Mutex::new(entering);
    let never: OnWrite = Box::new(move |_, _| {
        let _ = entering.lock().expect("no handler panics").recv();
        Ok(())
    });
    let mount = FuseMount::serve("hang", OneFile::new(&file, never)).expect("the mount is served");
    child.report_connection(mount.connection()).expect("reported");
    world(Recorder::default(), |sched| {
        // A thread that waits in the kernel is what the description is looked through for.
        let io = IoOptions { engine: Some(IoEngine::Threads), ..IoOptions::default() };
        let device = attach_with(sched, &mount, &file, io);
        let _ = write_at(&device, 0, &[1; 4096]);
    });
    drop(entered);
}

#[test]
fn a_result_that_fills_the_pipe_many_times_arrives_whole() {
    assert_eq!(run("role_finish", AMPLE), Outcome::Finished { bytes: vec![7; 300_000] });
}

#[test]
fn a_panic_is_a_death_with_its_last_words_and_what_was_sent() {
    let Outcome::Died { how, stderr, bytes } = run("role_die", AMPLE) else {
        panic!("it should have died");
    };
    assert_eq!(how, "exit status: 101");
    assert!(stderr.contains("as planned"), "{stderr}");
    assert_eq!(bytes.as_deref(), Some(&b"half"[..]));
}

#[test]
fn an_end_without_a_result_is_a_death() {
    let outcome = run("role_say_nothing", AMPLE);
    assert!(
        matches!(&outcome, Outcome::Died { how, .. } if how == "exit without a result"),
        "{outcome:?}"
    );
}

#[test]
fn a_hang_is_described_and_ended() {
    if !ready() {
        return;
    }
    let Outcome::Stuck { stacks, gone, .. } = run("role_hang", Duration::from_millis(500)) else {
        panic!("it should hang");
    };
    assert!(gone, "SIGKILL ends it");
    let waits_for_loop =
        |stack: &crate::host::ThreadStack| stack.state == 'D' && stack.comm == "loop0";
    assert!(stacks.iter().any(waits_for_loop), "{stacks:#?}");
}
