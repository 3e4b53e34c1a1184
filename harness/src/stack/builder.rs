//! Building a stack from its spec, and taking it down.
//!
//! Key types: [`Stack`], [`Parts`], [`LoopBackend`]. Built from below: filesystems, loop devices on
//! their files, clients on the devices. Taken down from above, each step finishing what the one
//! before left in flight.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::spec::{BufioSpec, Disk, FsSpec, LoopSpec, StackSpec};
use crate::block::{BlockDevice, FileDevice, LoopDevice, MemoryDevice};
use crate::bufio::client::Parts as ClientParts;
use crate::bufio::{Client, ClientOptions};
use crate::era::{Knobs, ShrinkerForm};
use crate::error::{Error, Result};
use crate::fs::{self, Fs};
use crate::inject::Plan;
use crate::mm::Mm;
use crate::sched::{Sched, WorkQueue};

const MIB: u64 = 1 << 20;

/// What every part of a stack is made from.
#[derive(Clone)]
pub struct Parts {
    /// The world.
    pub sched: Sched,
    /// Its memory.
    pub mm: Mm,
    /// Its plan.
    pub plan: Plan,
    /// The era's behaviours.
    pub knobs: Knobs,
}

/// How loop devices come to be on this tier.
pub trait LoopBackend: Send + Sync {
    /// Attaches a device to a file that exists on `fs` and has its size.
    ///
    /// # Errors
    /// What the tier says.
    fn attach(&self, parts: &Parts, fs: &Fs, spec: &LoopSpec) -> Result<Arc<dyn BlockDevice>>;

    /// Takes down what the backend put between devices and filesystems. Called after every device
    /// was stopped.
    ///
    /// # Errors
    /// What the tier says.
    fn finish(&self) -> Result<()> {
        Ok(())
    }
}

/// Loop devices in process, each with a worker task of the world.
pub struct InProcess;

impl LoopBackend for InProcess {
    fn attach(&self, parts: &Parts, fs: &Fs, spec: &LoopSpec) -> Result<Arc<dyn BlockDevice>> {
        let trouble =
            |errno| Error::os(format!("loop device `{}`: opening its file failed", spec.name)).because(errno);
        let file = fs.open(&spec.file).map_err(trouble)?;
        let noio = parts.knobs.loop_worker_noio;
        let device = LoopDevice::attach(&parts.sched, &spec.name, Arc::new(file), noio).map_err(trouble)?;
        Ok(Arc::new(device))
    }
}

/// A built stack.
pub struct Stack {
    fs: BTreeMap<String, Fs>,
    devices: BTreeMap<String, Arc<dyn BlockDevice>>,
    clients: BTreeMap<String, Client>,
    cleaner: Option<WorkQueue>,
    backend: Arc<dyn LoopBackend>,
}

impl Stack {
    /// Builds `spec`.
    ///
    /// # Errors
    /// A name that nothing defines or that is defined twice, sizes that do not fit, and whatever
    /// goes wrong on the way.
    pub fn build(parts: &Parts, spec: &StackSpec, backend: Arc<dyn LoopBackend>) -> Result<Self> {
        let mut stack = Self {
            fs: BTreeMap::new(),
            devices: BTreeMap::new(),
            clients: BTreeMap::new(),
            cleaner: None,
            backend,
        };
        for fs in &spec.fs {
            let made = make_fs(parts, fs)?;
            define(&mut stack.fs, "filesystem", &fs.name, made)?;
        }
        for device in &spec.loops {
            let made = stack.make_loop(parts, device)?;
            define(&mut stack.devices, "loop device", &device.name, made)?;
        }
        let queued = parts.knobs.bufio_shrinker == ShrinkerForm::S5;
        stack.cleaner =
            (queued && !spec.bufio.is_empty()).then(|| WorkQueue::new(&parts.sched, "dm_bufio_cache"));
        for client in &spec.bufio {
            let made = stack.make_client(parts, client)?;
            define(&mut stack.clients, "bufio client", &client.name, made)?;
        }
        Ok(stack)
    }

    fn make_loop(&self, parts: &Parts, spec: &LoopSpec) -> Result<Arc<dyn BlockDevice>> {
        let fs = find(&self.fs, "filesystem", &spec.fs)?;
        let make = || {
            let ino = fs.create(&spec.file)?;
            fs.truncate(ino, spec.mib * MIB)?;
            fs.fsync(ino)
        };
        make().map_err(|errno| {
            Error::input(format!(
                "loop device `{}`: making `{}` of {} MiB on fs `{}`",
                spec.name, spec.file, spec.mib, spec.fs
            ))
            .because(errno)
        })?;
        self.backend.attach(parts, fs, spec)
    }

    fn make_client(&self, parts: &Parts, spec: &BufioSpec) -> Result<Client> {
        let device = Arc::clone(find(&self.devices, "loop device", &spec.device)?);
        let Parts { sched, mm, plan, knobs } = parts.clone();
        let cleaner = self.cleaner.clone();
        let mut options = ClientOptions { block_size: spec.block_size, ..ClientOptions::default() };
        if let Some(bytes) = spec.retain_bytes {
            options.retain_bytes = bytes;
        }
        let client = Client::create(ClientParts { sched, mm, plan, knobs, device, cleaner }, options)?;
        for block in &spec.dirty {
            let buffer = client.new_block(*block).map_err(|errno| {
                Error::input(format!("bufio client `{}`: making block {block}", spec.name)).because(errno)
            })?;
            buffer.with_data_mut(|data| data.fill(0x5a));
            buffer.mark_dirty();
        }
        Ok(client)
    }

    /// The filesystem of this name.
    ///
    /// # Errors
    /// If the stack has none.
    pub fn fs(&self, name: &str) -> Result<&Fs> {
        find(&self.fs, "filesystem", name)
    }

    /// The bufio client of this name.
    ///
    /// # Errors
    /// If the stack has none.
    pub fn client(&self, name: &str) -> Result<&Client> {
        find(&self.clients, "bufio client", name)
    }

    /// The loop device of this name.
    ///
    /// # Errors
    /// If the stack has none.
    pub fn device(&self, name: &str) -> Result<&Arc<dyn BlockDevice>> {
        find(&self.devices, "loop device", name)
    }

    /// Takes the stack down. Every step is tried, whatever the ones before said.
    ///
    /// # Errors
    /// The first trouble.
    pub fn teardown(&self) -> Result<()> {
        let mut first = Ok(());
        let mut note = |step: Result<()>| {
            if first.is_ok() {
                first = step;
            }
        };
        for client in self.clients.values() {
            note(client.destroy());
        }
        if let Some(cleaner) = &self.cleaner {
            cleaner.destroy();
        }
        for device in self.devices.values() {
            device.stop();
        }
        note(self.backend.finish());
        for fs in self.fs.values() {
            note(fs.unmount());
        }
        first
    }
}

fn make_fs(parts: &Parts, spec: &FsSpec) -> Result<Fs> {
    let Parts { sched, mm, plan, .. } = parts;
    let (name, bytes) = (format!("disk:{}", spec.name), spec.mib * MIB);
    let device: Arc<dyn BlockDevice> = match spec.disk {
        Disk::Memory => Arc::new(MemoryDevice::new(sched, &name, bytes)),
        Disk::TempFile => Arc::new(FileDevice::temp(sched, &name, bytes)?),
    };
    fs::mkfs(&*device)?;
    Fs::mount(sched, mm, plan, &spec.name, device)
}

fn find<'a, T>(map: &'a BTreeMap<String, T>, what: &str, name: &str) -> Result<&'a T> {
    map.get(name).ok_or_else(|| {
        let known = map.keys().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
        let advice =
            if known.is_empty() { format!("the stack has no {what}") } else { format!("use one of {known}") };
        Error::input(format!("no {what} is called `{name}`")).advice(advice)
    })
}

fn define<T>(map: &mut BTreeMap<String, T>, what: &str, name: &str, value: T) -> Result<()> {
    match map.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(Error::input(format!("two of a kind: the {what} `{name}` is defined twice"))),
    }
}
