//! Whose code runs: the harness's own, or the code under test.
//!
//! Key types: [`Side`], [`OnSide`]. The heap hook hears of allocations of the code under test
//! alone: what the harness allocates for events, names, queues and ports would drown them, and
//! would make the detector recurse. A task begins on the harness's side. Where it calls what the
//! user wrote it changes to the user's ([`Side::call`]), and every primitive and port that a user
//! can call changes back ([`harness_side`]). What is called back later (shrinkers, page owners, work
//! items) remembers the side that it was registered from. The side follows the task through every
//! switch, as its scopes do ([`super::task::Installed`]).

use core::cell::Cell;
use core::marker::PhantomData;

use crate::event::TaskKind;

thread_local! {
    // Constant and without a destructor: it is read from inside an allocator.
    static SIDE: Cell<Side> = const { Cell::new(Side::Harness) };
}

/// Whose code runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// The harness's.
    Harness,
    /// The code under test.
    User,
}

/// The side that was entered; dropping it goes back.
#[must_use = "the side changes back when this is dropped; bind it to a name"]
pub(crate) struct OnSide {
    before: Side,
    task_bound: PhantomData<*const ()>,
}

impl Side {
    /// Whose code the running task is in.
    pub(crate) fn now() -> Self {
        SIDE.get()
    }

    /// Whose a task's body is: servers are the harness's.
    pub(crate) const fn of(kind: TaskKind) -> Self {
        match kind {
            TaskKind::Task => Self::User,
            TaskKind::Server | TaskKind::Foreign => Self::Harness,
        }
    }

    #[inline]
    pub(crate) fn enter(self) -> OnSide {
        OnSide { before: SIDE.replace(self), task_bound: PhantomData }
    }

    /// Calls `f` on this side.
    pub(crate) fn call<R>(self, f: impl FnOnce() -> R) -> R {
        let _side = self.enter();
        f()
    }
}

/// The harness's own work until the drop.
#[inline]
pub(crate) fn harness_side() -> OnSide {
    Side::Harness.enter()
}

impl Drop for OnSide {
    #[inline]
    fn drop(&mut self) {
        SIDE.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_ends_where_it_began_also_when_unwound() {
        assert_eq!(Side::now(), Side::Harness);
        let _user = Side::User.enter();
        let unwound = std::panic::catch_unwind(|| {
            let _ours = harness_side();
            assert_eq!(Side::now(), Side::Harness);
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(unwound.is_err());
        assert_eq!(Side::now(), Side::User);
    }

    #[test]
    fn whoever_runs_meanwhile_is_on_the_harness_side() {
        let _user = Side::User.enter();
        assert_eq!(super::super::task::off_thread(Side::now), Side::Harness);
        assert_eq!(Side::now(), Side::User);
    }
}
