//! How a process comes back to the same run of the same test.
//!
//! Key types: [`Role`]. The parent passes the arguments that select the test and, in a variable,
//! the number of the run within it. The child counts its loop-tier runs: those before the one that
//! is asked for take place unsupervised, so that code between them sees their reports.
//!
//! The count is kept for each test, by name: a process of libtest runs many on one thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;

use super::super::builder::Builder;
use crate::error::{Error, Result};
use crate::host::{Child, Job, thread_name};

/// Which run of its test the child is for, from 0.
const RUN_ENV: &str = "RECLAIMDEP_CHILD_RUN";

/// What this process does about a run of the loop tier.
pub(super) enum Role {
    /// Starts a child with this job.
    Parent(Job),
    /// Runs it and sends the report.
    Child(Child),
    /// Is a child for a later run of this test.
    OnTheWay,
}

thread_local! {
    static RUNS: RefCell<BTreeMap<String, u32>> = const { RefCell::new(BTreeMap::new()) };
}

/// How often this test came to a loop-tier run before.
fn count(test: &str) -> u32 {
    RUNS.with_borrow_mut(|runs| {
        let next = runs.entry(test.to_owned()).or_insert(0);
        *next += 1;
        *next - 1
    })
}

/// Decides for this process and this run.
pub(super) fn role(builder: &Builder) -> Result<Role> {
    let test = test_name(builder);
    // Explicit arguments lead to this run and no other.
    let run = if builder.rerun.is_some() { 0 } else { count(test.as_deref().unwrap_or_default()) };
    let Ok(wanted) = std::env::var(RUN_ENV) else {
        return Ok(Role::Parent(job(builder, test, run)));
    };
    let bad = || Error::misuse(format!("{RUN_ENV}={wanted} is not the number of a run"));
    if run < wanted.parse::<u32>().map_err(|_| bad())? {
        return Ok(Role::OnTheWay);
    }
    let child = Child::from_env()?;
    child.map(Role::Child).ok_or_else(|| {
        Error::misuse(format!("{RUN_ENV} is set, but nobody supervises this process"))
    })
}

fn job(builder: &Builder, test: Option<String>, run: u32) -> Job {
    let own = || std::env::args_os().skip(1).collect();
    let args: Vec<OsString> = match (&builder.rerun, test) {
        (Some(args), _) => args.clone(),
        (None, Some(test)) => [test.as_str(), "--exact", "--include-ignored", "--nocapture"]
            .map(OsString::from)
            .to_vec(),
        (None, None) => own(),
    };
    let mut job = Job::new(args);
    job.env.push((RUN_ENV.into(), run.to_string().into()));
    job
}

/// The libtest name of the running test: given by the attribute, else the name of the thread that
/// libtest runs it on.
fn test_name(builder: &Builder) -> Option<String> {
    if builder.rerun.is_some() {
        return None;
    }
    builder.test.clone().or_else(|| thread_name().filter(|name| name != "main"))
}
