//! What `ci/run` does: sees to what a job needs, runs the jobs, ends with a line for each.
//!
//! | module | holds |
//! |---|---|
//! | `jobs` | the jobs: one table; what each runs and what it needs |
//! | `bench` | the performance table |
//! | `mutants` | the judges under mutation |
//! | `machine` | what this machine has |
//! | `packages` | Debian packages that a job wants, installed where that is possible |
//! | `command` | running a command and saying so |
//! | `variables` | the project's environment variables: a file of the library, which cannot be linked here |
//!
//! A machine that lacks a privilege, a device or a package skips what needs it and says so; where
//! `RECLAIMDEP_REQUIRE` names the tier, a skip is a failure.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "automation prints")]

mod bench;
mod command;
mod jobs;
mod machine;
mod mutants;
mod packages;
#[path = "../../../harness/src/variables/table.rs"]
#[expect(unreachable_pub, reason = "the library exports what this program only uses")]
mod variables;

use std::process::ExitCode;

use jobs::{JOBS, Job, Outcome};

/// The arguments or the environment name something that does not exist.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let (requires_loop, jobs) =
        match machine::requires_loop().and_then(|yes| Ok((yes, select(&names)?))) {
            Ok(asked) => asked,
            Err(message) => {
                eprintln!("{message}");
                return ExitCode::from(USAGE);
            }
        };
    let mut outcomes = Vec::new();
    for job in jobs {
        println!("\n== {}: {}", job.name, job.what);
        for note in packages::install_for(job.name) {
            println!("{note}");
        }
        outcomes.push((job.name, required((job.run)(), requires_loop)));
    }
    println!();
    for (name, outcome) in &outcomes {
        println!("{name:<10} {outcome}");
    }
    let failed = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The jobs of these names; those of a full run where none is named.
fn select(names: &[String]) -> Result<Vec<&'static Job>, String> {
    if names.is_empty() {
        return Ok(JOBS.iter().filter(|job| job.in_full_run).collect());
    }
    let find = |name: &String| JOBS.iter().find(|job| job.name == name).ok_or_else(|| usage(name));
    names.iter().map(find).collect()
}

fn usage(name: &str) -> String {
    let rows: Vec<_> = JOBS.iter().map(|job| format!("  {:<10} {}", job.name, job.what)).collect();
    format!("unknown job `{name}`; the jobs are\n{}", rows.join("\n"))
}

/// A skip is a failure where the loop tier is required.
fn required(outcome: Outcome, requires_loop: bool) -> Outcome {
    match outcome {
        Outcome::Skipped(reason) if requires_loop && reason.for_loop_tier => {
            Outcome::Failed(format!("{} names the loop tier: {}", variables::REQUIRE, reason.text))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(selected: &[&Job]) -> Vec<&'static str> {
        selected.iter().map(|job| job.name).collect()
    }

    #[test]
    fn a_full_run_is_every_check_and_not_the_demonstration() {
        let full = ["fmt", "clippy", "test", "doc", "healthy", "bufio", "privileged", "pictures"];
        assert_eq!(names(&select(&[]).unwrap()), full);
    }

    #[test]
    fn jobs_are_called_by_name() {
        assert_eq!(
            names(&select(&["demo".to_owned(), "fmt".to_owned()]).unwrap()),
            ["demo", "fmt"]
        );
        let message = select(&["moon".to_owned()]).err().unwrap();
        assert!(message.contains("`moon`") && message.contains("clippy"), "{message}");
    }
}
