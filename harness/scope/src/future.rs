//! Scopes around futures: entered at each poll and left after it.
//!
//! Key type: [`FutureExt`]. A guard that is held across an `.await` restricts whatever future the
//! executor polls next, and is dropped on whatever thread polls last. Where a future must be `Send`
//! the compiler rejects such a guard, because guards are not `Send`; elsewhere these wrappers
//! report it.
//!
//! ```compile_fail,E0277
//! fn spawn<F: Future + Send>(_: F) {}
//! # async fn write() {}
//! spawn(async {
//!     let _nofs = reclaimdep_scope::nofs();
//!     write().await; // `*const ()` cannot be sent between threads safely
//! });
//! ```

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use crate::kind::{Entered, ScopeKind};
use crate::misuse::Misuse;
use crate::raw::tell;
use crate::{context, stack};

/// Scopes for futures; implemented for every future.
///
/// ```
/// use reclaimdep_scope::{FutureExt, ScopeKind};
/// fn spawn<F: Future + Send>(_: F) {}
/// # async fn write() {}
/// spawn(write().in_scope(ScopeKind::Nofs));
/// ```
pub trait FutureExt: Future + Sized {
    /// This future with each poll inside a scope of `kind`, checked like [`FutureExt::checked`].
    #[track_caller]
    fn in_scope(self, kind: ScopeKind) -> impl Future<Output = Self::Output> {
        async move {
            let mut inner = pin!(self);
            poll_fn(move |task| {
                let _scope = kind.enter();
                checked_poll(|| inner.as_mut().poll(task))
            })
            .await
        }
    }

    /// This future; a scope that it enters and holds across an await is reported
    /// ([`Misuse::HeldAcrossAwait`], RD06). Outside a world nothing is reported.
    fn checked(self) -> impl Future<Output = Self::Output> {
        async move {
            let mut inner = pin!(self);
            poll_fn(move |task| checked_poll(|| inner.as_mut().poll(task))).await
        }
    }
}

impl<F: Future> FutureExt for F {}

/// Polls. If the future is not done, reports each scope that the poll left open.
fn checked_poll<T>(poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
    let before = newest();
    let outcome = poll();
    if outcome.is_pending() && context::is_attached() {
        // From the innermost: each report is about one scope, entered in this poll and still open.
        for scope in context::scopes().take_while(|scope| scope.seq > before) {
            if scope.how != Entered::Permanent {
                let owner = stack::with(|stack| stack.head.task);
                let (kind, seq, site) = (scope.kind, scope.seq, scope.site);
                tell(Some(crate::MisuseReport {
                    what: Misuse::HeldAcrossAwait,
                    kind,
                    owner,
                    seq,
                    site,
                }));
            }
        }
    }
    outcome
}

/// The number of the task's newest scope.
fn newest() -> u32 {
    if context::is_attached() { stack::with(|stack| stack.head.next_seq) } else { 0 }
}
