//! Layer frames: which level of the storage stack the running code is in.
//!
//! Key types: [`Layer`] (the kind), [`LayerRef`] (kind and instance), [`LayerGuard`]. Scopes forbid
//! kinds of layers; the judges compare frames with them. Outside a world, entering a layer costs
//! one thread-local load.

use core::marker::PhantomData;
use core::panic::Location;

use crate::kind::ScopeKind;
use crate::listener;
use crate::site::Site;
use crate::word;

/// A level of the storage stack. Users can name their own: `Layer::new("raft")`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Layer(&'static str);

impl Layer {
    /// Filesystem code.
    pub const FS: Self = Self("fs");
    /// The dm-bufio buffer cache.
    pub const BUFIO: Self = Self("bufio");
    /// The loop driver.
    pub const LOOP: Self = Self("loop");
    /// Block I/O submission.
    pub const IO: Self = Self("io");
    /// Swap.
    pub const SWAP: Self = Self("swap");

    /// A layer of the user's own. Layers with the same name are the same layer.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The layer's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// Whether a scope of `kind` forbids reclaim to enter this layer.
    #[must_use]
    pub fn forbidden_by(self, kind: ScopeKind) -> bool {
        match kind {
            ScopeKind::Nofs | ScopeKind::Context(_) => self == Self::FS,
            ScopeKind::Noio => self == Self::FS || self == Self::IO,
            ScopeKind::Forbid(layers) => layers.contains(&self),
            ScopeKind::Noreclaim | ScopeKind::Pin | ScopeKind::Nowait | ScopeKind::Kswapd => false,
        }
    }
}

/// One instance of a layer, such as `fs` number 3. The world that built the stack knows its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LayerRef {
    /// The kind.
    pub layer: Layer,
    /// The number that the layer's owner gave to this instance.
    pub instance: u32,
}

/// An entered layer; dropping it leaves the layer.
#[must_use = "the frame ends when this guard is dropped; bind it to a name"]
#[derive(Debug)]
pub struct LayerGuard {
    layer: LayerRef,
    told: bool,
    task_bound: PhantomData<*const ()>,
}

/// Enters layer `layer`, instance `instance`, on the running task.
///
/// ```
/// use reclaimdep_scope::{Layer, enter};
///
/// fn append(log: u32) {
///     let _raft = enter(Layer::new("raft"), log);
///     // Work that a scope of `forbid(&[Layer::new("raft")])` keeps reclaim from.
/// }
/// append(0);
/// ```
#[inline]
#[track_caller]
pub fn enter(layer: Layer, instance: u32) -> LayerGuard {
    let layer = LayerRef { layer, instance };
    let told = word::is_attached();
    if told {
        tell_enter(layer, Location::caller());
    }
    LayerGuard { layer, told, task_bound: PhantomData }
}

#[cold]
fn tell_enter(layer: LayerRef, location: &'static Location<'static>) {
    listener::notify(|l| l.layer_enter(layer, Site::from(location)));
}

#[cold]
fn tell_exit(layer: LayerRef) {
    listener::notify(|l| l.layer_exit(layer));
}

impl Drop for LayerGuard {
    #[inline]
    fn drop(&mut self) {
        if self.told {
            tell_exit(self.layer);
        }
    }
}
