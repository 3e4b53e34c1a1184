//! `new`: writes a case file that explains itself.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use reclaimdep::{Error, Result};

/// The file, with `NAME` for its id.
const SKELETON: &str = include_str!("new.toml");

/// Writes `name.toml` into the working folder and says what to do next.
///
/// # Errors
/// If the name is no id, or there is such a file, or it cannot be written.
pub(crate) fn new(name: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) || name.starts_with('-') {
        let what = format!("`{}` is no id of a case", reclaimdep::kernel::error::visible(name));
        return Err(Error::input(what)
            .advice("use at most 64 small letters, digits and dashes, such as my-driver"));
    }
    let path = format!("{name}.toml");
    let made = OpenOptions::new().write(true).create_new(true).open(Path::new(&path));
    let mut file = made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Error::input(format!("{path} is there already")).advice("choose another name")
        }
        _ => Error::os(format!("cannot make {path}")).because(error),
    })?;
    file.write_all(SKELETON.replace("NAME", name).as_bytes())
        .map_err(|error| Error::os(format!("cannot write {path}")).because(error))?;
    Ok(format!(
        "wrote {path}; it is a whole case: run it with `cargo reclaimdep run {path}`, and change \
         it\nstep by step (`cargo reclaimdep words` lists what can stand in it)\n"
    ))
}

#[cfg(test)]
mod tests {
    use reclaimdep::case::{self, Options};
    use reclaimdep::{Era, Tier};

    use super::*;

    #[test]
    fn the_skeleton_is_a_case_that_shows_what_it_says() {
        let case = case::parse(&SKELETON.replace("NAME", "mine"), "mine.toml").unwrap();
        for script in &case.scripts {
            let row = case.row(&script.variant, Tier::Model, Era::V6_12).unwrap();
            let report = case.run(&script.variant, Tier::Model, Era::V6_12, &Options::default());
            report.unwrap().matches(&row.findings).unwrap();
        }
    }

    #[test]
    fn a_name_that_is_no_id_is_refused() {
        for name in ["", "../x", "A", "-x", "a b"] {
            let message = new(name).unwrap_err().to_string();
            assert!(message.contains("is no id"), "{message}");
        }
    }
}
