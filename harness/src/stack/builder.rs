//! Building a stack from its spec, and taking it down.
//!
//! Key types: [`Stack`], [`Parts`], [`LoopBackend`]. Built from below: filesystems, loop devices on
//! their files, clients on the devices. Taken down from above, each step finishing what the one
//! before left in flight.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::spec::{BufioSpec, Disk, FsSpec, LoopSpec, StackSpec, SwapSpec};
use super::swap::{InFile, OnDevice};
use crate::block::{BlockDevice, FileDevice, LoopDevice, MemoryDevice};
use crate::bufio::{Bufio, Client, ClientOptions};
use crate::era::{BufioGeneration, Knobs};
use crate::error::{Errno, Error, Result};
use crate::event::LockId;
use crate::fs::{self, Fs};
use crate::inject::Plan;
use crate::mm::policy::{self, Node, NodeKind};
use crate::mm::{Mm, SwapArea, SwapIo};
use crate::sched::{Sched, WorkQueue};
use crate::units::PAGE_SIZE;

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

    /// Whether a server in user space stands between a device and its file, so that nobody knows what the
    /// device needs.
    fn through_server(&self) -> bool {
        false
    }

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
    /// The devices in the topology.
    nodes: BTreeMap<String, Node>,
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
            nodes: BTreeMap::new(),
            clients: BTreeMap::new(),
            cleaner: None,
            backend,
        };
        match stack.build_all(parts, spec) {
            Ok(()) => Ok(stack),
            Err(error) => {
                // The first trouble is the one that says most; servers that were started must end.
                drop(stack.teardown());
                Err(error)
            }
        }
    }

    fn build_all(&mut self, parts: &Parts, spec: &StackSpec) -> Result<()> {
        let stack = self;
        for fs in &spec.fs {
            let made = make_fs(parts, fs)?;
            let superblock = made.superblock();
            parts.mm.topology(|stack| stack.add_superblock_as(superblock, format!("fs:{}", fs.name)))?;
            parts.mm.part_takes(superblock, made.journal_lock());
            define(&mut stack.fs, "filesystem", &fs.name, made)?;
        }
        for device in &spec.loops {
            let (made, file) = stack.make_loop(parts, device)?;
            let node = stack.record_loop(parts, device)?;
            parts.mm.part_queues(node, made.queue().id);
            parts.mm.part_takes(node, file);
            define(&mut stack.devices, "loop device", &device.name, made)?;
            stack.nodes.insert(device.name.clone(), node);
        }
        for area in &spec.memory.swap {
            parts.mm.add_swap(stack.make_swap(parts, area)?);
        }
        if spec.bufio.is_empty() {
            return Ok(());
        }
        let Parts { sched, mm, plan, knobs } = parts;
        let swept = knobs.bufio_generation >= BufioGeneration::V5_4;
        let queued = knobs.bufio_shrinker.is_deferred();
        stack.cleaner = (swept || queued).then(|| WorkQueue::mem_reclaim(sched, "dm_bufio_cache"));
        let bufio = Bufio::new(sched, mm, plan, *knobs, stack.cleaner.clone());
        for client in &spec.bufio {
            let made = stack.make_client(&bufio, mm, client)?;
            define(&mut stack.clients, "bufio client", &client.name, made)?;
        }
        Ok(())
    }

    /// Records what the device stands on.
    fn record_loop(&self, parts: &Parts, spec: &LoopSpec) -> Result<Node> {
        let below = find(&self.fs, "filesystem", &spec.fs)?.superblock();
        let server = self.backend.through_server();
        parts.mm.topology(|stack| {
            let device = stack.add_node(NodeKind::Device, &spec.name);
            if server {
                let server = stack.add_node(NodeKind::Server, format!("fuse:{}", spec.fs));
                stack.depends(server, below)?;
                stack.depends(device, server)?;
            } else {
                stack.depends(device, below)?;
            }
            Ok(device)
        })
    }

    fn make_swap(&self, parts: &Parts, spec: &SwapSpec) -> Result<SwapArea> {
        let (mm, bytes) = (parts.mm.clone(), spec.pages as u64 * PAGE_SIZE);
        let (place, io): (_, Arc<dyn SwapIo>) = match (&spec.device, &spec.fs) {
            (Some(_), Some(_)) => {
                let what = format!("swap area `{}` on a device and on a filesystem", spec.name);
                return Err(Error::input(what).advice("give it `device` or `fs`, or neither for memory"));
            }
            (Some(name), None) => {
                let device = Arc::clone(find(&self.devices, "loop device", name)?);
                if device.sectors().bytes() < bytes {
                    let what = format!("swap area `{}` of {} pages on `{name}`", spec.name, spec.pages);
                    return Err(Error::input(what).advice("the device is shorter: give it fewer pages"));
                }
                (policy::SwapArea::Device(self.nodes[name]), Arc::new(OnDevice { mm, device }))
            }
            (None, Some(fs)) => {
                let fs = find(&self.fs, "filesystem", fs)?;
                make_file(fs, &spec.name, bytes).map_err(|errno| {
                    Error::input(format!("swap area `{}`: making its file", spec.name)).because(errno)
                })?;
                let file = fs.open(&spec.name).map_err(|errno| {
                    Error::os(format!("swap area `{}`: opening its file", spec.name)).because(errno)
                })?;
                let written =
                    parts.sched.names(|names| names.add_condition(format!("write to {}", spec.name)));
                (
                    policy::SwapArea::File(fs.superblock()),
                    Arc::new(InFile { mm, file: Arc::new(file), written }),
                )
            }
            (None, None) => {
                let device = MemoryDevice::new(&parts.sched, &spec.name, bytes);
                let node = parts.mm.topology(|stack| stack.add_node(NodeKind::Device, &spec.name));
                (policy::SwapArea::Device(node), Arc::new(OnDevice { mm, device: Arc::new(device) }))
            }
        };
        SwapArea::new(&spec.name, place, spec.pages, io)
    }

    /// The device, and the lock of its file's inode.
    fn make_loop(&self, parts: &Parts, spec: &LoopSpec) -> Result<(Arc<dyn BlockDevice>, LockId)> {
        let fs = find(&self.fs, "filesystem", &spec.fs)?;
        let lock = make_file(fs, &spec.file, spec.mib * MIB).map_err(|errno| {
            Error::input(format!(
                "loop device `{}`: making `{}` of {} MiB on fs `{}`",
                spec.name, spec.file, spec.mib, spec.fs
            ))
            .because(errno)
        })?;
        Ok((self.backend.attach(parts, fs, spec)?, lock))
    }

    fn make_client(&self, bufio: &Bufio, mm: &Mm, spec: &BufioSpec) -> Result<Client> {
        let device = Arc::clone(find(&self.devices, "loop device", &spec.device)?);
        let mut options = ClientOptions { block_size: spec.block_size, ..ClientOptions::default() };
        if let Some(bytes) = spec.retain_bytes {
            options.retain_bytes = bytes;
        }
        let on = self.nodes[&spec.device];
        let node = mm.topology(|stack| {
            let node = stack.add_node(NodeKind::Cache, format!("bufio:{}", spec.name));
            stack.depends(node, on).map(|()| node)
        })?;
        let client = bufio.create(device, Some(node), options)?;
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

/// Makes a file, durably; returns the lock of its inode.
fn make_file(fs: &Fs, name: &str, bytes: u64) -> Result<LockId, Errno> {
    let ino = fs.create(name)?;
    fs.truncate(ino, bytes)?;
    fs.fsync(ino)?;
    fs.inode_lock(ino)
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
