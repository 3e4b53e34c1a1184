//! `judge`: judges recordings: event files, and texts of a real kernel.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use reclaimdep::kernel::error::visible_os;
use reclaimdep::kernel::recording::{Judged, judge_events, judge_recording};
use reclaimdep::{Error, Result};

use crate::args::JudgeArgs;
use crate::exit::Exit;
use crate::output::print;

/// A text of a kernel is at most this many bytes long.
const MAX_TEXT: u64 = 1 << 30;

/// Judges every file and prints its report.
///
/// # Errors
/// The first file that cannot be read, or not to its end. The other files are judged all the same,
/// and so is what comes before the damage. If the output cannot be written, nothing else is judged.
pub(crate) fn judge(args: &JudgeArgs) -> Result<Exit> {
    let (mut end, mut trouble) = (Exit::AsExpected, None);
    for path in &args.files {
        match one(path) {
            Ok(judged) => {
                let report = &judged.report;
                let json = || report.to_json_line() + "\n";
                print(&if args.json { json() } else { report.to_text() })?;
                end = end.and(end_of(&judged));
                trouble = trouble.or(judged.damage.map(|damage| in_file(path, damage)));
            }
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    trouble.map_or(Ok(end), Err)
}

fn end_of(judged: &Judged) -> Exit {
    match (judged.report.is_quiet(), judged.unexplained) {
        (false, _) => Exit::Found,
        (true, 0) => Exit::AsExpected,
        (true, _) => Exit::Inconclusive,
    }
}

/// Judges one file.
fn one(path: &Path) -> Result<Judged> {
    if path.as_os_str() == "-" {
        return text("standard-input", path, io::stdin().lock());
    }
    let file = File::open(path).map_err(|error| trouble("open", path, error))?;
    let name = visible_os(path.file_name().unwrap_or(path.as_os_str()));
    text(&name, path, BufReader::new(file))
}

/// Judges one text. An event file begins with a brace, and no text of a kernel does.
fn text(name: &str, path: &Path, mut file: impl BufRead) -> Result<Judged> {
    let begins = file.fill_buf().map_err(|error| trouble("read", path, error))?;
    if begins.is_empty() {
        return Err(Error::input(format!("{} is empty", visible_os(path))));
    }
    if begins.first() == Some(&b'{') {
        return judge_events(file).map_err(|error| in_file(path, error));
    }
    let mut text = Vec::new();
    let read = file.take(MAX_TEXT + 1).read_to_end(&mut text);
    read.map_err(|error| trouble("read", path, error))?;
    if text.len() as u64 > MAX_TEXT {
        let what = format!("{} has more than {MAX_TEXT} bytes", visible_os(path));
        return Err(Error::input(what).advice("cut it into parts"));
    }
    judge_recording(name, &text).map_err(|error| in_file(path, error))
}

fn trouble(what: &str, path: &Path, error: io::Error) -> Error {
    Error::os(format!("cannot {what} {}", visible_os(path))).because(error)
}

fn in_file(path: &Path, error: Error) -> Error {
    Error::input(visible_os(path)).because(error)
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
        check_refused(&["no/such/file"], &["cannot open no/such/file", "No such file"]);
        check_refused(&["Cargo.toml"], &["Cargo.toml", "not a recording", "tracefs"]);
        check_refused(&["src"], &["cannot read src", "directory"]);
        check_refused(&["/dev/null"], &["/dev/null is empty"]);
    }
}
