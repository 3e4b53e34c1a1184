//! Making, resetting and destroying a client.
//!
//! Key functions: [`Bufio::create`], [`Client::destroy`], [`Client::reset`]. A buffer that is still
//! held at the end is a leak: it is named with its block, its holds, its list, and the place where
//! the last hold was taken.

use std::sync::Arc;

use super::client::{Client, ClientState};
use super::global::{Bufio, BufioState};
use super::lists::{List, Lists};
use super::options::ClientOptions;
use super::shrinker;
use crate::block::BlockDevice;
use crate::era::Knobs;
use crate::error::{Error, Result};
use crate::event::{EventKind, Fact, Gfp, Site};
use crate::inject::Plan;
use crate::mm::Mm;
use crate::mm::policy::Node;
use crate::sched::{Sched, Work, WorkQueue, harness_side};

/// The parts of a client that shares nothing with others.
pub struct ClientParts {
    /// The world.
    pub sched: Sched,
    /// Its memory.
    pub mm: Mm,
    /// Its plan.
    pub plan: Plan,
    /// The era's behaviours.
    pub knobs: Knobs,
    /// The device to cache.
    pub device: Arc<dyn BlockDevice>,
    /// The client's node in the topology, for policies; `None` if it is not recorded.
    pub node: Option<Node>,
    /// The queue of the shrinker forms that work on one, and of the cleanup of all clients.
    pub cleaner: Option<WorkQueue>,
}

/// A buffer that was still held.
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

impl Bufio {
    /// dm-bufio of a world with these behaviours. Background work is done on `cleaner`; without a
    /// queue the shrinkers that need one stop at once, and nothing is cleaned in the background.
    #[must_use]
    pub fn new(
        sched: &Sched,
        mm: &Mm,
        plan: &Plan,
        knobs: Knobs,
        cleaner: Option<WorkQueue>,
    ) -> Self {
        let _side = harness_side();
        let this = Self(Arc::new(BufioState::new(sched, mm, plan, knobs, cleaner)));
        let weak = Arc::downgrade(&this.0);
        let cleanup = Work::new("do_global_cleanup", move || {
            if let Some(state) = weak.upgrade() {
                Self(state).global_cleanup();
            }
        });
        this.0.cleanup.get_or_init(|| cleanup);
        this
    }

    /// Makes a client of `device` and registers its shrinker (`dm_bufio_client_create`). `node` is
    /// the client's node in the topology, for policies; `None` if it is not recorded.
    ///
    /// # Errors
    /// If a client on this device cannot have these options, or if there is no memory for the
    /// reserved buffers.
    pub fn create(
        &self,
        device: Arc<dyn BlockDevice>,
        node: Option<Node>,
        options: ClientOptions,
    ) -> Result<Client> {
        let _side = harness_side();
        let number = self.next_client();
        options.check(&*device, self.generation())?;
        let client = Client(Arc::new(ClientState::new(self, number, device, node, options)));
        client.fill_reserve()?;
        if let Some(node) = node {
            self.shared().mm.part_takes(node, client.0.cache.lock_id());
        }
        let form = shrinker::form(&client);
        let registration = self.shared().mm.register_port_shrinker(form.clone());
        *client.0.shrinker.lock() = Some((registration, form));
        self.link(&client);
        Ok(client)
    }
}

impl Client {
    /// Makes a client that shares nothing with others; [`Bufio::create`] makes those that do.
    ///
    /// # Errors
    /// As [`Bufio::create`].
    pub fn create(parts: ClientParts, options: ClientOptions) -> Result<Self> {
        let ClientParts { sched, mm, plan, knobs, device, node, cleaner } = parts;
        Bufio::new(&sched, &mm, &plan, knobs, cleaner).create(device, node, options)
    }

    fn fill_reserve(&self) -> Result<()> {
        let pool = &self.0.pool;
        for _ in 0..self.0.options.reserved_buffers {
            // Without the lock: this allocation may reclaim, and reclaim may want it.
            let memory = pool.alloc(Gfp::KERNEL);
            let _lists = self.lock();
            let Some(memory) = memory else {
                pool.drop_reserve();
                let what = format!(
                    "bufio client on {}: no memory for its reserved buffers",
                    self.device_name()
                );
                return Err(Error::input(what).advice("give the world more pages"));
            };
            let reserved = pool.reserve(pool.fill(memory));
            debug_assert!(reserved, "the reserve is not full yet");
        }
        Ok(())
    }

    /// Writes everything, frees every buffer, unregisters the shrinker (`dm_bufio_client_destroy`).
    /// No task may use the client any more.
    ///
    /// # Errors
    /// If buffers are still held (a leak: each is named, with the place where it was taken), or if
    /// a write failed and no other call has returned the error.
    #[track_caller]
    pub fn destroy(&self) -> Result<()> {
        let _side = harness_side();
        let dropped = self.drop_buffers("was destroyed");
        let shrinker = self.0.shrinker.lock().take();
        if let Some((registration, form)) = shrinker {
            registration.unregister();
            form.flush();
        }
        self.0.bufio.unlink(self);
        self.0.bufio.finish_cleanup();
        {
            let _lists = self.lock();
            self.0.pool.drop_reserve();
        }
        self.0.pool.close();
        dropped
    }

    /// Drops every buffer and finishes the shrinker's work, as when the device was resumed with
    /// other contents (`dm_bufio_client_reset`, since 6.2).
    ///
    /// # Errors
    /// As [`Client::destroy`].
    #[track_caller]
    pub fn reset(&self) -> Result<()> {
        let _side = harness_side();
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
        // Buffers that were dirtied meanwhile are only written now; no other call would return
        // their error.
        let late = self.0.io.take_write_error();
        let written = written.and(late.map_or(Ok(()), Err)).map_err(|errno| {
            Error::os(format!("bufio client on {name}: writing dirty buffers failed"))
                .because(errno)
        });
        if leaked.is_empty() {
            return written;
        }
        leaked.iter().for_each(|leaked| self.report(leaked));
        let leaked = leaked.iter().map(Leaked::to_string).collect::<Vec<_>>().join(", ");
        let what = format!("bufio client on {name} {what} while buffers are held: {leaked}");
        let error = Error::misuse(what).advice("drop every Buffer before the client");
        Err(match written {
            Ok(()) => error,
            Err(failed) => error.because(failed),
        })
    }

    /// Reports to the judges that the buffer was left held (finding RD12).
    fn report(&self, leaked: &Leaked) {
        let name = format!("{leaked} of bufio:{}", self.device_name());
        let item = self.sched().names(|names| names.add_item(name));
        self.sched().emit(EventKind::Declared { fact: Fact::LeftHeld { item } });
    }

    /// Drops the buffers that no task holds; returns the others.
    fn drop_unheld(&self, lists: &mut Lists, site: Site) -> Vec<Leaked> {
        let mut leaked = Vec::new();
        for list in List::BOTH {
            for number in lists.all(list) {
                let slot = self.slot(number);
                if slot.claim() {
                    self.0.cache.unlink(lists, slot);
                    self.0.io.make_clean(slot, site);
                    self.0.pool.give_back(number);
                } else if let Some(list) = lists.list_of(number) {
                    let holder = self.site(slot.contents.lock().holder);
                    leaked.push(Leaked { block: slot.block(), holds: slot.holds(), list, holder });
                }
            }
        }
        leaked.sort_by_key(|leaked| leaked.block);
        leaked
    }
}
