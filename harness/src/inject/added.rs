//! Scopes that the plan adds around allocations of the code under test.
//!
//! Key type: [`AddedScope`]. A run with an added scope shows whether a scope at that allocation
//! would have prevented a finding. Written from docs/kernel/scopes.md, "Nesting and placement", and
//! docs/kernel/lockdep.md, "What a report contains".

use reclaimdep_scope::{ScopeGuard, ScopeKind, nofs, noio};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event::{Site, source_line};

/// Which scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeChoice {
    /// `memalloc_nofs_save`.
    Nofs,
    /// `memalloc_noio_save`.
    Noio,
}

impl ScopeChoice {
    /// Both, the milder one first.
    pub const ALL: [Self; 2] = [Self::Nofs, Self::Noio];

    /// `nofs`, `noio`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nofs => ScopeKind::Nofs.name(),
            Self::Noio => ScopeKind::Noio.name(),
        }
    }
}

/// A scope around every allocation that is made at one line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AddedScope {
    /// The scope.
    pub scope: ScopeChoice,
    /// The line of the allocation, as in reports: `src/rsync.rs:12`.
    pub at: String,
    /// A run passes though nothing is allocated there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl AddedScope {
    /// `scope` around every allocation that is made at the line `at`.
    pub fn new(scope: ScopeChoice, at: impl Into<String>) -> Self {
        Self { scope, at: at.into(), optional: false }
    }

    /// The same scope, without which a run passes too.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let line = self
            .at
            .rsplit_once(':')
            .map(|(file, line)| !file.is_empty() && line.parse::<u32>().is_ok());
        if line == Some(true) {
            return Ok(());
        }
        let what = format!(
            "the plan adds a scope {} at `{}`, which is not a line of a file",
            self.scope.name(),
            self.at
        );
        Err(Error::input(what).advice("write it as in reports: src/rsync.rs:12"))
    }

    /// Whether this is about an allocation made at `site`.
    pub(super) fn is_about(&self, site: Site) -> bool {
        let Some((file, line)) = self.at.rsplit_once(':') else {
            return false;
        };
        let Some(site) = source_line(site) else {
            return false;
        };
        let path = site.file.replace('\\', "/");
        let same =
            path.strip_suffix(file).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
        same && line.parse() == Ok(site.line)
    }
}

/// Enters the scope that `added` has for an allocation at `site`. If it has both, NOIO is enough,
/// since it includes NOFS.
pub(super) fn enter(added: &[AddedScope], site: Site) -> Option<ScopeGuard> {
    let here = || added.iter().filter(|scope| scope.is_about(site));
    let strictest =
        here().find(|scope| scope.scope == ScopeChoice::Noio).or_else(|| here().next())?;
    Some(match strictest.scope {
        ScopeChoice::Nofs => nofs(),
        ScopeChoice::Noio => noio(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(at: &str, file: &'static str, line: u32, expect: bool) {
        let scope = AddedScope::new(ScopeChoice::Nofs, at);
        assert!(scope.check().is_ok());
        assert_eq!(scope.is_about(Site { file, line }), expect);
    }

    #[test]
    fn a_line_is_matched_by_the_end_of_its_path() {
        check("src/rsync.rs:12", "src/rsync.rs", 12, true);
        check("src/rsync.rs:12", "tests/../src/rsync.rs", 12, true);
        check("src/rsync.rs:12", "other\\src\\rsync.rs", 12, true);
        check("src/rsync.rs:12", "src/rsync.rs", 13, false);
        check("rsync.rs:12", "src/my_rsync.rs", 12, false);
    }

    #[test]
    fn text_that_is_not_a_line_is_refused() {
        for at in ["", "src/rsync.rs", "src/rsync.rs:", ":12", "src/rsync.rs:-1"] {
            let refused = AddedScope::new(ScopeChoice::Noio, at).check();
            assert!(refused.unwrap_err().to_string().contains("src/rsync.rs:12"), "{at}");
        }
    }
}
