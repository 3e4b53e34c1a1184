//! A report as files: one for each form, in a folder that somebody keeps.
//!
//! Key functions: [`Report::save_in`], [`file_name`]. The environment variable [`REPORT_DIR`] asks
//! for it, of tests and of the command line alike.

use std::path::{Path, PathBuf};

use super::value::Report;
use crate::error::{Error, Result};
use crate::variables::{REPORT_DIR, report_dir};

/// What a form is called, and how it is made.
type Form = (&'static str, fn(&Report) -> String);

/// Every form of a report.
const FORMS: &[Form] = &[
    ("txt", Report::to_text),
    ("json", Report::to_json),
    ("html", Report::to_html),
    ("trace.json", Report::to_chrome_trace),
];

/// Longer names are cut; some file systems take no more than 255 bytes with the extension.
const MAX_NAME: usize = 180;

impl Report {
    /// Writes every form of a report that found something to `folder`, which is made if need be, as
    /// `name` with an extension each; what was there under that name is replaced. Returns the
    /// files.
    ///
    /// # Errors
    /// If the folder cannot be made or a file not be written.
    pub fn save_in(&self, folder: &Path, name: &str) -> Result<Vec<PathBuf>> {
        if self.findings.is_empty() {
            return Ok(Vec::new());
        }
        let failed = |path: &Path, error: std::io::Error| {
            Error::os(format!("{} cannot be written", path.display()))
                .because(error)
                .advice(format!("{REPORT_DIR} must name a folder that can be written to"))
        };
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        let stem = file_name(name);
        let mut written = Vec::new();
        for (extension, render) in FORMS {
            let path = folder.join(format!("{stem}.{extension}"));
            std::fs::write(&path, render(self)).map_err(|error| failed(&path, error))?;
            written.push(path);
        }
        Ok(written)
    }

    /// As [`save_in`](Self::save_in), where [`REPORT_DIR`] names a folder.
    ///
    /// # Errors
    /// As there.
    pub fn save_where_asked(&self, name: &str) -> Result<Vec<PathBuf>> {
        match report_dir() {
            Some(folder) => self.save_in(&folder, name),
            None => Ok(Vec::new()),
        }
    }
}

/// `name` as the name of a file on any system: `::` and blanks become dashes, and where anything
/// else was lost a number tells apart what would be the same.
#[must_use]
pub fn file_name(name: &str) -> String {
    let plain = name.replace("::", "-").replace(' ', "-");
    let kept = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    let mut safe: String = plain.chars().map(|c| if kept(c) { c } else { '_' }).collect();
    safe.truncate(MAX_NAME);
    if safe != plain || safe.starts_with(['.', '-']) || safe.is_empty() {
        safe = format!("report-{safe}-{:08x}", number(name));
    }
    safe
}

/// FNV-1a: the same everywhere and always, which std's hashers do not promise.
fn number(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::c01;

    #[test]
    fn a_name_is_a_file_s_name_on_any_system() {
        for (name, file) in [
            ("c01 v3.10 model", "c01-v3.10-model"),
            ("it::cases::case_1_kernel", "it-cases-case_1_kernel"),
            ("../../etc/passwd", "report-.._.._etc_passwd-6fadc99a"),
            ("", "report--811c9dc5"),
        ] {
            assert_eq!(file_name(name), file);
        }
        assert!(file_name(&"\u{e9}/".repeat(400)).len() < 220);
        assert_ne!(file_name("a/b"), file_name("a?b"));
    }

    #[test]
    fn every_form_is_written_and_a_quiet_report_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("new");
        let files = c01().save_in(&inner, "c01").unwrap();
        let names: Vec<_> =
            files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["c01.txt", "c01.json", "c01.html", "c01.trace.json"]);
        assert_eq!(std::fs::read_to_string(&files[1]).unwrap(), c01().to_json());
        let quiet = Report::new("q", "model", "v5.9", Vec::new());
        assert_eq!(quiet.save_in(&inner, "q").unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error_that_says_so() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = c01().save_in(file.path(), "c01").unwrap_err().to_string();
        assert!(error.contains("cannot be written") && error.contains(REPORT_DIR), "{error}");
    }
}
