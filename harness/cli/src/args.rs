//! The command line. The library's own parsers read tiers, eras, codes and traces, so that an error
//! lists the known words. What an error repeats of the command line is escaped.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::error::ContextValue;
use clap::{Parser, Subcommand};
use reclaimdep::kernel::error::visible;
use reclaimdep::kernel::event::Trace;
use reclaimdep::kernel::mm::policy::PolicyKind;
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
    /// Run deadlock cases and compare with what must be found.
    #[command(after_help = exit::help_of("run"))]
    Run(RunArgs),
    /// Run cases in every era and print one table: case by era, or case by policy.
    #[command(after_help = exit::help_of("matrix"))]
    Matrix(MatrixArgs),
    /// Show a case: its stack and programs, as text and as a picture.
    #[command(after_help = exit::help_of("show"))]
    Show(ShowArgs),
    /// Print the words of the case language: all, or one with its fields and an example.
    #[command(after_help = exit::help_of("words"))]
    Words {
        /// The word; all by default.
        word: Option<String>,
        /// Print the page `docs/words.md`.
        #[arg(long, conflicts_with = "word")]
        markdown: bool,
    },
    /// Write a new case file that explains itself.
    #[command(after_help = exit::help_of("new"))]
    New {
        /// The id of the case: small letters, digits and dashes. The file is NAME.toml.
        name: String,
    },
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
    List(ListArgs),
}

/// What of the cases is run.
#[derive(clap::Args, Debug, Default, Clone)]
pub(crate) struct Selection {
    /// Run this variant alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: Option<String>,
    /// Run on this tier alone: model, native, loop.
    #[arg(long)]
    pub(crate) tier: Option<Tier>,
    /// Run in this era alone, such as v3.10.
    #[arg(long)]
    pub(crate) era: Option<Era>,
    /// Run under this policy of memory management instead of the case's; the rows of the case are
    /// not compared then.
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Option<PolicyKind>,
    /// How many schedules the model tier explores at the most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) schedules: Option<u64>,
    /// The seed of the model tier's choices.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

#[derive(clap::Args, Debug, Default)]
pub(crate) struct RunArgs {
    /// Ids of the catalogue, case files, folders of case files; the whole catalogue by default.
    #[arg(value_name = "CASE|FILE|FOLDER")]
    pub(crate) cases: Vec<String>,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Run what a run without pressure predicts (RD03), and nothing else.
    #[arg(long, conflicts_with_all = ["tier", "policy", "replay"])]
    pub(crate) predicted: bool,
    /// Leave out each step in turn, and name those without which the same is found.
    #[arg(long, conflicts_with_all = ["tier", "policy", "replay", "predicted", "json"])]
    pub(crate) minimal: bool,
    /// Print each report as one line of JSON, and the table to standard error.
    #[arg(long)]
    pub(crate) json: bool,
    /// Run this schedule alone, as a report prints it; needs options that leave one run.
    #[arg(long, value_name = "TRACE", conflicts_with_all = ["schedules", "seed"])]
    pub(crate) replay: Option<Trace>,
    /// Write the report as an HTML file; needs options that leave one run.
    #[arg(long, value_name = "PATH")]
    pub(crate) html: Option<PathBuf>,
    /// Write the report as a timeline for Perfetto or chrome://tracing; needs options that leave
    /// one run.
    #[arg(long, value_name = "PATH")]
    pub(crate) trace: Option<PathBuf>,
}

#[derive(clap::Args, Debug, Default)]
pub(crate) struct MatrixArgs {
    /// Ids of the catalogue, case files, folders of case files; the whole catalogue by default.
    #[arg(value_name = "CASE|FILE|FOLDER")]
    pub(crate) cases: Vec<String>,
    /// Compare the policies of memory management instead of the eras; in the newest era unless
    /// `--era` says otherwise.
    #[arg(long)]
    pub(crate) policies: bool,
    /// Run in this era alone, such as v3.10.
    #[arg(long)]
    pub(crate) era: Option<Era>,
    /// How many schedules are explored at the most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) schedules: Option<u64>,
    /// The seed of the choices.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Print the page `docs/catalogue.md`: how soon what must be found is found, from 20 seeds.
    #[arg(long, conflicts_with_all = ["policies", "era", "schedules", "seed", "html"])]
    pub(crate) markdown: bool,
    /// Write the table as index.html into this folder, and beside it each report that it links.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(clap::Args, Debug, Default)]
pub(crate) struct ShowArgs {
    /// An id of the catalogue, or a case file.
    #[arg(value_name = "CASE|FILE")]
    pub(crate) case: String,
    /// Show this variant alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: Option<String>,
    /// Write text and picture of each variant as one HTML file.
    #[arg(long, value_name = "PATH")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(clap::Args, Debug, Default)]
pub(crate) struct ListArgs {
    /// Ids of the catalogue, case files, folders of case files; the whole catalogue by default.
    #[arg(value_name = "CASE|FILE|FOLDER")]
    pub(crate) cases: Vec<String>,
    /// Only cases with this pattern in their shape, such as P1.
    #[arg(long)]
    pub(crate) shape: Option<String>,
    /// Only cases with a part or a port of this kind, such as superblock or bufio.
    #[arg(long)]
    pub(crate) layer: Option<String>,
    /// Only cases in which something must be found in this era.
    #[arg(long)]
    pub(crate) era: Option<Era>,
    /// Only cases of this year, or of a range of years: 2019, 2014..2020, 2020..
    #[arg(long)]
    pub(crate) year: Option<Years>,
    /// Only cases in which this code must be found.
    #[arg(long)]
    pub(crate) finds: Option<Code>,
}

/// Years, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Years(pub(crate) u16, pub(crate) u16);

impl FromStr for Years {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let year = |text: &str, open: u16| {
            if text.is_empty() {
                return Ok(open);
            }
            text.parse::<u16>().map_err(|_| "use a year or a range: 2019, 2014..2020".to_owned())
        };
        let (from, to) = match text.split_once("..") {
            None => (year(text, u16::MAX)?, year(text, 0)?),
            Some((from, to)) => (year(from, 0)?, year(to, u16::MAX)?),
        };
        if from > to { Err("no year is in it".to_owned()) } else { Ok(Self(from, to)) }
    }
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
            assert!(matches!(parse(line).unwrap().command, Command::List(_)), "{line}");
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
        check_refused("x run c01 --replay hello", "t3*5");
        check_refused("x run --policy none", "mainline");
    }

    #[test]
    fn years_are_one_or_a_range() {
        assert_eq!("2019".parse(), Ok(Years(2019, 2019)));
        assert_eq!("2014..2020".parse(), Ok(Years(2014, 2020)));
        assert_eq!("2020..".parse(), Ok(Years(2020, u16::MAX)));
        for wrong in ["", "x", "2020..2019", "1..x"] {
            assert!(wrong.parse::<Years>().is_err(), "{wrong}");
        }
    }
}
