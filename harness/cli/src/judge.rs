//! `judge`: event files, judged again.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use reclaimdep::error::{Error, Result};
use reclaimdep::world::{Judged, judge_events};

use crate::args::JudgeArgs;

/// Judges every file and prints its report; whether nothing was found in any.
///
/// # Errors
/// If a file cannot be read, or not to its end. That keeps neither the others from being judged nor what
/// comes before the damage.
pub(crate) fn judge(args: &JudgeArgs) -> Result<bool> {
    let (mut quiet, mut trouble) = (true, None);
    for path in &args.files {
        match one(path) {
            Ok(Judged { report, damage }) => {
                if args.json {
                    println!("{}", report.to_json_line());
                } else {
                    print!("{}", report.to_text());
                }
                quiet &= report.is_quiet();
                trouble = trouble.or(damage.map(|damage| in_file(path, damage)));
            }
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    trouble.map_or(Ok(quiet), Err)
}

fn one(path: &Path) -> Result<Judged> {
    let file = File::open(path)
        .map_err(|error| Error::os(format!("cannot open {}", path.display())).because(error))?;
    judge_events(BufReader::new(file)).map_err(|error| in_file(path, error))
}

fn in_file(path: &Path, error: Error) -> Error {
    Error::input(format!("{}", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(files: &[&str], says: &[&str]) {
        let args = JudgeArgs { files: files.iter().map(Into::into).collect(), json: false };
        let message = judge(&args).unwrap_err().to_string();
        assert!(says.iter().all(|part| message.contains(part)), "{message}");
    }

    #[test]
    fn what_cannot_be_judged_is_an_error_that_names_the_file() {
        check_refused(&["no/such/file"], &["no/such/file"]);
        check_refused(&["Cargo.toml"], &["Cargo.toml", "line 1, byte 0"]);
    }
}
