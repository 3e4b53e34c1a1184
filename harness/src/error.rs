//! Errors: [`Error`] for the caller of the harness, [`Errno`] inside the simulated kernel.
//!
//! A finding says that the code under test is wrong, and is a [`crate::report::Finding`]. An
//! `Error` says that the harness cannot do what it was asked: it names what is wrong, where, and
//! what to do about it.

use core::fmt;

use serde::{Deserialize, Serialize};

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
}

/// An error of the harness: what is wrong, where, and what to do about it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    what: String,
    advice: Option<String>,
    source: Option<Box<dyn core::error::Error + Send + Sync>>,
}

impl Error {
    fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), advice: None, source: None }
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

    /// Adds advice: what the reader should do about it.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
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
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        if let Some(advice) = &self.advice {
            write!(f, "; {advice}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

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
