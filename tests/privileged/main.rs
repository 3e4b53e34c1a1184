//! Real devices: needs root, `/dev/loop-control` and `/dev/fuse`.
//!
//! Missing requirements are probed when the tests are *listed*: a test that cannot run here is
//! listed as ignored, and its kind gives the reason. If `RECLAIMDEP_REQUIRE` names the tier, the
//! test runs and fails.
//!
//! | module | asks |
//! |---|---|
//! | [`cases`] | is every reported deadlock found on a real loop device |
//! | [`fuse`] | does every operation of the filesystem behind FUSE work, or say that it is not there |
//! | [`ended`] | does a run that does not end well say why, at once
//! | [`kill`] | is nothing left behind, whenever the process is killed |
//! | [`notes`] | do notes of a report arrive from the child process |
//! | [`programs`] | do programs of several tasks lose nothing on a real loop device |
//! | [`stacked`] | are filesystems on real loop devices on filesystems, with metadata in dm-bufio, what they are in the model |
//! | `second_opinion` | does another loop library see what we attached (feature `second-opinion`) |
//! | [`refused`] | are environment variables that cannot be refused before any test runs |

#![expect(clippy::print_stderr, reason = "an error before the tests is for a person to read")]

mod cases;
mod ended;
mod fuse;
mod kill;
mod notes;
mod programs;
mod refused;
#[cfg(feature = "second-opinion")]
mod second_opinion;
mod stacked;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use reclaimdep::Tier;
use reclaimdep::kernel::variables::{self, RequiredTiers};

/// An environment variable is invalid. The command line has the same exit status for that.
const TROUBLE: u8 = 2;

/// The requirement of the loop tier that is missing here; `None` if it can run.
fn missing() -> Option<String> {
    reclaimdep::rt::available(Tier::Loop).err()
}

/// A test that is listed as ignored, with the reason, if it cannot run here.
fn trial(
    name: impl Into<String>,
    body: impl FnOnce() -> Result<(), libtest_mimic::Failed> + Send + 'static,
) -> Trial {
    let required = RequiredTiers::from_env().expect("`main` has checked it");
    let trial = Trial::test(name, body);
    match missing() {
        Some(reason) if !required.contains(Tier::Loop) => {
            trial.with_ignored_flag(true).with_kind(format!("skipped: {reason}"))
        }
        _ => trial,
    }
}

fn main() -> ExitCode {
    if let Err(error) = variables::check() {
        eprintln!("error: {error}");
        return ExitCode::from(TROUBLE);
    }
    let mut trials = cases::trials();
    trials.extend(fuse::trials());
    trials.extend(ended::trials());
    trials.extend(kill::trials());
    trials.extend(notes::trials());
    trials.extend(programs::trials());
    trials.extend(refused::trials());
    trials.extend(stacked::trials());
    #[cfg(feature = "second-opinion")]
    trials.extend(second_opinion::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
