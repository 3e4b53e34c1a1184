//! `Site`: a source line, as scopes, layers and locks remember where they were entered.

use core::fmt;
use core::panic::Location;

use crate::{listener, word};

/// A source line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Site {
    /// The file, as the compiler names it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
}

impl Site {
    /// The line that called this function, seen through `#[track_caller]`.
    #[track_caller]
    #[must_use]
    pub fn here() -> Self {
        Self::from(Location::caller())
    }
}

impl From<&'static Location<'static>> for Site {
    fn from(location: &'static Location<'static>) -> Self {
        let site = Self { file: location.file(), line: location.line() };
        if word::is_attached() { site.in_users_code() } else { site }
    }
}

/// Paths of the standard library's source: as its own build names it, or in a toolchain.
const STD: [&str; 3] = ["/rustc/", "/rustlib/src/", "/rust/deps/"];

impl Site {
    /// Where a method is passed as a function, as in `.map(Mutex::lock)`, the standard library is
    /// the caller. Then the world's listener finds the line of the code under test, which must be
    /// on the stack: a task's site is not found later.
    #[cold]
    fn in_users_code(self) -> Self {
        // The compiler names files of a workspace relative to its root.
        if !self.file.starts_with(['/', '\\']) && !self.file.contains(':') {
            return self;
        }
        let path = self.file.replace('\\', "/");
        if !STD.iter().any(|part| path.contains(part)) {
            return self;
        }
        listener::ask(|l| l.users_site(self)).unwrap_or(self)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
