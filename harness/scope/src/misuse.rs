//! `Misuse`: every way to leave a scope wrongly, in one table.
//!
//! Key types: [`Misuse`], [`MisuseReport`]. The record stack of an attached task finds the misuses
//! that one task can know of. The judges find those that involve two tasks or the end of a task.
//! Written from docs/kernel/scopes.md, "Tokens" and "Ways to lose a scope", and
//! docs/kernel/rules.md, "Invariants" (6 to 8).

use core::fmt;

use crate::kind::ScopeKind;
use crate::site::Site;

macro_rules! misuses {
    ($($(#[$doc:meta])* $name:ident, $text:literal, $sentence:literal;)*) => {
        /// A way to use a scope wrongly.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Misuse {
            $($(#[$doc])* #[doc = $sentence] $name,)*
        }

        impl Misuse {
            /// Every misuse, in order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// In two or three words.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What happened and what to do instead, as a sentence whose subject is the scope.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

misuses! {
    OutOfOrder, "left out of order",
        "it was left while a scope that shares its flag, entered inside it, was still open; leave the inner one first";
    Stale, "left twice",
        "it was left though it was not open any more; use each token once";
    WrongKind, "left as another kind",
        "it was left with the restore of another kind; restore with the pair of its save";
    OtherTask, "left on another task",
        "it was left on a task that did not enter it; leave it here and enter a new one there";
    ZeroToken, "left with an empty token",
        "it was left with a token that no save returned; let the commit end the scope and enter a new one";
    LeakedAtExit, "open at task exit",
        "it was still open when its task ended; leave it on every path, or declare it with enter_permanent";
    LeakedPastWork, "open past its work item",
        "it was entered in a work item and still open after it, so the worker's next item runs in it; leave it in the item";
    TooDeep, "nested too deeply",
        "it was entered when 32 scopes were already open, so only its flag was set; enter it around the loop, not in the recursion";
    HeldAcrossAwait, "held across an await",
        "it was open while its future was suspended, so whatever ran next ran in it; wrap the future with in_scope";
    Inherited, "inherited by fork",
        "it was on the task that forked this one and nobody here holds a token; disown it or declare it with enter_permanent";
    RestoredAfterSignal, "outlived its origin",
        "it stands for a scope of another task, which ended while it was open; leave it, then signal";
    NeverReentered, "handed over and dropped",
        "its transaction was handed over and the intent was dropped; enter the intent on the task that completes it";
    LeakedPastCall, "open past a call",
        "it was entered in a callback and still open after it, so the caller goes on in it; leave it in the callback";
    ChangedInCall, "changed by a call",
        "a callback changed the task's flag word; leave in it only scopes that it entered";
    WordDiffers, "flag word overwritten",
        "the task's flag word does not match its open scopes: code wrote the word directly; restore only the flags that were set";
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One misuse that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MisuseReport {
    /// What is wrong.
    pub what: Misuse,
    /// The kind of the scope that was used wrongly.
    pub kind: ScopeKind,
    /// The number of the task that entered the scope.
    pub owner: u32,
    /// The number of the scope on that task; 0 where it is not known.
    pub seq: u32,
    /// Where the scope was entered or, where that is not known, where it was used wrongly.
    pub site: Site,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_misuse_has_a_name_and_a_sentence_that_no_other_has() {
        for (place, misuse) in Misuse::ALL.iter().enumerate() {
            assert!(misuse.sentence().contains(';'), "{misuse}: what happened; what to do");
            for other in &Misuse::ALL[..place] {
                assert_ne!((misuse.name(), misuse.sentence()), (other.name(), other.sentence()));
            }
        }
    }
}
