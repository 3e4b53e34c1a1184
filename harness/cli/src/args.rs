//! The command line. The library's own parsers read tiers, eras, codes and traces, so that an error
//! lists the known words. What an error repeats of the command line is escaped.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ContextValue;
use clap::{Parser, Subcommand};
use reclaimdep::kernel::error::visible;
use reclaimdep::kernel::event::Trace;
use reclaimdep::{Code, Era, Tier};

use crate::exit;

/// lockdep for memory reclaim.
#[derive(Parser, Debug)]
#[command(
    name = "cargo-reclaimdep",
    bin_name = "cargo reclaimdep",
    version,
    after_help = exit::help()
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run reported deadlocks and compare with what must be found.
    #[command(after_help = exit::help_of("run"))]
    Run(RunArgs),
    /// Judge recordings, and print a report of each file.
    #[command(after_help = exit::help_of("judge"))]
    Judge(JudgeArgs),
    /// Show which tiers this machine can run, and what the others lack.
    #[command(after_help = exit::help_of("doctor"))]
    Doctor,
    /// Say what a finding code means.
    #[command(after_help = exit::help_of("explain"))]
    Explain {
        /// RD01 to RD13; `rd4` and `4` are read as RD04.
        code: Code,
    },
    /// List the cases.
    #[command(after_help = exit::help_of("list"))]
    List,
}

#[derive(clap::Args, Debug, Default)]
pub(crate) struct RunArgs {
    /// The case to run; every case by default.
    pub(crate) case: Option<String>,
    /// Run on this tier alone: model, native, loop.
    #[arg(long)]
    pub(crate) tier: Option<Tier>,
    /// Run in this era alone, such as v3.10.
    #[arg(long)]
    pub(crate) era: Option<Era>,
    /// Print each report as one line of JSON, and the table to standard error.
    #[arg(long)]
    pub(crate) json: bool,
    /// How many schedules the model tier explores at the most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) schedules: Option<u64>,
    /// The seed of the model tier's choices.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Run this schedule alone, as a report prints it; needs a case, --era and --tier.
    #[arg(
        long,
        value_name = "TRACE",
        requires_all = ["case", "era", "tier"],
        conflicts_with_all = ["schedules", "seed"]
    )]
    pub(crate) replay: Option<Trace>,
    /// Write the report as an HTML file; needs a case, --era and --tier.
    #[arg(long, value_name = "PATH", requires_all = ["case", "era", "tier"])]
    pub(crate) html: Option<PathBuf>,
    /// Write the report as a timeline for Perfetto or chrome://tracing; needs a case, --era and
    /// --tier.
    #[arg(long, value_name = "PATH", requires_all = ["case", "era", "tier"])]
    pub(crate) trace: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct JudgeArgs {
    /// Event files that a world recorded, or texts that a kernel wrote: trace events, stacks,
    /// hung-task reports. `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Print each report as one line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the command line asks for.
pub(crate) enum Parsed {
    /// A verb.
    Command(Command),
    /// Help, or the version: this text.
    Help(String),
    /// Nothing that exists: this text says why.
    Refused(String),
}

/// Reads the command line.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Parsed {
    match Args::try_parse_from(without_cargo(args)) {
        Ok(args) => Parsed::Command(args.command),
        Err(error) if error.use_stderr() => Parsed::Refused(escaped(error)),
        Err(error) => Parsed::Help(error.render().to_string()),
    }
}

/// What `error` says, with the words of the command line escaped before they are on its lines.
fn escaped(mut error: clap::Error) -> String {
    let context: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
    for (kind, value) in context {
        let value = match value {
            ContextValue::String(text) => ContextValue::String(visible(&text)),
            ContextValue::Strings(texts) => {
                ContextValue::Strings(texts.iter().map(|text| visible(text)).collect())
            }
            ContextValue::StyledStrs(texts) => {
                let shown = texts.iter().map(|text| visible(&text.to_string()).into());
                ContextValue::StyledStrs(shown.collect())
            }
            other => other,
        };
        error.insert(kind, value);
    }
    error.render().to_string().lines().map(|line| visible(line) + "\n").collect()
}

/// Cargo calls `cargo-reclaimdep reclaimdep ..`; a person may call it without the second word.
pub(crate) fn without_cargo(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<_> = args.into_iter().collect();
    if args.get(1).is_some_and(|word| word == "reclaimdep") {
        args.remove(1);
    }
    args
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(without_cargo(line.split(' ').map(OsString::from)))
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn cargo_and_a_person_may_call_it() {
        for line in ["cargo-reclaimdep reclaimdep list", "cargo-reclaimdep list"] {
            assert!(matches!(parse(line).unwrap().command, Command::List), "{line}");
        }
    }

    #[track_caller]
    fn check_refused(line: &str, says: &str) {
        let message = parse(line).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn an_unknown_word_is_refused_with_the_known_ones() {
        check_refused("x run --tier moon", "native");
        check_refused("x run --era v2.4", "v3.10");
        check_refused("x explain RD99", "RD13");
        check_refused("x run c01 --era v3.10 --tier model --replay hello", "t3*5");
    }

    #[test]
    fn a_replay_or_a_file_needs_one_case_era_and_tier() {
        check_refused("x run --replay t1", "--era");
        check_refused("x run c01 --html c01.html", "--tier");
    }
}
