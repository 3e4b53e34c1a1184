//! What the attribute expands to. Not public API: call [`crate::World::builder`] instead.

mod outlets;

use std::io::Write as _;

use outlets::Outlets;

use crate::era::Era;
use crate::event::Trace;
use crate::inject::Pressure;
use crate::report::Report;
use crate::witness::Code;
use crate::world::builder::DEFAULT_SCHEDULES;
use crate::{Tier, World};

/// Runs a test of the model tier with exactly these choices, as its report printed them.
const REPLAY: &str = "RECLAIMDEP_REPLAY";

/// What one expansion of the attribute says.
#[derive(Clone, Copy, Debug)]
pub struct TestSpec {
    /// `module::path::function`.
    pub name: &'static str,
    /// The attribute's file.
    pub file: &'static str,
    /// The attribute's line.
    pub line: u32,
    /// On what it runs.
    pub tier: Tier,
    /// The era's name.
    pub era: Option<&'static str>,
    /// What must be found.
    pub expect: &'static [Code],
    /// Whether every allocation finds memory short.
    pub pressure: bool,
    /// How many schedules at the most.
    pub schedules: Option<u64>,
    /// Where random choices start.
    pub seed: Option<u64>,
}

/// Runs a test that the attribute made.
///
/// # Panics
/// With the rendered report where the expectation fails, and with the harness's trouble.
pub fn run_test(spec: TestSpec, body: impl Fn(&World) + Send + Sync + 'static) {
    if let Err(reason) = available(spec.tier) {
        return skip(&spec, &reason);
    }
    let mut builder = World::builder()
        .name(spec.name)
        .test(libtest_path(spec.name))
        .tier(spec.tier)
        .expect(spec.expect)
        .schedules(spec.schedules.unwrap_or(DEFAULT_SCHEDULES))
        .seed(spec.seed.unwrap_or(1));
    if let Some(era) = spec.era {
        let era: Era =
            era.parse().unwrap_or_else(|error| panic!("{}:{}: {error}", spec.file, spec.line));
        builder = builder.era(era);
    }
    if spec.pressure {
        builder = builder.pressure(Pressure::every_allocation());
    }
    if let Ok(trace) = std::env::var(REPLAY) {
        let trace = trace.parse().unwrap_or_else(|error| panic!("{REPLAY}: {error}"));
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

/// Whether `RECLAIMDEP_REQUIRE` names `tier`: then a skip is a failure.
#[must_use]
pub fn required(tier: Tier) -> bool {
    let names = std::env::var("RECLAIMDEP_REQUIRE").unwrap_or_default();
    names.split(',').any(|name| name.trim() == tier.name())
}

/// A test that cannot run says so past the test runner's capture, or fails where it must run.
fn skip(spec: &TestSpec, reason: &str) {
    let message = format!("SKIPPED {} ({}): {reason}", spec.name, spec.tier);
    assert!(!required(spec.tier), "{message}; RECLAIMDEP_REQUIRE asks for it");
    // Nobody is left to tell if stderr is closed.
    drop(writeln!(std::io::stderr(), "{message}"));
}

fn judge(spec: &TestSpec, mut report: Report) {
    let path = libtest_path(spec.name);
    let again = |trace: &Trace| match trace.0.is_empty() {
        true => format!("cargo test {path} -- --exact"),
        false => format!("{REPLAY}='{trace}' cargo test {path} -- --exact"),
    };
    report.replay = report.trace.as_ref().map(again);
    let wrong = report.matches(spec.expect);
    if wrong.is_err() {
        let place = format!("{}:{}", spec.file, spec.line);
        Outlets::of_environment().failed(&report, &place, &mut std::io::stderr());
    }
    if let Err(error) = report.save_where_asked(&file_stem(spec)) {
        panic!("{} ({}:{}): {error}", spec.name, spec.file, spec.line);
    }
    if let Err(wrong) = wrong {
        panic!("{} ({}:{}): {wrong}\n\n{}", spec.name, spec.file, spec.line, report.to_text());
    }
}

/// What the files of a report are called. Cases of `rstest` share a function; the full name of each
/// is what nextest says, or the thread that libtest runs it on.
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
