//! `cargo reclaimdep`: run reported deadlocks, read findings, see what this machine can run.
//!
//! | module | holds |
//! |---|---|
//! | `args` | the command line |
//! | `run` | `run`: cases, over eras and tiers, against what they expect |
//! | `judge` | `judge`: what was recorded, judged again |
//! | `list` | `list`: the cases |
//! | `explain` | `explain`: what a finding code means |
//! | `doctor` | `doctor`: which tiers this machine can run |
//! | `table` | columns that line up |
//!
//! Exit status: 0 where everything is as expected, 1 where something is wrong, 2 where the harness
//! itself failed.

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
use reclaimdep::error::Result;

use args::{Args, Command};

/// Something is not what a case expects.
const WRONG: u8 = 1;
/// The harness failed, or was asked for what it cannot do.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse_from(args::without_cargo(std::env::args_os()));
    match dispatch(args.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(WRONG),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(TROUBLE)
        }
    }
}

/// Whether everything was as expected.
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
