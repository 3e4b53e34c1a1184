//! Errors: [`Error`] for the caller of the harness, [`Errno`] inside the simulated kernel.
//!
//! A finding says that the code under test is wrong, and is a [`crate::report::Finding`]. An
//! `Error` says that the harness cannot do what it was asked: it names what is wrong, where, and
//! what to do about it. `escape` makes names safe to print; every error line goes through it.

mod escape;

use core::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use escape::line_start;
pub use escape::{visible, visible_json, visible_os};

/// The result of a harness call.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// The kind of an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is invalid: a case file, a spec, an argument.
    Input,
    /// This machine lacks something: a device node, a privilege, a tool.
    Environment,
    /// Stored bytes are not what they should be: a damaged image, a bad checksum.
    Corrupt,
    /// An operation of the operating system failed.
    Os,
    /// The harness was used against its rules.
    Misuse,
    /// A limit ended the run before it could be judged: it is neither quiet nor a finding.
    Inconclusive,
}

/// An error of the harness: what is wrong, where, and what to do about it.
///
/// `Display` gives the whole: one line of printable ASCII with the causes and the advice, and a
/// line for each [`detail`](Self::detail). So `source` returns nothing, or a printer of chains
/// would show the causes twice; [`reason`](Self::reason) returns the cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    what: String,
    advice: Option<String>,
    details: Vec<String>,
    reason: Option<Box<dyn core::error::Error + Send + Sync>>,
}

impl Error {
    fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), advice: None, details: Vec::new(), reason: None }
    }

    /// An error of kind [`ErrorKind::Input`].
    pub fn input(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, what)
    }

    /// An error of kind [`ErrorKind::Environment`].
    pub fn environment(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Environment, what)
    }

    /// An error of kind [`ErrorKind::Corrupt`].
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, what)
    }

    /// An error of kind [`ErrorKind::Os`].
    pub fn os(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Os, what)
    }

    /// An error of kind [`ErrorKind::Misuse`].
    pub fn misuse(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Misuse, what)
    }

    /// An error of kind [`ErrorKind::Inconclusive`].
    pub fn inconclusive(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Inconclusive, what)
    }

    /// Adds advice: what the reader should do about it.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds advice where there is none.
    #[cfg(all(feature = "loop", target_os = "linux"))]
    #[must_use]
    pub(crate) fn or_advice(mut self, advice: &str) -> Self {
        self.advice.get_or_insert_with(|| advice.to_owned());
        self
    }

    /// Adds a line below the error: a stack frame, a line that a process printed.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, reason: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The kind, what is wrong with its cause, and the advice: for another process.
    #[cfg(all(feature = "loop", target_os = "linux"))]
    pub(crate) fn into_parts(mut self) -> (ErrorKind, String, Option<String>) {
        let advice = self.advice.take();
        (self.kind, self.to_string(), advice)
    }

    /// The error that [`Error::into_parts`] took apart.
    #[cfg(all(feature = "loop", target_os = "linux"))]
    pub(crate) fn from_parts(kind: ErrorKind, what: String, advice: Option<String>) -> Self {
        Self { advice, ..Self::new(kind, what) }
    }

    /// The kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The cause, where there is one.
    #[must_use]
    pub fn reason(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.reason.as_ref().map(|reason| &**reason as _)
    }

    /// What, why and advice, not yet escaped.
    fn line(&self) -> String {
        let mut line = self.what.clone();
        if let Some(reason) = self.reason() {
            line += &format!(": {}", chain(reason));
        }
        if let Some(advice) = &self.advice {
            line += &format!("; {advice}");
        }
        line
    }

    /// Its details, and those of its cause.
    fn all_details(&self) -> Vec<&String> {
        let inner = self.reason().and_then(|reason| reason.downcast_ref::<Self>());
        self.details.iter().chain(inner.map_or_else(Vec::new, Self::all_details)).collect()
    }
}

/// `error` and its sources. Many errors show their source themselves; it is not shown again.
fn chain(error: &(dyn core::error::Error + 'static)) -> String {
    let mut text = error.downcast_ref().map_or_else(|| error.to_string(), Error::line);
    let mut source = error.source();
    while let Some(inner) = source {
        let said = inner.to_string();
        if !text.contains(&said) {
            text += &format!(": {said}");
        }
        source = inner.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible(&self.line()))?;
        self.all_details().iter().try_for_each(|detail| write!(f, "\n  {}", visible(detail)))
    }
}

impl core::error::Error for Error {}

macro_rules! errnos {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// An error number inside the simulated kernel, as a kernel function returns it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Errno {
            $($(#[$doc])* $name = $value,)*
        }

        impl Errno {
            /// The errno of this number on Linux; [`Errno::EIO`] for a number that is not in this
            /// list.
            #[must_use]
            pub const fn from_raw(raw: i32) -> Self {
                match raw {
                    $($value => Self::$name,)*
                    _ => Self::EIO,
                }
            }
        }

        impl fmt::Display for Errno {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => stringify!($name),)* })
            }
        }
    };
}

errnos! {
    /// Not permitted.
    EPERM = 1,
    /// No such file.
    ENOENT = 2,
    /// Input/output error.
    EIO = 5,
    /// No such device.
    ENXIO = 6,
    /// Try again.
    EAGAIN = 11,
    /// Out of memory.
    ENOMEM = 12,
    /// Busy.
    EBUSY = 16,
    /// Already there.
    EEXIST = 17,
    /// No such device.
    ENODEV = 19,
    /// Not a directory.
    ENOTDIR = 20,
    /// Is a directory.
    EISDIR = 21,
    /// Invalid argument.
    EINVAL = 22,
    /// File too large.
    EFBIG = 27,
    /// No space left.
    ENOSPC = 28,
    /// Read-only.
    EROFS = 30,
    /// The wait closed a cycle and was broken.
    EDEADLK = 35,
    /// Name too long.
    ENAMETOOLONG = 36,
    /// Not implemented.
    ENOSYS = 38,
    /// Operation not supported.
    EOPNOTSUPP = 95,
    /// Transport endpoint is not connected.
    ENOTCONN = 107,
}

impl Errno {
    /// The number on Linux.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self as i32
    }
}

impl core::error::Error for Errno {}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self::from_raw(error.raw_os_error().unwrap_or(Self::EIO as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: &Error, shown: &str) {
        assert_eq!(error.to_string(), shown);
    }

    #[test]
    fn an_error_is_one_line_with_its_causes_and_its_advice() {
        let inner = Error::os("cannot read").because(Errno::EIO).advice("look at the log");
        check(&Error::input("a file").because(inner), "a file: cannot read: EIO; look at the log");
        let wrapped = std::io::Error::other(Errno::ENOSPC);
        check(&Error::os("no").because(wrapped), "no: ENOSPC");
    }

    #[test]
    fn a_printer_of_chains_shows_each_cause_once() {
        let error = Error::os("no").because(Errno::EIO);
        let source: &dyn core::error::Error = &error;
        assert!(source.source().is_none(), "Display has it");
        assert!(error.reason().is_some_and(|reason| reason.is::<Errno>()));
    }

    #[test]
    fn details_are_lines_and_no_name_makes_one() {
        let inner = Error::os("a\nb").detail("c\u{1b}");
        check(&Error::input("x").because(inner).detail("y"), "x: a\\nb\n  y\n  c\\u{1b}");
    }
}
