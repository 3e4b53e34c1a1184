//! Whose code runs on a task: the harness side, or the user side.
//!
//! Key types: [`Side`], [`OnSide`]. The heap hook sees allocations of the user side alone: the
//! harness allocates for events, names, queues and ports, and the hook would recurse if it saw
//! those. A task begins on the harness side. Where it calls code of the user it changes to the user
//! side ([`Side::call`]), and every primitive and port that a user can call changes back
//! ([`harness_side`]). A callback (shrinker, page owner, work item) runs on the side from which it
//! was registered. The side follows the task through every switch, as its scopes do
//! ([`super::task::Installed`]).

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
    /// The harness and its ports.
    Harness,
    /// Code under test.
    User,
}

/// A side that was entered; dropping this goes back to the side before.
#[must_use = "the side changes back when this is dropped; bind it to a name"]
pub(crate) struct OnSide {
    before: Side,
    task_bound: PhantomData<*const ()>,
}

impl Side {
    /// The side of the running task.
    pub(crate) fn now() -> Self {
        SIDE.get()
    }

    /// Whether code of the user runs, and its thread does not unwind. While a thread unwinds, the
    /// panic machinery allocates for its message, not the code under test.
    pub(crate) fn is_users_code() -> bool {
        Self::now() == Self::User && !std::thread::panicking()
    }

    /// The side on which a task's body runs: servers are part of the harness.
    pub(crate) const fn of(kind: TaskKind) -> Self {
        match kind {
            TaskKind::Task => Self::User,
            TaskKind::Server | TaskKind::UserServer | TaskKind::Foreign => Self::Harness,
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

/// Enters the harness side until the guard drops.
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
    fn dropping_a_side_goes_back_also_when_unwinding() {
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
    fn other_tasks_run_on_the_harness_side_during_a_switch() {
        let _user = Side::User.enter();
        assert_eq!(super::super::task::off_thread(Side::now), Side::Harness);
        assert_eq!(Side::now(), Side::User);
    }
}
