//! The table of jobs.

use std::fmt;
use std::path::Path;

use crate::command::{cargo, run, succeeds};
use crate::machine;
use crate::outside::TARGET as OUTSIDE;

/// One job.
pub(crate) struct Job {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) in_full_run: bool,
    pub(crate) run: fn() -> Outcome,
}

/// Every job, in the order of a full run.
pub(crate) const JOBS: &[Job] = &[
    Job { name: "fmt", what: "the sources are formatted", in_full_run: true, run: fmt },
    Job { name: "clippy", what: "no lint complains", in_full_run: true, run: clippy },
    Job { name: "test", what: "unit and integration tests", in_full_run: true, run: test },
    Job { name: "doc", what: "examples in the documentation", in_full_run: true, run: doc },
    Job {
        name: "outside",
        what: "a crate with a workspace of its own tests itself with the harness; the README is true",
        in_full_run: true,
        run: || crate::outside::outside().into(),
    },
    Job {
        name: "package",
        what: "the library crates can be packaged",
        in_full_run: true,
        run: package,
    },
    Job {
        name: "healthy",
        what: "50,000 schedules of healthy stacks, which must be quiet",
        in_full_run: true,
        run: || explore("50000"),
    },
    Job {
        name: "bufio",
        what: "dm-bufio: 20,000 schedules of programs with either index, 100,000 random operations",
        in_full_run: true,
        run: bufio,
    },
    Job {
        name: "privileged",
        what: "real loop devices, as root",
        in_full_run: true,
        run: privileged,
    },
    Job {
        name: "pictures",
        what: "the HTML report in a browser",
        in_full_run: true,
        run: pictures,
    },
    Job {
        name: "demo",
        what: "every reported deadlock, on every tier that runs here",
        in_full_run: false,
        run: demo,
    },
    Job {
        name: "nightly",
        what: "a million schedules of healthy stacks, which must be quiet",
        in_full_run: false,
        run: || explore("1000000"),
    },
    Job {
        name: "bench",
        what: "measures the cost of the harness, as ratios; writes harness/docs/performance.md",
        in_full_run: false,
        run: bench,
    },
    Job {
        name: "mutants",
        what: "mutation testing of the judges; writes harness/docs/mutants.md",
        in_full_run: false,
        run: crate::mutants::mutants,
    },
];

/// Features that are off by default but are checked too.
const FEATURES: [&str; 2] = ["--features", "reclaimdep-scope/linux"];

/// How a job ended.
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    Skipped(Reason),
}

/// Why a job did not run.
pub(crate) struct Reason {
    pub(crate) text: String,
    pub(crate) for_loop_tier: bool,
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Passed)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed(what) => write!(f, "FAILED: {what}"),
            Self::Skipped(reason) => write!(f, "skipped: {}", reason.text),
        }
    }
}

fn skipped_without(component: &str) -> Outcome {
    let text = format!("cargo {component} is not installed; `rustup component add` brings it");
    Outcome::Skipped(Reason { text, for_loop_tier: false })
}

fn fmt() -> Outcome {
    if !succeeds(cargo(&["fmt", "--version"])) {
        return skipped_without("fmt");
    }
    let outside = ["fmt", "--manifest-path", "tests/outside/Cargo.toml", "--check"];
    run(cargo(&["fmt", "--all", "--check"])).and_then(|()| run(cargo(&outside))).into()
}

fn clippy() -> Outcome {
    if !succeeds(cargo(&["clippy", "--version"])) {
        return skipped_without("clippy");
    }
    let strict = ["--", "-D", "warnings"];
    let workspace = ["clippy", "--workspace", "--all-targets", FEATURES[0], FEATURES[1]];
    // In the workspace every feature is on; most users have none.
    let without_features = ["clippy", "--package", "reclaimdep", "--lib"];
    run(cargo(&[&workspace[..], &strict].concat()))
        .and_then(|()| run(cargo(&[&without_features[..], &strict].concat())))
        .into()
}

fn test() -> Outcome {
    let command = if succeeds(cargo(&["nextest", "--version"])) {
        cargo(&["nextest", "run", "--workspace", FEATURES[0], FEATURES[1], "--profile", "ci"])
    } else {
        cargo(&[
            "test",
            "--workspace",
            FEATURES[0],
            FEATURES[1],
            "--lib",
            "--bins",
            "--tests",
            "--no-fail-fast",
        ])
    };
    run(command).into()
}

fn doc() -> Outcome {
    let mut pages = cargo(&["doc", "--workspace", "--no-deps", FEATURES[0], FEATURES[1]]);
    pages.env("RUSTDOCFLAGS", "-D warnings");
    run(cargo(&["test", "--workspace", "--doc"])).and_then(|()| run(pages)).into()
}

/// Each of the three depends on the others as they are packaged here. For cargo a package of one
/// version never changes, so what an earlier run unpacked and built of them is removed.
fn package() -> Outcome {
    let built = machine::folders_in(Path::new(OUTSIDE).join("debug/.fingerprint"), "reclaimdep");
    for stale in machine::unpacked_packages("reclaimdep").into_iter().chain(built) {
        if let Err(error) = std::fs::remove_dir_all(&stale) {
            return Outcome::Failed(format!("cannot remove {}: {error}", stale.display()));
        }
    }
    let libraries = ["reclaimdep-scope", "reclaimdep-macros", "reclaimdep"];
    let packages = libraries.map(|library| ["--package", library]).concat();
    let mut command = cargo(&[&["package", "--allow-dirty"][..], &packages].concat());
    command.env("CARGO_TARGET_DIR", OUTSIDE);
    run(command).into()
}

/// A release build: an unoptimized one would take minutes.
fn explore(schedules: &str) -> Outcome {
    let program =
        ["run", "--quiet", "--release", "--package", "reclaimdep-fixtures", "--bin", "healthy"];
    run(cargo(&[&program[..], &["--", schedules]].concat())).into()
}

/// It uses the optimized test profile and the features of the job `test`, so nothing is rebuilt.
fn bufio() -> Outcome {
    let nextest = succeeds(cargo(&["nextest", "--version"]));
    let mut tests = if nextest {
        // nextest fails if no test has such a name.
        let filter = "package(reclaimdep-tests) and test(/^bufio::/)";
        cargo(&["nextest", "run", "--workspace", FEATURES[0], FEATURES[1], "-E", filter])
    } else {
        cargo(&["test", "--workspace", FEATURES[0], FEATURES[1], "--test", "it", "bufio::"])
    };
    tests.env("RECLAIMDEP_BUFIO_SCHEDULES", "20000").env("RECLAIMDEP_BUFIO_STEPS", "100000");
    run(tests).into()
}

fn privileged() -> Outcome {
    if let Some(text) = machine::loop_tier_lacks() {
        return Outcome::Skipped(Reason { text, for_loop_tier: true });
    }
    let mut args = vec!["test", "--package", "reclaimdep-tests", "--test", "privileged"];
    if machine::has_libclang() {
        args.extend(["--features", "second-opinion"]);
    }
    let oracle = cargo(&["test", "--package", "reclaimdep-tests", "--test", "it", "verity::"]);
    run(cargo(&args)).and_then(|()| run(oracle)).into()
}

/// The folder in which the screenshots are left for review.
const PICTURES: &str = "target/pictures";

fn pictures() -> Outcome {
    let Some(browser) = machine::browser() else {
        let text = "no Chromium; as root, apt brings it".to_owned();
        return Outcome::Skipped(Reason { text, for_loop_tier: false });
    };
    run(cargo(&["run", "--quiet", "--package", "pictures", "--", browser, PICTURES])).into()
}

fn bench() -> Outcome {
    crate::bench::bench().into()
}

fn demo() -> Outcome {
    run(cargo(&["run", "--quiet", "--package", "cargo-reclaimdep", "--", "reclaimdep", "run"]))
        .into()
}
