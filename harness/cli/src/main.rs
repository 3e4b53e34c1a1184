//! `cargo reclaimdep`: run reported deadlocks, read findings, see what this machine can run.
//!
//! | module | holds |
//! |---|---|
//! | `args` | the command line |
//! | `run` | `run`: runs cases, over eras and tiers, and compares with what they expect |
//! | `matrix` | `matrix`: cases in every era, or under every policy, as one table |
//! | `reach` | `matrix --markdown`: how soon what must be found is found |
//! | `planned` over `chosen`, `progress` | which cases and runs; their making; how far that is |
//! | `show` | `show`: a case as text and as a page |
//! | `new` | `new`: writes a case file that explains itself |
//! | `judge` | `judge`: judges recordings |
//! | `list` | `list`: shows the cases |
//! | `explain` | `explain`: what a finding code means |
//! | `doctor` | `doctor`: which tiers this machine can run |
//! | `exit` | the exit status of each verb: one table |
//! | `output` | what is written, and what happens where it cannot be |
//! | `table` | columns that line up |

mod args;
mod chosen;
mod doctor;
mod exit;
mod explain;
mod judge;
mod list;
mod matrix;
mod new;
mod output;
mod planned;
mod progress;
mod reach;
mod run;
mod show;
mod table;

use std::process::ExitCode;

use reclaimdep::case::words::{to_markdown, to_text};
use reclaimdep::kernel::variables;
use reclaimdep::{Error, Result};

use args::{Command, Parsed};
use exit::Exit;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(output::panicked));
    ExitCode::from(guarded(begin).code())
}

/// How `work` ended. An error and a panic are said, and are trouble.
fn guarded(work: fn() -> Result<Exit>) -> Exit {
    let ended = std::panic::catch_unwind(work).unwrap_or_else(|_| {
        let what = "the program panicked, which is a fault of the program itself";
        Err(Error::misuse(what).advice("please report it with the lines above"))
    });
    ended.unwrap_or_else(|error| {
        output::error(&error);
        Exit::Trouble
    })
}

fn begin() -> Result<Exit> {
    match args::parse(std::env::args_os()) {
        Parsed::Command(command) => variables::check().and_then(|()| dispatch(command)),
        Parsed::Help(text) => output::print(&text).map(|()| Exit::AsExpected),
        Parsed::Refused(text) => output::print_aside(&text).map(|()| Exit::Trouble),
    }
}

/// Runs one verb.
fn dispatch(command: Command) -> Result<Exit> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Judge(args) => judge::judge(&args),
        Command::Doctor => doctor::doctor(),
        Command::Explain { code } => {
            output::print(&explain::explain(code)).map(|()| Exit::AsExpected)
        }
        Command::List(args) => output::print(&list::list(&args)?).map(|()| Exit::AsExpected),
        Command::Matrix(args) => matrix::matrix(&args),
        Command::Show(args) => output::print(&show::show(&args)?).map(|()| Exit::AsExpected),
        Command::New { name } => output::print(&new::new(&name)?).map(|()| Exit::AsExpected),
        Command::Words { word, markdown } => {
            let text = if markdown { to_markdown() } else { to_text(word.as_deref())? };
            output::print(&text).map(|()| Exit::AsExpected)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_and_a_panic_are_trouble() {
        assert_eq!(guarded(|| Ok(Exit::Inconclusive)), Exit::Inconclusive);
        assert_eq!(guarded(|| Err(Error::os("no"))), Exit::Trouble);
        assert_eq!(guarded(|| panic!("planted")), Exit::Trouble);
    }
}
