//! The flag word of the running task: the one thread-local that the hot path touches.
//!
//! It holds the task flags and one private bit, [`ATTACHED`], which says that this thread runs a
//! task of a world. So one load gives an entering scope both the word to restore and whether the
//! scope must be recorded.

use core::cell::Cell;

use crate::TaskFlags;

/// The running task belongs to a world. No flag of [`TaskFlags`] uses this bit.
pub(crate) const ATTACHED: u32 = 1 << 31;

thread_local! {
    // Constant and without a destructor, so that it can be read inside an allocator and while the
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

/// Replaces the flags in the word and keeps the private bit.
pub(crate) fn set_flags(flags: TaskFlags) {
    set(get() & ATTACHED | flags.bits());
}
