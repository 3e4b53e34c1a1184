//! Debian packages that a job needs. They are installed if this process is root and apt works. A
//! package that cannot be installed is no failure: the job skips what needs it, and a note names
//! it.

use std::process::Command;

use crate::{command, machine};

/// One package.
struct Package {
    name: &'static str,
    /// Whether its contents are already installed.
    present: fn() -> bool,
    /// The job that needs it.
    job: &'static str,
    /// What is skipped without it.
    without: &'static str,
}

const PACKAGES: &[Package] = &[
    Package {
        name: "libclang-dev",
        present: machine::has_libclang,
        job: "privileged",
        without: "the second opinion of loopdev-3, which needs libclang to build",
    },
    Package {
        name: "cryptsetup-bin",
        present: has_veritysetup,
        job: "test",
        without: "the verity target beside the real tool",
    },
    Package {
        name: "cryptsetup-bin",
        present: has_veritysetup,
        job: "privileged",
        without: "the verity target beside the real tool",
    },
    Package {
        name: "chromium",
        present: || machine::browser().is_some(),
        job: "pictures",
        without: "the HTML report in a browser",
    },
    Package {
        name: "fonts-dejavu-core",
        present: machine::has_fonts,
        job: "pictures",
        without: "the text in the pictures",
    },
];

/// It is installed in a folder that only root's `PATH` contains.
fn has_veritysetup() -> bool {
    machine::has_program("veritysetup") || std::path::Path::new("/usr/sbin/veritysetup").is_file()
}

/// Installs the missing packages of `job`; returns a note for each that cannot be installed.
pub(crate) fn install_for(job: &str) -> Vec<String> {
    let missing: Vec<_> =
        PACKAGES.iter().filter(|package| package.job == job && !(package.present)()).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let outcome = can_install().and_then(|()| command::run(apt(&["update"])));
    missing.iter().filter_map(|package| install(package, outcome.clone()).err()).collect()
}

fn install(package: &Package, ready: Result<(), String>) -> Result<(), String> {
    let installed = ready.and_then(|()| {
        command::run(apt(&["install", "-y", "--no-install-recommends", package.name]))
    });
    installed.map_err(|why| {
        format!("{} cannot be installed ({why}); skipped: {}", package.name, package.without)
    })
}

fn can_install() -> Result<(), String> {
    if !machine::is_root() {
        return Err("not root".to_owned());
    }
    if !machine::has_program("apt-get") {
        return Err("no apt-get".to_owned());
    }
    Ok(())
}

fn apt(args: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("-q").args(args);
    command
}
