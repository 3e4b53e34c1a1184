//! A listener for this crate's own tests; it keeps what the task of each thread reported.
//!
//! Key types: [`Attached`] (the thread runs a task of a world until the value is dropped),
//! [`Heard`].

use core::cell::RefCell;
use std::sync::Arc;

use crate::context::{self, Context};
use crate::listener::{self, Listener, ShrinkerHandle};
use crate::lock::LockRef;
use crate::{LayerRef, Misuse, MisuseReport, Scope, ScopeKind, Shrinker, Site, TaskFlags};

/// One call of the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Enter(ScopeKind, u32),
    Exit(ScopeKind, u32),
    Misuse(Misuse),
    Layer(&'static str),
    Lock(&'static str),
    Unlock(&'static str),
    Shrinker(String),
}

thread_local! {
    static HEARD: RefCell<Vec<Heard>> = const { RefCell::new(Vec::new()) };
}

struct TestListener;

fn hear(heard: Heard) {
    HEARD.with_borrow_mut(|list| list.push(heard));
}

impl Listener for TestListener {
    fn scope_enter(&self, scope: Scope) {
        hear(Heard::Enter(scope.kind, scope.seq));
    }
    fn scope_exit(&self, kind: ScopeKind, seq: u32) {
        hear(Heard::Exit(kind, seq));
    }
    fn scope_misuse(&self, misused: MisuseReport) {
        hear(Heard::Misuse(misused.what));
    }
    fn layer_enter(&self, layer: LayerRef, _: Site) {
        hear(Heard::Layer(layer.layer.name()));
    }
    fn layer_exit(&self, _: LayerRef) {}
    fn lock(&self, lock: LockRef, _: Site) {
        hear(Heard::Lock(lock.class));
    }
    fn try_lock(&self, lock: LockRef, _: Site) -> bool {
        hear(Heard::Lock(lock.class));
        true
    }
    fn unlock(&self, lock: LockRef) {
        hear(Heard::Unlock(lock.class));
    }
    fn register_shrinker(&self, shrinker: Arc<dyn Shrinker>) -> Option<ShrinkerHandle> {
        hear(Heard::Shrinker(shrinker.name().to_owned()));
        Some(Box::new(()))
    }
}

/// Makes this thread task `number` of a world until the value is dropped.
pub(crate) struct Attached(Context);

impl Attached {
    pub(crate) fn new(number: u32, flags: TaskFlags) -> Self {
        listener::install(&TestListener);
        HEARD.take();
        let this = Self(context::replace(Context::attached(number, flags)));
        context::announce();
        this
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        context::swap(&mut self.0);
    }
}

/// The listener's calls since the thread was attached or this function was called last.
pub(crate) fn heard() -> Vec<Heard> {
    HEARD.take()
}

/// The misuses among [`heard`].
pub(crate) fn misuses() -> Vec<Misuse> {
    let misuse = |heard| if let Heard::Misuse(what) = heard { Some(what) } else { None };
    heard().into_iter().filter_map(misuse).collect()
}
