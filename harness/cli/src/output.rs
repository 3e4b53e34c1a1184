//! What the program says: reports and tables on standard output, errors on standard error.
//!
//! Key functions: [`print()`], [`error`], [`panicked`]. `println!` panics where the reader has
//! closed the pipe, and what it keeps in a buffer is lost without a word on a full disk. So
//! everything is written and flushed here, and a failure is an error.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::panic::PanicHookInfo;

use reclaimdep::kernel::error::visible;
use reclaimdep::{Error, Result};

/// Prints `text`, whose names are escaped, on standard output.
///
/// # Errors
/// If not all of it could be written.
pub(crate) fn print(text: &str) -> Result<()> {
    write(&mut io::stdout().lock(), "standard output", text)
}

/// Prints `text`, whose names are escaped, on standard error.
///
/// # Errors
/// If not all of it could be written.
pub(crate) fn print_aside(text: &str) -> Result<()> {
    write(&mut io::stderr().lock(), "standard error", text)
}

/// Prints an error. If standard error is closed, the exit status still says it.
pub(crate) fn error(error: &dyn Display) {
    drop(print_aside(&format!("error: {error}\n")));
}

/// The panic hook: the message with its names escaped.
pub(crate) fn panicked(info: &PanicHookInfo<'_>) {
    let at = info.location().map_or_else(String::new, |at| format!(" at {at}"));
    let message = info.payload_as_str().unwrap_or("a value that is no text");
    let mut text = format!("panicked{}: {}\n", visible(&at), visible(message));
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        text += &format!("{trace}\n");
    }
    drop(print_aside(&text));
}

fn write(to: &mut dyn Write, name: &str, text: &str) -> Result<()> {
    to.write_all(text.as_bytes()).and_then(|()| to.flush()).map_err(|cause| {
        let advice = match cause.kind() {
            ErrorKind::BrokenPipe => "the program that reads it has closed it",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the output is incomplete",
            _ => "it must be open and writable",
        };
        Error::os(format!("cannot write to {name}")).because(cause).advice(advice)
    })
}
