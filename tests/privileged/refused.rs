//! Invalid environment variables are refused before any test is listed or run.

use std::process::Command;

use libtest_mimic::{Failed, Trial};

/// Every test of this module. None needs a privilege.
pub(crate) fn trials() -> Vec<Trial> {
    let trial = |word: &'static str| {
        Trial::test(format!("refused::required_tier_{word}"), move || refused(word))
    };
    vec![trial("loops"), trial("1")]
}

/// This executable again, told to list its tests.
fn refused(word: &str) -> Result<(), Failed> {
    let mut list = Command::new("/proc/self/exe");
    let output = list.arg("--list").env("RECLAIMDEP_REQUIRE", word).output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    let said = message.contains(&format!("`{word}`")) && message.contains("model, native, loop");
    if output.status.code() == Some(2) && output.stdout.is_empty() && said {
        return Ok(());
    }
    Err(format!("{}: {message}", output.status).into())
}
