//! Asking a filesystem whether reclaim may work on it while one of its own scopes is active.
//!
//! Key types: [`AskFilesystem`], [`SaysNo`]. Rule R3 of Chinner's proposal: same superblock, "pass
//! context to filesystem to decide". Written from docs/kernel/proposals.md, "The reclaim context"
//! (question A7: what may the filesystem do when it is asked?).

use core::fmt::Debug;

use reclaimdep_scope::ReclaimContext;

use super::Target;

/// Answers for filesystems. The implementor knows to which filesystem a context belongs.
///
/// Reclaim calls it below an allocation of the task whose scope it decides about. So it must not
/// wait and must not allocate. It may compare values: the context's transaction number, the owner
/// of a lock.
pub trait AskFilesystem: Send + Sync + Debug {
    /// Whether the filesystem of `context` permits reclaim to work on `target`, which belongs to
    /// it.
    fn may_reclaim(&self, context: &ReclaimContext, target: &Target) -> bool {
        let _ = (context, target);
        false
    }
}

/// A filesystem that always denies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SaysNo;

impl AskFilesystem for SaysNo {}
