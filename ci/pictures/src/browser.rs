//! A headless Chromium. It is started once for each parsed page and each screenshot.
//!
//! Key type: [`Browser`]. Each start has its own profile and is killed after [`SECONDS`]. The flags
//! prevent network access, so that a picture does not depend on an answer from outside.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A browser that takes longer than this many seconds hangs.
const SECONDS: &str = "40";
/// The height of a screenshot, in pixels.
pub(crate) const HEIGHT: u32 = 2000;

const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// The colour scheme that the reader's system prefers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Dark { "dark" } else { "light" })
    }
}

/// A browser on this machine.
pub(crate) struct Browser {
    program: String,
}

impl Browser {
    pub(crate) const fn new(program: String) -> Self {
        Self { program }
    }

    /// The page after the browser parsed it, as HTML.
    pub(crate) fn dom(&self, page: &Path) -> Result<String, String> {
        self.start(page, &["--dump-dom".to_owned()])
    }

    /// Writes a screenshot of the page to `file`.
    pub(crate) fn screenshot(
        &self,
        page: &Path,
        width: u32,
        scheme: Scheme,
        file: &Path,
    ) -> Result<(), String> {
        // The numbers that Blink uses for the schemes.
        let preferred = if scheme == Scheme::Dark { 0 } else { 1 };
        let args = [
            format!("--window-size={width},{HEIGHT}"),
            format!("--blink-settings=preferredColorScheme={preferred}"),
            format!("--screenshot={}", file.display()),
        ];
        self.start(page, &args).map(drop)
    }

    fn start(&self, page: &Path, args: &[String]) -> Result<String, String> {
        let profile =
            tempfile::tempdir().map_err(|error| format!("no folder for a profile: {error}"))?;
        let mut command = Command::new("timeout");
        command.arg(SECONDS).arg(&self.program).args(FLAGS).args(args);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.arg(format!("file://{}", page.display())).stdin(Stdio::null());
        let output = command.output().map_err(|error| format!("{}: {error}", self.program))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().take(5).collect::<Vec<_>>().join("\n");
        Err(format!("{}: {}\n{last}", self.program, output.status))
    }
}
