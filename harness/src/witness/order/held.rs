//! `Hold`: something that a task holds and others may wait for.
//!
//! Key types: [`Hold`], [`Key`], [`Holder`]. Besides locks a task holds reclaim while it reclaims,
//! the requests of a queue while it serves one, the reserve of a pool while it has an element, a
//! condition while it or what it serves promises one, and its own exit always. A hold that *waited*
//! has edges from all that was held below it; one that was tried for, or that the task was given (a
//! request to serve), has none, so whatever is taken next gets edges from both.

use super::node::NodeId;
use crate::event::{Actor, LockId, PoolId, RequestId, Site, WaitId, WorkId};

/// Holds of one task beyond these are not kept; lockdep stops at 48.
pub(super) const MAX_HELD: usize = 64;

/// What ends a hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    Lock(LockId),
    Reclaim,
    Request(RequestId),
    Work(WorkId),
    Pool(PoolId),
    /// A promise of this one.
    Promise(WaitId, Actor),
    /// A request that was passed down.
    Carried(RequestId),
    /// A pseudo-lock that a claim entered.
    Claim,
    /// The end of the task.
    Life,
}

/// One thing held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) node: NodeId,
    pub(super) shared: bool,
    pub(super) waited: bool,
    pub(super) site: Option<Site>,
    pub(super) key: Key,
    /// The request or work item that the task serves while it holds this, where it holds it
    /// because of that.
    pub(super) via: Option<Actor>,
}

/// One task as the order graph sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Holder {
    pub(super) holds: Vec<Hold>,
    /// The lock that it asks for, and whether it waits until it gets it.
    pub(super) attempt: Option<(LockId, bool)>,
    /// How many brackets of claims are open.
    pub(super) claims: u32,
    pub(super) name: String,
}

impl Holder {
    pub(super) fn hold(&mut self, hold: Hold) {
        if self.holds.len() < MAX_HELD {
            self.holds.push(hold);
        }
    }

    /// Ends the last hold of `key`; says whether there was one.
    pub(super) fn drop_last(&mut self, key: Key) -> bool {
        let place = self.holds.iter().rposition(|hold| hold.key == key);
        place.map(|place| self.holds.remove(place)).is_some()
    }
}
