//! A report as files: one for each form, in a folder.
//!
//! Key functions: [`Report::save_in`], [`file_name`]. Tests and the command line write the files
//! where the environment variable [`REPORT_DIR`] is set.

use std::path::{Path, PathBuf};

use super::value::Report;
use crate::error::{Error, Result};
use crate::variables::{REPORT_DIR, report_dir};

/// The extension of a form, and the function that renders it.
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
    /// Writes every form of a report with findings to `folder`, as `name` with an extension each,
    /// and returns the files. Creates the folder if necessary and replaces files of that name.
    ///
    /// # Errors
    /// If the folder cannot be created or a file cannot be written.
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

    /// The same as [`save_in`](Self::save_in) with the folder that [`REPORT_DIR`] names; writes
    /// nothing where the variable is not set.
    ///
    /// # Errors
    /// Those of [`save_in`](Self::save_in).
    pub fn save_where_asked(&self, name: &str) -> Result<Vec<PathBuf>> {
        match report_dir() {
            Some(folder) => self.save_in(&folder, name),
            None => Ok(Vec::new()),
        }
    }
}

/// Makes `name` the name of a file on any system: `::` and blanks become dashes. Where another
/// character is replaced, a checksum of `name` keeps different names different.
#[must_use]
pub fn file_name(name: &str) -> String {
    let plain = name.replace("::", "-").replace(' ', "-");
    let kept = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    let mut safe: String = plain.chars().map(|c| if kept(c) { c } else { '_' }).collect();
    safe.truncate(MAX_NAME);
    if safe != plain || safe.starts_with(['.', '-']) || safe.is_empty() {
        safe = format!("report-{safe}-{:08x}", checksum(name));
    }
    safe
}

/// FNV-1a, because the hashers of std promise no stable result.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::c01;

    #[test]
    fn file_names_are_valid_on_any_system() {
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
    fn a_folder_that_cannot_be_created_is_an_error_with_advice() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = c01().save_in(file.path(), "c01").unwrap_err().to_string();
        assert!(error.contains("cannot be written") && error.contains(REPORT_DIR), "{error}");
    }
}
