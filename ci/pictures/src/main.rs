//! Screenshots of the HTML report in a browser: of the deadlock c01 and of its prediction, at two
//! widths, light and dark.
//!
//! | module | holds |
//! |---|---|
//! | `browser` | a headless Chromium: screenshots, and the page after parsing |
//! | `picture` | a screenshot, and checks on it |
//!
//! The screenshots are left for review in the folder that the second argument names.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program prints")]

mod browser;
mod picture;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use browser::{Browser, Scheme};
use picture::Picture;
use reclaimdep::case::Options;
use reclaimdep::kernel::sched::Mutex;
use reclaimdep::scope::Gfp;
use reclaimdep::{Era, Orders, Pressure, Report, Tier, World};
use reclaimdep_fixtures::cases;
use reclaimdep_fixtures::stacks::bufio_on_loop;

/// The widths of a desktop and a telephone, in pixels.
const WIDTHS: [u32; 2] = [1280, 390];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(program), Some(folder)) = (args.next(), args.next()) else {
        eprintln!("usage: pictures BROWSER FOLDER");
        return ExitCode::from(2);
    };
    if let Err(error) = reclaimdep::kernel::variables::check() {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    match look(&Browser::new(program), &PathBuf::from(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaints) => {
            eprintln!("{complaints}");
            ExitCode::FAILURE
        }
    }
}

fn look(browser: &Browser, folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // A `file:` address needs an absolute path.
    let folder = folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut complaints = Vec::new();
    for (name, report) in [("c01", report()?), ("possible", possible()?)] {
        complaints.extend(look_at(browser, &folder, name, &report)?);
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

/// The complaints about the page of `report`.
fn look_at(
    browser: &Browser,
    folder: &Path,
    name: &str,
    report: &Report,
) -> Result<Vec<String>, String> {
    let page = folder.join(format!("{name}.html"));
    std::fs::write(&page, report.to_html())
        .map_err(|error| format!("{}: {error}", page.display()))?;
    let mut complaints = missing_words(report, &browser.dom(&page)?);
    for width in WIDTHS {
        for scheme in [Scheme::Light, Scheme::Dark] {
            let file = folder.join(format!("{name}-{width}-{scheme}.png"));
            browser.screenshot(&page, width, scheme, &file)?;
            let picture = Picture::read(&file)?;
            println!("{}: {picture}", file.display());
            let wrong = picture.complaints(width, scheme == Scheme::Dark);
            complaints.extend(wrong.into_iter().map(|what| format!("{}: {what}", file.display())));
        }
    }
    Ok(complaints)
}

/// The deadlock of c01 predicted: one run makes a file; in another run a task reclaims and a driver
/// declares that reclaim takes its lock.
fn possible() -> Result<Report, String> {
    let orders = Orders::default();
    let world = || {
        let rule = Pressure::every_allocation().task("elsewhere");
        World::builder()
            .era(Era::V3_10)
            .stack(bufio_on_loop())
            .pressure(rule)
            .schedules(1)
            .remember(&orders)
    };
    let first = world().run(|world| {
        let fs = world.fs("lower");
        world.spawn("rsync", move || fs.create("a").map(drop)).join().expect("the file is made");
    });
    first.map_err(|error| error.to_string())?;
    let second = world().name("possible").run(|world| {
        let mm = world.mm().clone();
        let elsewhere = world.spawn("elsewhere", move || mm.alloc(0, Gfp::NOFS).is_some());
        assert!(elsewhere.join());
        let table = Mutex::new(world.sched(), "table", "driver", ());
        world.prime(|claim| claim.reclaim(Gfp::KERNEL, || drop(table.lock())));
        let _held = table.lock();
        world.mm().alloc(0, Gfp::KERNEL);
    });
    second.map_err(|error| error.to_string())
}

/// The report of c01, with the changes that prevent the deadlock.
fn report() -> Result<Report, String> {
    let cases = cases().map_err(|error| error.to_string())?;
    let c01 = cases.into_iter().find(|case| case.id == "c01").ok_or("there is no case c01")?;
    let mut options = Options::default();
    options.try_cuts = true;
    let variant = &c01.scripts.first().ok_or("c01 has no variant")?.variant;
    c01.run(variant, Tier::Model, Era::V3_10, &options).map_err(|error| error.to_string())
}

/// Texts of the report that the page in the browser lacks.
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
    fn a_page_without_texts_of_the_report_is_found() {
        let report = report().unwrap();
        assert!(possible().unwrap().findings.iter().any(|finding| finding.order.is_some()));
        assert_eq!(missing_words(&report, &report.to_html()), Vec::<String>::new());
        let without = report.to_html().replace("loop0", "");
        assert!(missing_words(&report, &without).len() > 1);
    }
}
