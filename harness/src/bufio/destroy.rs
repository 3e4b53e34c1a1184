//! The end of a client, and dropping everything without ending it.
//!
//! Key functions: [`Client::destroy`], [`Client::reset`]. What somebody still holds is a leak: each
//! buffer is named with its block, its holds, its list, and where the last hold was taken (known
//! where somebody observes).

use super::cache::{Cache, List};
use super::client::Client;
use crate::error::{Error, Result};
use crate::event::{EventKind, Fact, Site};
use crate::sched::quiet;

/// A buffer that somebody still held.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Leaked {
    block: u64,
    holds: u32,
    list: List,
    holder: Option<Site>,
}

impl std::fmt::Display for Leaked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { block, holds, list, holder } = self;
        let list = if *list == List::Clean { "clean" } else { "dirty" };
        write!(f, "block {block} (hold count {holds}, on the {list} list")?;
        if let Some(Site { file, line }) = holder {
            write!(f, ", last held at {file}:{line}")?;
        }
        f.write_str(")")
    }
}

impl Client {
    /// Writes everything, frees every buffer, unregisters the shrinker (`dm_bufio_client_destroy`).
    /// No task may use the client any more.
    ///
    /// # Errors
    /// If buffers are still held (a leak: each is named, with the place where it was taken if
    /// somebody observes), or if a write failed and no other call has said so.
    #[track_caller]
    pub fn destroy(&self) -> Result<()> {
        let _ours = quiet();
        let dropped = self.drop_buffers("was destroyed");
        let shrinker = self.0.shrinker.lock().take();
        if let Some((registration, form)) = shrinker {
            registration.unregister();
            form.flush();
        }
        self.0.bufio.unlink(self);
        self.0.bufio.finish_cleanup();
        self.drop_reserve(&mut self.lock());
        self.0.close_slab();
        dropped
    }

    /// Drops every buffer and finishes the shrinker's work, as when the device was resumed with
    /// other contents (`dm_bufio_client_reset`, since 6.2).
    ///
    /// # Errors
    /// As [`Client::destroy`].
    #[track_caller]
    pub fn reset(&self) -> Result<()> {
        let _ours = quiet();
        let dropped = self.drop_buffers("was reset");
        let form = self.0.shrinker.lock().as_ref().map(|(_, form)| form.clone());
        if let Some(form) = form {
            form.flush();
        }
        dropped
    }

    #[track_caller]
    fn drop_buffers(&self, what: &str) -> Result<()> {
        let site = Site::here();
        let (_layer, name) = (self.enter(), self.device_name());
        let written = self.write_dirty_buffers();
        let leaked = self.drop_unheld(&mut self.lock(), site);
        // What was dirtied meanwhile is written only now: that it failed nobody else would say.
        let late = self.0.async_write_error.lock().take();
        let written = written.and(late.map_or(Ok(()), Err)).map_err(|errno| {
            Error::os(format!("bufio client on {name}: writing dirty buffers failed"))
                .because(errno)
        });
        if leaked.is_empty() {
            return written;
        }
        leaked.iter().for_each(|leaked| self.tell(leaked));
        let leaked = leaked.iter().map(Leaked::to_string).collect::<Vec<_>>().join(", ");
        let what = format!("bufio client on {name} {what} while buffers are held: {leaked}");
        let error = Error::misuse(what).advice("drop every Buffer before the client");
        Err(match written {
            Ok(()) => error,
            Err(failed) => error.because(failed),
        })
    }

    /// Says to whoever observes that the buffer was left held (RD12).
    fn tell(&self, leaked: &Leaked) {
        let name = format!("{leaked} of bufio:{}", self.device_name());
        let item = self.sched().names(|names| names.add_item(name));
        self.sched().emit(EventKind::Declared { fact: Fact::LeftHeld { item } });
    }

    /// Lets go what nobody holds; says what is left.
    fn drop_unheld(&self, cache: &mut Cache, site: Site) -> Vec<Leaked> {
        let mut leaked = Vec::new();
        for list in List::BOTH {
            for number in cache.all(list) {
                let slot = self.slot(number);
                if slot.claim() {
                    self.unlink(cache, slot);
                    self.make_clean(slot, site);
                    self.give_back(cache, number);
                } else if let Some(list) = cache.list_of(number) {
                    let holder = self.site(slot.contents.lock().holder);
                    leaked.push(Leaked { block: slot.block(), holds: slot.holds(), list, holder });
                }
            }
        }
        leaked.sort_by_key(|leaked| leaked.block);
        leaked
    }
}
