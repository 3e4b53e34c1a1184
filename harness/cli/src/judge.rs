//! `judge`: judges recordings: event files, and texts of a real kernel.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use reclaimdep::kernel::recording::{Judged, judge_events, judge_recording};
use reclaimdep::{Error, Result};

use crate::args::JudgeArgs;

/// Of a kernel's text, at most this many bytes are read.
const MAX_TEXT: u64 = 1 << 30;

/// Judges every file and prints its report. Returns whether nothing was found in any.
///
/// # Errors
/// The first file that cannot be read, or not to its end. The other files are judged all the same,
/// and so is what comes before the damage.
pub(crate) fn judge(args: &JudgeArgs) -> Result<bool> {
    let (mut quiet, mut trouble) = (true, None);
    for path in &args.files {
        match one(path) {
            Ok(Judged { report, damage, .. }) => {
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

/// Judges one file. An event file begins with a brace, and no text of a kernel does.
fn one(path: &Path) -> Result<Judged> {
    let trouble =
        |what, error| Error::os(format!("cannot {what} {}", path.display())).because(error);
    let mut file = BufReader::new(File::open(path).map_err(|error| trouble("open", error))?);
    let begins = file.fill_buf().map_err(|error| trouble("read", error))?;
    if begins.first() == Some(&b'{') {
        return judge_events(file).map_err(|error| in_file(path, error));
    }
    let mut text = Vec::new();
    file.take(MAX_TEXT).read_to_end(&mut text).map_err(|error| trouble("read", error))?;
    let name =
        path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
    judge_recording(&name, &text).map_err(|error| in_file(path, error))
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
    fn a_file_that_cannot_be_judged_is_an_error_that_names_it() {
        check_refused(&["no/such/file"], &["no/such/file"]);
        check_refused(&["Cargo.toml"], &["Cargo.toml", "not a recording", "tracefs"]);
    }
}
