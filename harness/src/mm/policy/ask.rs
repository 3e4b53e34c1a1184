//! Asking a filesystem whether reclaim may work on it while one of its own scopes is active.
//!
//! Key types: [`AskFilesystem`], [`SaysNo`]. Rule R3 of Chinner's proposal: same superblock, "pass
//! context to filesystem to decide". Written from the project's description, 7.3 (A7).

use core::fmt::Debug;

use reclaimdep_scope::ReclaimContext;

use super::Target;

/// Answers for filesystems. The implementor knows which filesystem a context belongs to.
///
/// It is called from reclaim, below an allocation of the very task whose scope it decides about. So
/// it must not wait and must not allocate; it may compare what it has: the context's transaction
/// number, a lock's owner. It gets no stack to walk and nothing to change.
pub trait AskFilesystem: Send + Sync + Debug {
    /// Whether `context`'s filesystem says that reclaim may work on `target`, which is its own.
    fn may_reclaim(&self, context: &ReclaimContext, target: &Target) -> bool {
        let _ = (context, target);
        false
    }
}

/// The answer of a filesystem that does not know better.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SaysNo;

impl AskFilesystem for SaysNo {}
