//! A report as files: one for each form, in a folder.
//!
//! Key functions: [`Report::save_in`], [`file_name`], [`write_file`]. Tests and the command line
//! write the files where the environment variable [`REPORT_DIR`] is set. The folder may be one that
//! others can write to, so no link is followed, and a file appears whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::value::Report;
use crate::error::{Error, Result, visible_os};
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
    /// Different names are different files, see [`file_name`].
    ///
    /// # Errors
    /// If the folder is a link or cannot be created, or a file cannot be written. A file that
    /// cannot be written whole is as it was before.
    pub fn save_in(&self, folder: &Path, name: &str) -> Result<Vec<PathBuf>> {
        if self.findings.is_empty() {
            return Ok(Vec::new());
        }
        let folder = report_folder(folder)?;
        let stem = file_name(name);
        let mut written = Vec::new();
        for (extension, render) in FORMS {
            let path = folder.join(format!("{stem}.{extension}"));
            replace(&path, &render(self)).map_err(|error| unusable(&path, error))?;
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

/// Makes `name` the name of a file on any system, without an extension. Different names give
/// different files, also where the system ignores case: `::` becomes a dash in a path of small
/// letters, digits, dots and underscores, and every other name gets a digest.
#[must_use]
pub fn file_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    let parts: Vec<&str> = name.split("::").collect();
    let is_path = parts.iter().all(|part| part.chars().all(plain) && !part.is_empty());
    if is_path && !name.starts_with('.') && name.len() <= MAX_NAME {
        return parts.join("-");
    }
    let kept = |c: char| if plain(c) || c.is_ascii_uppercase() { c } else { '_' };
    let mut stem: String = name.chars().take(MAX_NAME).map(kept).collect();
    if stem.is_empty() || stem.starts_with('.') {
        stem.insert_str(0, "report");
    }
    // No name without a digest has a plus sign.
    stem.push('+');
    let digest = Sha256::digest(name);
    stem.extend(digest.iter().take(16).map(|byte| format!("{byte:02x}")));
    stem
}

/// The folder for reports, made if need be. A link is refused: its maker would choose which
/// folder is written to.
fn report_folder(folder: &Path) -> Result<PathBuf> {
    // A blank name, a slash or a dot at the end would make the system follow a link.
    let folder: PathBuf = folder.components().collect();
    let is_link = || fs::symlink_metadata(&folder).is_ok_and(|found| found.is_symlink());
    let made = if is_link() { Ok(()) } else { fs::create_dir_all(&folder) };
    made.map_err(|error| unusable(&folder, error))?;
    if is_link() {
        return Err(refused(&folder, "is a link, which is not followed")
            .advice(format!("{REPORT_DIR} must name the folder itself")));
    }
    Ok(folder)
}

/// Writes `text` to the file `path`, which appears whole or not at all. A device or a pipe that is
/// there is written to.
///
/// # Errors
/// If `path` is a link or a folder, or cannot be written.
pub fn write_file(path: &Path, text: &str) -> Result<()> {
    let found = fs::symlink_metadata(path).map(|found| found.file_type());
    let written = match found {
        Ok(kind) if kind.is_symlink() => {
            return Err(refused(path, "is a link, which is not followed")
                .advice("name the file that it leads to"));
        }
        Ok(kind) if kind.is_dir() => return Err(refused(path, "is a folder")),
        Ok(kind) if !kind.is_file() => write_to_device(path, text),
        _ => replace(path, text),
    };
    written.map_err(|error| cannot_write(path, error))
}

/// Writes a new file beside `path` and gives it that name, so that a link or a file of that name is
/// replaced and not written through.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut new = tempfile::Builder::new();
    new.prefix(".reclaimdep-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // What the user's mask leaves of it, as for any other file.
        new.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = new.tempfile_in(folder.unwrap_or_else(|| Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn write_to_device(path: &Path, text: &str) -> io::Result<()> {
    let mut device = OpenOptions::new().write(true).open(path)?;
    if device.metadata()?.is_file() {
        return Err(io::Error::other("it became another file while it was opened"));
    }
    device.write_all(text.as_bytes())
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    Error::os(format!("{} cannot be written", visible_os(path))).because(error)
}

fn unusable(path: &Path, error: io::Error) -> Error {
    cannot_write(path, error)
        .advice(format!("{REPORT_DIR} must name a folder that can be written to"))
}

fn refused(path: &Path, why: &str) -> Error {
    Error::input(format!("{} {why}", visible_os(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::c01;

    #[test]
    fn file_names_are_valid_on_any_system() {
        for (name, file) in [
            ("c01::v3.10::model", "c01-v3.10-model"),
            ("it::cases::case_1_kernel", "it-cases-case_1_kernel"),
            ("../../etc/passwd", "report.._.._etc_passwd+3754d6cb3a38e1185e5b382d5f3ef3f1"),
            ("", "report+e3b0c44298fc1c149afbf4c8996fb924"),
        ] {
            assert_eq!(file_name(name), file);
        }
        for name in ["\u{e9}/".repeat(400), "a".repeat(4000), ".".to_owned(), "a\0b".to_owned()] {
            let file = file_name(&name);
            let kept = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
            assert!(file.len() < 220 && file.chars().all(kept), "{file}");
            assert!(!file.starts_with(['.', '-']), "{file}");
        }
    }

    #[test]
    fn different_names_are_different_files_on_any_system() {
        let mut names = [
            "a::b",
            "a-b",
            "a b",
            "a/b",
            "a?b",
            "a::B",
            "A::b",
            "a_b",
            "a:b",
            "a::::b",
            "a::b::",
            "report::a",
            "report-a",
            "a+b",
            "..",
            ".",
            "",
            " ",
        ]
        .map(str::to_owned)
        .to_vec();
        names.extend([MAX_NAME, MAX_NAME + 1, MAX_NAME + 2].map(|length| "a".repeat(length)));
        // The names that the digests could be mistaken for.
        names.extend(
            names.clone().iter().map(|name| file_name(name)).filter(|file| file.contains('+')),
        );
        let files: std::collections::BTreeSet<_> =
            names.iter().map(|name| file_name(name).to_ascii_lowercase()).collect();
        assert_eq!(files.len(), names.len(), "{files:?}");
    }

    #[test]
    fn every_form_is_written_and_a_quiet_report_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("new");
        let files = c01().save_in(&inner, "c01").unwrap();
        let names: Vec<_> =
            files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["c01.txt", "c01.json", "c01.html", "c01.trace.json"]);
        assert_eq!(fs::read_to_string(&files[1]).unwrap(), c01().to_json());
        let quiet = Report::new("q", "model", "v5.9", Vec::new());
        assert_eq!(quiet.save_in(&inner, "q").unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_folder_that_cannot_be_created_is_an_error_with_advice() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = c01().save_in(file.path(), "c01").unwrap_err().to_string();
        assert!(error.contains("cannot be written") && error.contains(REPORT_DIR), "{error}");
    }

    /// The names in `folder`, in order.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[cfg(unix)]
    #[test]
    fn a_planted_link_is_replaced_and_not_written_through() {
        use std::os::unix::fs::symlink;
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = other.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        symlink(&victim, folder.path().join("c01.json")).unwrap();
        fs::hard_link(&victim, folder.path().join("c01.txt")).unwrap();
        symlink(other.path().join("new"), folder.path().join("c01.html")).unwrap();
        let files = c01().save_in(folder.path(), "c01").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert_eq!(names(other.path()), ["victim"]);
        assert!(files.iter().all(|file| fs::symlink_metadata(file).unwrap().is_file()));
        assert_eq!(names(folder.path()), ["c01.html", "c01.json", "c01.trace.json", "c01.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_a_link_is_refused_however_it_is_written() {
        let (parent, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let link = parent.path().join("link");
        for target in [other.path(), &other.path().join("absent")] {
            std::os::unix::fs::symlink(target, &link).unwrap();
            for end in ["", "/", "/.", "//./"] {
                let folder = PathBuf::from(format!("{}{end}", link.display()));
                let error = c01().save_in(&folder, "c01").unwrap_err().to_string();
                assert!(error.contains("is a link") && error.contains(REPORT_DIR), "{error}");
            }
            fs::remove_file(&link).unwrap();
        }
        assert_eq!(names(other.path()), Vec::<String>::new());
    }

    #[track_caller]
    fn check_not_written(path: &Path, says: &str) {
        let error = write_file(path, "text").unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_single_file_is_written_whole_or_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        check_not_written(&link, "is a link, which is not followed; name the file");
        check_not_written(folder.path(), "is a folder");
        check_not_written(&file.join("x"), "Not a directory");
        check_not_written(Path::new("/dev/full"), "No space left");
        assert_eq!(fs::read_to_string(&file).unwrap(), "before");
        write_file(&file, "after").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "after");
        assert_eq!(names(folder.path()), ["file", "link"]);
    }
}
