//! The flag word of the running task: the one thread-local that the hot path touches.
//!
//! Task flags and one private bit, [`ATTACHED`]: this thread runs a task of a world that listens.
//! So one load tells an entering scope both what to restore and whether anybody wants to know.

use core::cell::Cell;

use crate::TaskFlags;

/// The running task belongs to a world. No flag of the kernel that we have is here.
pub(crate) const ATTACHED: u32 = 1 << 31;

thread_local! {
    // Constant and without a destructor: it may be read from inside an allocator, and while the
    // thread's other locals are being destroyed.
    static WORD: Cell<u32> = const { Cell::new(0) };
}

#[inline]
pub(crate) fn get() -> u32 {
    WORD.get()
}

#[inline]
pub(crate) fn set(word: u32) {
    WORD.set(word);
}

#[inline]
pub(crate) fn is_attached() -> bool {
    get() & ATTACHED != 0
}

/// The flags in a word.
#[inline]
pub(crate) const fn flags(word: u32) -> TaskFlags {
    TaskFlags::from_bits_truncate(word)
}

/// Replaces the flags in the word and leaves the private bit alone.
pub(crate) fn set_flags(flags: TaskFlags) {
    set(get() & ATTACHED | flags.bits());
}
