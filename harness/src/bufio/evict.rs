//! Letting a buffer go.
//!
//! Key functions: [`Client::evict`], [`Client::take_unclaimed`]. A task that lets a buffer go holds
//! the client lock, also while it waits for the buffer's I/O.

use super::choose::Verdict;
use super::client::Client;
use super::lists::{List, Lists};
use super::slot::{Slot, State};
use crate::event::Site;

impl Client {
    /// The buffers of `list` that a task which may wait can take (the predicates of
    /// docs/kernel/dm-bufio.md, "Index and lists"). In no-sleep mode it takes none that needs a
    /// wait.
    pub(super) fn takes(&self, list: List) -> impl Fn(&Slot) -> Verdict + 'static {
        let refused = match (list, self.0.options.no_sleep) {
            (List::Clean, true) => Some(State::READING | State::WRITING | State::DIRTY),
            (List::Clean, false) => Some(State::WRITING | State::DIRTY),
            (List::Dirty, true) => None,
            (List::Dirty, false) => Some(State::READING),
        };
        move |slot| match refused {
            Some(refused) if !slot.has(refused) => Verdict::Take,
            Some(_) | None => Verdict::Skip,
        }
    }

    /// Takes the first unheld buffer, clean before dirty, and makes it clean, however long that
    /// waits (`__get_unclaimed_buffer`). It is claimed and unlinked.
    pub(super) fn take_unclaimed(&self, lists: &mut Lists, site: Site) -> Option<u32> {
        List::BOTH.into_iter().find_map(|list| {
            let slot = self.0.cache.pick(lists, list, self.takes(list))?;
            self.0.io.make_clean(slot, site);
            Some(slot.number)
        })
    }

    /// Tries to evict one buffer (`__try_evict_buffer`): without permission to wait, only one that
    /// is idle; with it, the buffer is made clean first. Says whether it went.
    pub(super) fn evict(&self, lists: &mut Lists, slot: &Slot, may_wait: bool, site: Site) -> bool {
        let waits = may_wait && !self.0.options.no_sleep;
        if (!waits && slot.state() != 0) || !slot.claim() {
            return false;
        }
        // In this order: while its write is waited for, a buffer still counts as one.
        self.0.io.make_clean(slot, site);
        self.0.cache.unlink(lists, slot);
        self.0.pool.give_back(slot.number);
        true
    }
}
