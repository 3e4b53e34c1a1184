//! What the rooms above `sched` keep with a world's scheduler, so that any task of it finds it.
//!
//! Key type: [`Extensions`]. `sched` knows none of the types: the world keeps itself here (as a
//! weak reference), and the heap hook keeps the memory that hears of heap allocations. This is all
//! that `sched` does for the heap hook, besides the [side](super::side) of a task.

use std::any::Any;
use std::sync::OnceLock;

/// At most one value of each type. A value stays until the world ends, and a look-up takes no lock:
/// the heap hook does one for each allocation.
#[derive(Default)]
pub(super) struct Extensions(OnceLock<Box<Extension>>);

struct Extension {
    value: Box<dyn Any + Send + Sync>,
    next: Extensions,
}

impl Extensions {
    /// Keeps `value`, unless a value of its type was kept before.
    pub(super) fn add<T: Any + Send + Sync>(&self, value: T) {
        let mut new = Box::new(Extension { value: Box::new(value), next: Self::default() });
        let mut end = self;
        while let Err(rejected) = end.0.set(new) {
            new = rejected;
            let taken = end.0.get().expect("a cell that rejects a value has one");
            if taken.value.is::<T>() {
                return;
            }
            end = &taken.next;
        }
    }

    /// The value of this type, if one was kept.
    pub(super) fn get<T: Any>(&self) -> Option<&T> {
        let mut next = self.0.get();
        while let Some(extension) = next {
            if let Some(value) = extension.value.downcast_ref() {
                return Some(value);
            }
            next = extension.next.0.get();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_of_each_type_is_kept() {
        let extensions = Extensions::default();
        assert_eq!(extensions.get::<u32>(), None);
        extensions.add(1_u32);
        extensions.add("text");
        extensions.add(2_u32);
        assert_eq!((extensions.get::<u32>(), extensions.get::<&str>()), (Some(&1), Some(&"text")));
        assert_eq!(extensions.get::<u64>(), None);
    }
}
