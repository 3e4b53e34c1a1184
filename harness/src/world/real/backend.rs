//! `Real`: FUSE mounts and real loop devices under a stack.
//!
//! Key type: [`Real`]. One mount for each filesystem that has a loop device, made when its first
//! device is attached.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use super::rejoin::Rejoin;
use crate::block::{BackingFile as _, BlockDevice};
use crate::error::{Error, Result};
use crate::fs::Fs;
use crate::fs::{FuseFs, ServeHook};
use crate::host::{Backing, Child, FuseMount, HostLoop, IoOptions, LoopOptions};
use crate::sched::SpinLock;
use crate::stack::{LoopBackend, LoopSpec, Parts};
use crate::units::{SECTOR_SIZE, Sectors};

/// A filesystem that is served through FUSE.
struct ServedMount {
    mount: FuseMount,
    rejoin: Arc<Rejoin>,
}

/// The loop tier's backend.
pub(super) struct Real {
    child: Option<Arc<Child>>,
    /// By the name of the filesystem, as are the devices.
    served: SpinLock<BTreeMap<String, ServedMount>>,
    devices: SpinLock<BTreeMap<String, Vec<Arc<HostLoop>>>>,
}

impl Real {
    /// A backend that reports its mounts to the supervisor, if there is one.
    pub(super) fn new(child: Option<Arc<Child>>) -> Self {
        Self { child, served: SpinLock::default(), devices: SpinLock::default() }
    }

    fn serve(&self, parts: &Parts, fs: &Fs) -> Result<ServedMount> {
        let rejoin = Arc::new(Rejoin::new(&parts.sched, fs.name()));
        let hook: Arc<dyn ServeHook> = Arc::<Rejoin>::clone(&rejoin);
        let filesystem = FuseFs::new(fs.clone(), hook);
        let mount = FuseMount::serve(fs.name(), filesystem)?;
        if let Some(child) = &self.child {
            child.report_connection(mount.connection())?;
        }
        Ok(ServedMount { mount, rejoin })
    }
}

impl LoopBackend for Real {
    fn through_server(&self) -> bool {
        true
    }

    fn attach(&self, parts: &Parts, fs: &Fs, spec: &LoopSpec) -> Result<Arc<dyn BlockDevice>> {
        let trouble = |errno| {
            Error::os(format!("loop device `{}`: its backing file cannot be looked up", spec.name))
                .because(errno)
        };
        let ino = fs.lookup(&spec.file).map_err(trouble)?;
        let bytes = fs.open(&spec.file).and_then(|file| file.size()).map_err(trouble)?;
        let mut served = self.served.lock();
        if !served.contains_key(fs.name()) {
            served.insert(fs.name().to_owned(), self.serve(parts, fs)?);
        }
        let ServedMount { mount, rejoin } = &served[fs.name()];
        let backing = Backing::On { mount: mount.as_fd(), file: &spec.file };
        let sectors = Sectors(bytes / SECTOR_SIZE);
        let (options, io) = (LoopOptions::default(), IoOptions::default());
        let device = HostLoop::attach(&parts.sched, &spec.name, backing, sectors, options, io)?;
        let device = Arc::new(device);
        rejoin.add(ino, &device);
        self.devices.lock().entry(fs.name().to_owned()).or_default().push(Arc::clone(&device));
        Ok(device)
    }

    fn finish(&self, fs: &Fs) -> Result<()> {
        let mut first = Ok(());
        let devices = self.devices.lock().remove(fs.name());
        for device in devices.into_iter().flatten() {
            if let (Ok(()), Some(trouble)) = (&first, device.take_trouble()) {
                first = Err(trouble);
            }
        }
        let served = self.served.lock().remove(fs.name());
        let shut = served.map_or(Ok(()), |served| served.mount.shutdown());
        first.and(shut)
    }

    /// A mount that is shut down before the devices on its files waits for them until it times out.
    fn unwound(&self) {
        let devices = std::mem::take(&mut *self.devices.lock());
        devices.values().flatten().for_each(|device| device.stop());
        drop(devices);
        // The run has ended by a finding or a panic, which is what is told.
        drop(std::mem::take(&mut *self.served.lock()));
    }
}
