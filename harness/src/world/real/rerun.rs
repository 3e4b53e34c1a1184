//! How a process comes back to the same run of the same test.
//!
//! Key type: [`Role`]. The parent passes the arguments that select the test and, in a variable, the
//! number of the run within it. The child counts its loop-tier runs: the ones before the one that
//! is asked for take place unsupervised, so that code between them sees their reports.
//!
//! Each test has a count of its own, by name: a process of libtest runs many tests on one thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;

use super::super::spec::Spec;
use crate::error::{Error, Result};
use crate::host::{Child, Job, thread_name};
use crate::sched::SpinLock;
use crate::variables::{self, CHILD_RUN};

/// What this process has to do about a run of the loop tier.
pub(super) enum Role {
    /// Start a child with this job.
    Parent(Job),
    /// Run it and send the report.
    Child(Child),
    /// Run it unsupervised: this process is the child for a later run of the same test.
    Earlier,
}

/// This process's side of the channel to its supervisor, until the run that it is for.
static SUPERVISED: SpinLock<Option<Child>> = SpinLock::new(None);

thread_local! {
    /// How many loop-tier runs each test has had.
    static RUNS: RefCell<BTreeMap<String, u32>> = const { RefCell::new(BTreeMap::new()) };
}

/// How many loop-tier runs this test had before; counts this one.
fn count(test: &str) -> u32 {
    RUNS.with_borrow_mut(|runs| {
        let next = runs.entry(test.to_owned()).or_insert(0);
        *next += 1;
        *next - 1
    })
}

/// The role of this process in the run that `spec` describes.
pub(super) fn role(spec: &Spec) -> Result<Role> {
    let test = test_name(spec);
    // Arguments that the test gives lead to this run and no other.
    let run = if spec.rerun.is_some() { 0 } else { count(test.as_deref().unwrap_or_default()) };
    let Some(wanted) = variables::child_run()? else {
        return Ok(Role::Parent(job(spec, test, run)));
    };
    // Before anything runs here: without a supervisor nothing would run supervised.
    let mut supervised = SUPERVISED.lock();
    if supervised.is_none() {
        *supervised = Child::from_env()?;
    }
    if supervised.is_none() {
        return Err(Error::misuse(format!(
            "{CHILD_RUN} is set, but this process has no supervisor"
        ))
        .advice("the loop tier sets it for a process that it starts; unset it"));
    }
    if run < wanted {
        return Ok(Role::Earlier);
    }
    let child = supervised.take();
    Ok(Role::Child(child.expect("the supervisor was found above")))
}

fn job(spec: &Spec, test: Option<String>, run: u32) -> Job {
    let own = || std::env::args_os().skip(1).collect();
    let args: Vec<OsString> = match (&spec.rerun, test) {
        (Some(args), _) => args.clone(),
        (None, Some(test)) => [test.as_str(), "--exact", "--include-ignored", "--nocapture"]
            .map(OsString::from)
            .to_vec(),
        (None, None) => own(),
    };
    let mut job = Job::new(args);
    // The process has the same deadline inside, and should be the one that tells.
    job.deadline += spec.deadline.unwrap_or_default();
    job.env.push((CHILD_RUN.into(), run.to_string().into()));
    job
}

/// The libtest name of the running test: given by the attribute, else the name of the thread that
/// libtest runs it on.
fn test_name(spec: &Spec) -> Option<String> {
    if spec.rerun.is_some() {
        return None;
    }
    spec.test.clone().or_else(|| thread_name().filter(|name| name != "main"))
}
