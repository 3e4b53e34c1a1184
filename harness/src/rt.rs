//! Runs the tests that the attribute makes. Not public API: call [`crate::World::builder`] instead.
//!
//! Key items: [`TestSpec`], [`run_test`].

mod outlets;

use std::io::Write as _;

use outlets::Outlets;

use crate::era::Era;
use crate::error::visible;
use crate::event::Trace;
use crate::inject::Pressure;
use crate::report::Report;
use crate::variables::{self, REPLAY, REQUIRE, RequiredTiers};
use crate::witness::Code;
use crate::{Tier, World};

/// The arguments of the attribute, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct TestSpec {
    /// `module::path::function`.
    pub name: &'static str,
    /// The attribute's file.
    pub file: &'static str,
    /// The attribute's line.
    pub line: u32,
    /// The tier that it runs on.
    pub tier: Tier,
    /// The era's name.
    pub era: Option<&'static str>,
    /// The codes that must be found, and no others.
    pub expect: &'static [Code],
    /// Whether every allocation finds memory short.
    pub pressure: bool,
    /// Whether the test passes where no allocation does.
    pub pressure_optional: bool,
    /// How many schedules are explored at the most; the library's default where not given.
    pub schedules: Option<u64>,
    /// How long the run may go without a scheduling point: `200ms`, `10s`, or `0` for ever.
    pub deadline: Option<&'static str>,
    /// Bytes of stack of each task.
    pub task_stack: Option<usize>,
    /// The seed of random choices; the library's default where not given.
    pub seed: Option<u64>,
}

/// Runs a test that the attribute made.
///
/// # Panics
/// With the rendered report where the expectation fails; with the harness's trouble; with the error
/// of an invalid environment variable.
#[track_caller]
pub fn run_test(spec: TestSpec, body: impl Fn(&World) + Send + Sync + 'static) {
    variables::check().unwrap_or_else(|error| panic!("{error}"));
    if let Err(reason) = available(spec.tier) {
        return skip(&spec, &reason);
    }
    let mut builder = World::builder()
        .name(spec.name)
        .test(libtest_path(spec.name))
        .tier(spec.tier)
        .expect(spec.expect);
    if let Some(schedules) = spec.schedules {
        builder = builder.schedules(schedules);
    }
    if let Some(seed) = spec.seed {
        builder = builder.seed(seed);
    }
    if let Some(era) = spec.era {
        let era: Era =
            era.parse().unwrap_or_else(|error| panic!("{}:{}: {error}", spec.file, spec.line));
        builder = builder.era(era);
    }
    if let Some(text) = spec.deadline {
        let time = variables::time(text).unwrap_or_else(|accepted| {
            panic!("{}:{}: the deadline `{text}` is not {accepted}", spec.file, spec.line)
        });
        builder = builder.deadline(time);
    }
    if let Some(bytes) = spec.task_stack {
        builder = builder.task_stack(bytes);
    }
    if spec.pressure {
        let rule = Pressure::every_allocation();
        builder = builder.pressure(if spec.pressure_optional { rule.optional() } else { rule });
    }
    if let Some(trace) = variables::replay().unwrap_or_else(|error| panic!("{error}")) {
        builder = builder.replay(trace);
    }
    match builder.run(body) {
        Ok(report) => judge(&spec, report),
        Err(error) => panic!("{} ({}:{}): {error}", spec.name, spec.file, spec.line),
    }
}

/// The name that libtest knows a test by: its path without the crate.
fn libtest_path(name: &str) -> &str {
    name.split_once("::").map_or(name, |(_, path)| path)
}

/// Why `tier` cannot run on this machine.
///
/// # Errors
/// The reason, with what to do about it.
pub fn available(tier: Tier) -> Result<(), String> {
    match tier {
        Tier::Model | Tier::Native => Ok(()),
        #[cfg(all(feature = "loop", target_os = "linux"))]
        Tier::Loop => crate::host::loop_tier().map_err(|missing| crate::host::why_not(&missing)),
        #[cfg(not(all(feature = "loop", target_os = "linux")))]
        Tier::Loop => Err("the loop tier needs Linux and the feature `loop` of reclaimdep".into()),
    }
}

/// Says, past the test runner's capture, that a test cannot run; fails where it must run.
#[track_caller]
fn skip(spec: &TestSpec, reason: &str) {
    let message = visible(&format!("SKIPPED {} ({}): {reason}", spec.name, spec.tier));
    let required = RequiredTiers::from_env().unwrap_or_else(|error| panic!("{error}"));
    assert!(!required.contains(spec.tier), "{message}; {REQUIRE} asks for it");
    // If stderr is closed, there is nowhere left to say it.
    drop(writeln!(std::io::stderr(), "{message}"));
}

#[track_caller]
fn judge(spec: &TestSpec, mut report: Report) {
    let path = libtest_path(spec.name);
    let again = |trace: &Trace| match trace.0.is_empty() {
        true => format!("cargo test {path} -- --exact"),
        false => format!("{REPLAY}='{trace}' cargo test {path} -- --exact"),
    };
    report.set_replay(again);
    let wrong = report.matches(spec.expect);
    if wrong.is_err() {
        let place = format!("{}:{}", spec.file, spec.line);
        Outlets::of_environment().failed(&report, &place, &mut std::io::stderr());
    }
    if let Err(error) = report.save_where_asked(&file_stem(spec)) {
        panic!("{} ({}:{}): {error}", spec.name, spec.file, spec.line);
    }
    if let Err(wrong) = wrong {
        let wrong = visible(&wrong);
        panic!("{} ({}:{}): {wrong}\n\n{}", spec.name, spec.file, spec.line, report.to_text());
    }
}

/// The name of a report's files. Cases of `rstest` share a function; the full name of each is given
/// by nextest, or by the thread that libtest runs it on.
fn file_stem(spec: &TestSpec) -> String {
    let (package, path) = spec.name.split_once("::").unwrap_or(("", spec.name));
    let full = std::env::var("NEXTEST_TEST_NAME").ok().or_else(thread_name);
    let full = full.filter(|name| name.starts_with(path));
    format!("{package}::{}", full.as_deref().unwrap_or(path))
}

#[cfg(all(feature = "loop", target_os = "linux"))]
use crate::host::thread_name;

#[cfg(not(all(feature = "loop", target_os = "linux")))]
fn thread_name() -> Option<String> {
    None
}
