//! Building a stack from its spec, and taking it down.
//!
//! Key types: [`Stack`], [`Parts`], [`LoopBackend`]. A stack is built from the bottom: filesystems,
//! loop devices on their files, filesystems on those, clients on the devices. It is taken down from
//! the top; each step completes what the one before left in flight.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::limits;
use super::named::{below, define, find, free, stands_on_nothing};
use super::spec::{BufioSpec, Disk, FsSpec, LoopSpec, MetadataSpec, StackSpec};
use crate::block::{BlockDevice, FileDevice, LoopDevice, MemoryDevice};
use crate::bufio::{Bufio, Client, ClientOptions};
use crate::era::{BufioGeneration, Knobs};
use crate::error::{Errno, Error, Result};
use crate::event::LockId;
use crate::fs::{self, Fs};
use crate::inject::Plan;
use crate::mm::Mm;
use crate::mm::policy::{Node, NodeKind};
use crate::sched::{Sched, WorkQueue};

/// The rooms of a world that every part of a stack needs.
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

/// Makes the loop devices of a tier.
pub trait LoopBackend: Send + Sync {
    /// Attaches a device to the file of `spec` on `fs`, which exists and has its size.
    ///
    /// # Errors
    /// The device cannot be attached.
    fn attach(&self, parts: &Parts, fs: &Fs, spec: &LoopSpec) -> Result<Arc<dyn BlockDevice>>;

    /// Whether a server in user space is between a device and its file. Then the topology does not
    /// know what the device needs.
    fn through_server(&self) -> bool {
        false
    }

    /// Takes down what the backend put between a filesystem and the devices on it. It is called
    /// after all of these devices were stopped.
    ///
    /// # Errors
    /// It cannot be taken down, or something went wrong earlier.
    fn finish(&self, _fs: &Fs) -> Result<()> {
        Ok(())
    }

    /// Takes down what is left after the world was unwound, devices first. It is called outside the
    /// world's tasks, once all that the backend keeps is its own.
    fn unwound(&self) {}
}

/// Loop devices in process, each with a worker task of the world.
pub struct InProcess;

impl LoopBackend for InProcess {
    fn attach(&self, parts: &Parts, fs: &Fs, spec: &LoopSpec) -> Result<Arc<dyn BlockDevice>> {
        let trouble = |errno| {
            Error::os(format!("loop device `{}`: opening its file failed", spec.name))
                .because(errno)
        };
        let file = fs.open(&spec.file).map_err(trouble)?;
        let noio = parts.knobs.loop_worker_noio;
        let device =
            LoopDevice::attach(&parts.sched, &spec.name, Arc::new(file), noio).map_err(trouble)?;
        Ok(Arc::new(device))
    }
}

/// A part of a stack that was built, by name.
enum BuiltPart {
    Fs(String),
    Loop(String),
}

/// A built stack.
pub struct Stack {
    /// In the order in which they were built.
    standing: Vec<BuiltPart>,
    bufio: Option<Bufio>,
    /// Loop devices that a filesystem or a swap area uses exclusively.
    claimed: BTreeMap<String, String>,
    pub(super) fs: BTreeMap<String, Fs>,
    pub(super) devices: BTreeMap<String, Arc<dyn BlockDevice>>,
    /// The devices in the topology.
    pub(super) nodes: BTreeMap<String, Node>,
    clients: BTreeMap<String, Client>,
    cleaner: Option<WorkQueue>,
    backend: Arc<dyn LoopBackend>,
}

impl Stack {
    /// Builds `spec`.
    ///
    /// # Errors
    /// An unknown name, a name that is defined twice, a size that does not fit, or a part that
    /// cannot be made.
    pub fn build(parts: &Parts, spec: &StackSpec, backend: Arc<dyn LoopBackend>) -> Result<Self> {
        limits::check(spec)?;
        let mut stack = Self {
            standing: Vec::new(),
            bufio: None,
            claimed: BTreeMap::new(),
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
                // Servers that were started must end. The first error is returned, because it says
                // most.
                drop(stack.teardown());
                Err(error)
            }
        }
    }

    fn build_all(&mut self, parts: &Parts, spec: &StackSpec) -> Result<()> {
        let stack = self;
        if !spec.bufio.is_empty() || spec.fs.iter().any(|fs| fs.metadata == MetadataSpec::Bufio) {
            let Parts { sched, mm, plan, knobs } = parts;
            let swept = knobs.bufio_generation >= BufioGeneration::V5_4;
            let queued = knobs.bufio_shrinker.is_deferred();
            stack.cleaner =
                (swept || queued).then(|| WorkQueue::mem_reclaim(sched, "dm_bufio_cache"));
            stack.bufio = Some(Bufio::new(sched, mm, plan, *knobs, stack.cleaner.clone()));
        }
        let (mut fs, mut loops) =
            (spec.fs.iter().collect::<Vec<_>>(), spec.loops.iter().collect::<Vec<_>>());
        while !(fs.is_empty() && loops.is_empty()) {
            let before = stack.standing.len();
            let (now, later) = fs.into_iter().partition(|fs| match &fs.disk {
                Disk::Memory | Disk::TempFile => true,
                Disk::Loop(device) => stack.devices.contains_key(device),
            });
            fs = later;
            now.into_iter().try_for_each(|fs: &FsSpec| stack.add_fs(parts, fs))?;
            let (now, later) =
                loops.into_iter().partition(|device| stack.fs.contains_key(&device.fs));
            loops = later;
            now.into_iter().try_for_each(|device: &LoopSpec| stack.add_loop(parts, device))?;
            if stack.standing.len() == before {
                return Err(stands_on_nothing((&stack.fs, &stack.devices), &fs, &loops));
            }
        }
        for area in &spec.memory.swap {
            if let (Some(device), None) = (&area.device, &area.fs) {
                stack.claim(device, format!("swap area `{}`", area.name))?;
            }
            parts.mm.add_swap(stack.make_swap(parts, area)?);
        }
        for client in &spec.bufio {
            free(&stack.clients, "bufio client", &client.name)?;
            let made = stack.make_client(&parts.mm, client)?;
            define(&mut stack.clients, "bufio client", &client.name, made)?;
        }
        Ok(())
    }

    fn add_fs(&mut self, parts: &Parts, spec: &FsSpec) -> Result<()> {
        free(&self.fs, "filesystem", &spec.name)?;
        if let Disk::Loop(device) = &spec.disk {
            self.claim(device, format!("fs `{}`", spec.name))?;
        }
        let (made, below) = self.make_fs(parts, spec)?;
        let (superblock, journal) = (made.superblock(), made.journal_lock());
        // Recorded at once, so that it is taken down if a later step fails.
        define(&mut self.fs, "filesystem", &spec.name, made)?;
        self.standing.push(BuiltPart::Fs(spec.name.clone()));
        parts.mm.topology(|stack| {
            stack.add_superblock_as(superblock, format!("fs:{}", spec.name))?;
            below.map_or(Ok(()), |below| stack.depends(superblock, below))
        })?;
        parts.mm.part_takes(superblock, journal);
        Ok(())
    }

    /// Reserves a loop device for a filesystem or a swap area, which uses it exclusively.
    fn claim(&mut self, device: &str, user: String) -> Result<()> {
        match self.claimed.get(device) {
            None => {
                self.claimed.insert(device.to_owned(), user);
                Ok(())
            }
            Some(by) => {
                Err(Error::input(format!("{user} on loop device `{device}`, which {by} has"))
                    .advice("give it a loop device of its own"))
            }
        }
    }

    /// The filesystem, and the topology's node that it rests on.
    fn make_fs(&self, parts: &Parts, spec: &FsSpec) -> Result<(Fs, Option<Node>)> {
        let Parts { sched, mm, plan, .. } = parts;
        let bytes = limits::bytes(&format!("fs `{}`", spec.name), spec.mib)?;
        let disk = format!("disk:{}", spec.name);
        let device: Arc<dyn BlockDevice> = match &spec.disk {
            Disk::Memory => Arc::new(MemoryDevice::new(sched, &disk, bytes)),
            Disk::TempFile => Arc::new(FileDevice::temp(sched, &disk, bytes)?),
            Disk::Loop(name) if spec.mib == 0 => {
                Arc::clone(find(&self.devices, "loop device", name)?)
            }
            Disk::Loop(name) => {
                let what =
                    format!("fs `{}` of {} MiB on loop device `{name}`", spec.name, spec.mib);
                return Err(Error::input(what).advice("leave `mib` out: it gets all of the device"));
            }
        };
        fs::mkfs(&*device)?;
        let below = match &spec.disk {
            Disk::Loop(name) => Some(self.nodes[name]),
            Disk::Memory | Disk::TempFile => None,
        };
        let (metadata, below) = match (&self.bufio, spec.metadata) {
            (Some(bufio), MetadataSpec::Bufio) => {
                let node = cache_node(mm, &spec.name, below)?;
                (fs::Metadata::Bufio { bufio: bufio.clone(), node: Some(node) }, Some(node))
            }
            (None, _) | (_, MetadataSpec::Core) => (fs::Metadata::Core, below),
        };
        Ok((Fs::mount_with(sched, mm, plan, &spec.name, device, metadata)?, below))
    }

    fn add_loop(&mut self, parts: &Parts, spec: &LoopSpec) -> Result<()> {
        free(&self.devices, "loop device", &spec.name)?;
        let (made, file) = self.make_loop(parts, spec)?;
        let queue = made.queue().id;
        define(&mut self.devices, "loop device", &spec.name, made)?;
        self.standing.push(BuiltPart::Loop(spec.name.clone()));
        let node = self.record_loop(parts, spec)?;
        self.nodes.insert(spec.name.clone(), node);
        parts.mm.part_queues(node, queue);
        parts.mm.part_takes(node, file);
        Ok(())
    }

    /// Records the device in the topology, and what it rests on.
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

    /// The device, and the lock of its file's inode.
    fn make_loop(&self, parts: &Parts, spec: &LoopSpec) -> Result<(Arc<dyn BlockDevice>, LockId)> {
        let fs = find(&self.fs, "filesystem", &spec.fs)?;
        let bytes = limits::bytes(&format!("loop device `{}`", spec.name), spec.mib)?;
        let lock = make_file(fs, &spec.file, bytes).map_err(|errno| {
            Error::input(format!(
                "loop device `{}`: making `{}` of {} MiB on fs `{}`",
                spec.name, spec.file, spec.mib, spec.fs
            ))
            .because(errno)
        })?;
        Ok((self.backend.attach(parts, fs, spec)?, lock))
    }

    fn make_client(&self, mm: &Mm, spec: &BufioSpec) -> Result<Client> {
        let bufio = self.bufio.as_ref().expect("a stack with clients has dm-bufio");
        let user = format!("bufio client `{}`", spec.name);
        let device = Arc::clone(below(&user, &self.devices, "loop device", &spec.device)?);
        if let Some(by) = self.claimed.get(&spec.device) {
            let what = format!("{user} on loop device `{}`, which {by} has", spec.device);
            return Err(Error::input(what).advice("give it a loop device of its own"));
        }
        let mut options = ClientOptions { block_size: spec.block_size, ..ClientOptions::default() };
        if let Some(bytes) = spec.retain_bytes {
            options.retain_bytes = bytes;
        }
        let on = self.nodes[&spec.device];
        let node = cache_node(mm, &spec.name, Some(on))?;
        let client = bufio.create(device, Some(node), options)?;
        for block in &spec.dirty {
            let buffer = client.new_block(*block).map_err(|errno| {
                Error::input(format!("bufio client `{}`: making block {block}", spec.name))
                    .because(errno)
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

    /// The bufio client of this name, or the one that keeps the metadata of the filesystem of this
    /// name.
    ///
    /// # Errors
    /// If the stack has neither.
    pub fn client(&self, name: &str) -> Result<&Client> {
        let of_fs = self.fs.get(name).and_then(Fs::metadata_client);
        of_fs
            .filter(|_| !self.clients.contains_key(name))
            .map_or_else(|| find(&self.clients, "bufio client", name), Ok)
    }

    /// The loop device of this name.
    ///
    /// # Errors
    /// If the stack has none.
    pub fn device(&self, name: &str) -> Result<&Arc<dyn BlockDevice>> {
        find(&self.devices, "loop device", name)
    }

    /// Takes the stack down. Every step is tried, also after an error.
    ///
    /// # Errors
    /// The first error of a step.
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
        for standing in self.standing.iter().rev() {
            match standing {
                BuiltPart::Loop(name) => self.devices[name].stop(),
                BuiltPart::Fs(name) => {
                    note(self.backend.finish(&self.fs[name]));
                    note(self.fs[name].unmount());
                }
            }
        }
        if let Some(cleaner) = &self.cleaner {
            cleaner.destroy();
        }
        first
    }
}

/// Makes a file and syncs it; returns the lock of its inode.
pub(super) fn make_file(fs: &Fs, name: &str, bytes: u64) -> Result<LockId, Errno> {
    let ino = fs.create(name)?;
    fs.truncate(ino, bytes)?;
    fs.fsync(ino)?;
    fs.inode_lock(ino)
}

/// Records the node of a client in the topology, and what it rests on.
fn cache_node(mm: &Mm, name: &str, on: Option<Node>) -> Result<Node> {
    mm.topology(|stack| {
        let node = stack.add_node(NodeKind::Cache, format!("bufio:{name}"));
        on.map_or(Ok(()), |on| stack.depends(node, on)).map(|()| node)
    })
}
