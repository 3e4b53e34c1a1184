//! Words that live as long as the process: each distinct one once.
//!
//! Key function: [`intern`]. Events, sites and lock classes keep `&'static str`, so that an event
//! is `Copy` and an emission allocates nothing. Words that are read from a file become such texts
//! here. A word stays for the rest of the process; to intern it again costs a look-up and no
//! memory, so a file that runs ten thousand times takes as much as one that runs once.
//!
//! Locking: the table is a leaf.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The table takes no more words than these.
const MAX_WORDS: usize = 1 << 20;
/// The words of the table take no more bytes than these.
const MAX_BYTES: usize = 64 << 20;

/// What [`intern`] returns for a word that found no room in the table.
const NO_ROOM: &str = "?";

/// The words so far.
#[derive(Debug)]
struct Table {
    words: BTreeSet<&'static str>,
    bytes: usize,
}

impl Table {
    const EMPTY: Self = Self { words: BTreeSet::new(), bytes: 0 };

    fn intern(&mut self, text: &str) -> Option<&'static str> {
        if let Some(known) = self.words.get(text) {
            return Some(known);
        }
        let room = self.words.len() < MAX_WORDS && text.len() <= MAX_BYTES - self.bytes;
        room.then(|| {
            let word: &'static str = Box::leak(text.to_owned().into_boxed_str());
            self.bytes += word.len();
            self.words.insert(word);
            word
        })
    }
}

static TABLE: Mutex<Table> = Mutex::new(Table::EMPTY);

/// The text as a word that lives as long as the process; none where the table is full. A reader of
/// files takes this form, and refuses a file for whose words there is no room.
pub(crate) fn try_intern(text: &str) -> Option<&'static str> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner).intern(text)
}

/// The same for a word that [`try_intern`] has taken before, or that the code itself makes: `?`
/// where the table is full.
pub(crate) fn intern(text: &str) -> &'static str {
    try_intern(text).unwrap_or(NO_ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_kept_once() {
        let (first, again) = (intern("c42.toml"), intern(&String::from("c42.toml")));
        assert_eq!(first, "c42.toml");
        assert_eq!(first.as_ptr(), again.as_ptr());
        assert_ne!(first, intern("c43.toml"));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = Table { words: BTreeSet::new(), bytes: MAX_BYTES - 3 };
        assert_eq!(table.intern("four"), None);
        assert_eq!(table.intern("six"), Some("six"));
        assert_eq!(table.intern("six"), Some("six"));
        assert_eq!(table.intern("7"), None);
    }
}
