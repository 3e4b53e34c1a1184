//! What a browser makes of the HTML report: c01's, at two widths, light and dark.
//!
//! | module | holds |
//! |---|---|
//! | `browser` | a headless Chromium: screenshots, and the page as it stands after parsing |
//! | `picture` | a screenshot, and what can be wrong with one |
//!
//! The screenshots stay in the folder that the second argument names, for somebody to look at.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "automation prints")]

mod browser;
mod picture;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use browser::{Browser, Scheme};
use picture::Picture;
use reclaimdep::Tier;
use reclaimdep::era::Era;
use reclaimdep::report::Report;
use reclaimdep_fixtures::{Options, cases};

/// A desk and a telephone, in pixels.
const WIDTHS: [u32; 2] = [1280, 390];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(program), Some(folder)) = (args.next(), args.next()) else {
        eprintln!("usage: pictures BROWSER FOLDER");
        return ExitCode::from(2);
    };
    match look(&Browser::new(program), &PathBuf::from(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaints) => {
            eprintln!("{complaints}");
            ExitCode::FAILURE
        }
    }
}

fn look(browser: &Browser, folder: &Path) -> Result<(), String> {
    let report = report()?;
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // The browser's address of a file is absolute.
    let folder = folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
    let page = folder.join("c01.html");
    std::fs::write(&page, report.to_html()).map_err(|error| format!("{}: {error}", page.display()))?;
    let mut complaints = missing_words(&report, &browser.dom(&page)?);
    for width in WIDTHS {
        for scheme in [Scheme::Light, Scheme::Dark] {
            let file = folder.join(format!("c01-{width}-{scheme}.png"));
            browser.screenshot(&page, width, scheme, &file)?;
            let picture = Picture::read(&file)?;
            println!("{}: {picture}", file.display());
            let wrong = picture.complaints(width, scheme == Scheme::Dark);
            complaints.extend(wrong.into_iter().map(|what| format!("{}: {what}", file.display())));
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

/// c01's report, with what cuts it.
fn report() -> Result<Report, String> {
    let cases = cases().map_err(|error| error.to_string())?;
    let c01 = cases.into_iter().find(|case| case.id == "c01").ok_or("there is no case c01")?;
    let options = Options { try_cuts: true, ..Options::default() };
    c01.run(Tier::Model, Era::V3_10, &options).map_err(|error| error.to_string())
}

/// What the report says and the page in the browser does not.
fn missing_words(report: &Report, dom: &str) -> Vec<String> {
    let findings = report.findings.iter();
    let said = findings.flat_map(|finding| finding.tasks.iter().chain([&finding.headline]));
    let missing = said.chain(&report.cuts).filter(|text| !dom.contains(text.as_str()));
    missing.map(|text| format!("the page in the browser does not say: {text}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_lost_its_words_is_found() {
        let report = report().unwrap();
        assert_eq!(missing_words(&report, &report.to_html()), Vec::<String>::new());
        let without = report.to_html().replace("loop0", "");
        assert!(missing_words(&report, &without).len() > 1);
    }
}
