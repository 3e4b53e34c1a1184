//! The task context: the flag word that scopes set and allocations read.
//!
//! Key types: [`TaskFlags`], [`Context`]. One word per OS thread, written only by the running task,
//! as in the kernel; that rule is what makes it lock-free. A scheduler that runs several tasks on
//! one thread moves the word with the task through [`replace`].

use core::cell::Cell;
use core::fmt;
use core::ops::BitOr;

/// The scope bits of a task's flag word (`PF_MEMALLOC*`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct TaskFlags(u32);

impl TaskFlags {
    /// No scope.
    pub const EMPTY: Self = Self(0);
    /// `PF_MEMALLOC`: the task is the reclaimer; no reclaim of its own, unlimited reserves.
    pub const MEMALLOC: Self = Self(0x0000_0800);
    /// `PF_MEMALLOC_NOFS`.
    pub const MEMALLOC_NOFS: Self = Self(0x0004_0000);
    /// `PF_MEMALLOC_NOIO`.
    pub const MEMALLOC_NOIO: Self = Self(0x0008_0000);
    /// `PF_LOCAL_THROTTLE`: cleans pages of one device by dirtying another.
    pub const LOCAL_THROTTLE: Self = Self(0x0010_0000);
    /// `PF_MEMALLOC_PIN`.
    pub const MEMALLOC_PIN: Self = Self(0x1000_0000);

    /// Whether every bit of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for TaskFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for TaskFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::MEMALLOC, "PF_MEMALLOC"),
            (Self::MEMALLOC_NOFS, "PF_MEMALLOC_NOFS"),
            (Self::MEMALLOC_NOIO, "PF_MEMALLOC_NOIO"),
            (Self::LOCAL_THROTTLE, "PF_LOCAL_THROTTLE"),
            (Self::MEMALLOC_PIN, "PF_MEMALLOC_PIN"),
        ];
        let mut sep = "";
        for (_, name) in names.into_iter().filter(|(bit, _)| self.contains(*bit)) {
            write!(f, "{sep}{name}")?;
            sep = "|";
        }
        if *self == Self::EMPTY { f.write_str("0") } else { Ok(()) }
    }
}

/// What moves with a task when a scheduler switches: today the flag word and the scope counter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    flags: TaskFlags,
    next_scope: u32,
}

impl Context {
    /// A context that starts with `flags` set: what a child of `fork` inherits.
    #[must_use]
    pub const fn with_flags(flags: TaskFlags) -> Self {
        Self { flags, next_scope: 0 }
    }

    /// The flag word in this context.
    #[must_use]
    pub const fn flags(&self) -> TaskFlags {
        self.flags
    }
}

thread_local! {
    static FLAGS: Cell<TaskFlags> = const { Cell::new(TaskFlags::EMPTY) };
    static NEXT_SCOPE: Cell<u32> = const { Cell::new(0) };
}

/// The running task's flag word.
#[must_use]
pub fn flags() -> TaskFlags {
    FLAGS.get()
}

/// Sets bits in the running task's flag word; returns those that were not set before.
pub(crate) fn set(bits: TaskFlags) -> TaskFlags {
    let before = FLAGS.get();
    FLAGS.set(before | bits);
    bits.without(before)
}

/// Clears bits in the running task's flag word.
pub(crate) fn clear(bits: TaskFlags) {
    FLAGS.set(FLAGS.get().without(bits));
}

/// The next scope sequence number of the running task.
pub(crate) fn next_scope() -> u32 {
    let seq = NEXT_SCOPE.get() + 1;
    NEXT_SCOPE.set(seq);
    seq
}

/// Installs `context` on this thread and returns the one that was there.
///
/// For schedulers: call it around every switch, so that the context follows the task and not the
/// thread.
pub fn replace(context: Context) -> Context {
    Context { flags: FLAGS.replace(context.flags), next_scope: NEXT_SCOPE.replace(context.next_scope) }
}
