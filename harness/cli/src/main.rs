//! `cargo reclaimdep`: run reported deadlocks, read findings, see what this machine can run.
//!
//! | module | holds |
//! |---|---|
//! | `args` | the command line |
//! | `run` | `run`: runs cases, over eras and tiers, and compares with what they expect |
//! | `judge` | `judge`: judges recordings |
//! | `list` | `list`: shows the cases |
//! | `explain` | `explain`: what a finding code means |
//! | `doctor` | `doctor`: which tiers this machine can run |
//! | `table` | columns that line up |
//!
//! Exit status: 0 if everything is as expected, 1 if something is wrong, 2 if the harness failed or
//! the command line or an environment variable is invalid.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool prints")]

mod args;
mod doctor;
mod explain;
mod judge;
mod list;
mod run;
mod table;

use std::process::ExitCode;

use clap::Parser as _;
use reclaimdep::Result;
use reclaimdep::kernel::variables;

use args::{Args, Command};

/// The exit status where a case did not come out as expected, or a recording has findings.
const WRONG: u8 = 1;
/// The exit status where the harness failed, or was asked for what it cannot do.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse_from(args::without_cargo(std::env::args_os()));
    match variables::check().and_then(|()| dispatch(args.command)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(WRONG),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(TROUBLE)
        }
    }
}

/// Runs one verb. Returns whether everything was as expected.
fn dispatch(command: Command) -> Result<bool> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Judge(args) => judge::judge(&args),
        Command::Doctor => {
            print!("{}", doctor::doctor());
            Ok(true)
        }
        Command::Explain { code } => {
            print!("{}", explain::explain(code));
            Ok(true)
        }
        Command::List => {
            print!("{}", list::list()?);
            Ok(true)
        }
    }
}
