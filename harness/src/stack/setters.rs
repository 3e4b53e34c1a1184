//! How a spec is written in Rust: constructors and setters, each taking the spec and giving it
//! back.
//!
//! The types are `#[non_exhaustive]`, so that a field that is added breaks no caller.

use super::spec::{
    BufioSpec, Disk, FsSpec, LoopSpec, MemorySpec, MetadataSpec, StackSpec, SwapSpec,
};
use crate::mm::policy::PolicyKind;
use crate::mm::{MemcgSpec, Watermarks};

impl StackSpec {
    /// Sets [`field@StackSpec::pages`], in pages of 4 KiB.
    #[must_use]
    pub fn pages(mut self, pages: u64) -> Self {
        self.pages = pages;
        self
    }

    /// Sets [`field@StackSpec::memory`].
    #[must_use]
    pub fn memory(mut self, memory: MemorySpec) -> Self {
        self.memory = memory;
        self
    }

    /// Adds a filesystem.
    #[must_use]
    pub fn fs(mut self, fs: FsSpec) -> Self {
        self.fs.push(fs);
        self
    }

    /// Adds a loop device.
    #[must_use]
    pub fn loop_device(mut self, device: LoopSpec) -> Self {
        self.loops.push(device);
        self
    }

    /// Adds a dm-bufio client.
    #[must_use]
    pub fn bufio(mut self, client: BufioSpec) -> Self {
        self.bufio.push(client);
        self
    }
}

impl MemorySpec {
    /// Sets [`field@MemorySpec::watermarks`], in pages.
    #[must_use]
    pub fn watermarks(mut self, watermarks: Watermarks) -> Self {
        self.watermarks = Some(watermarks);
        self
    }

    /// Sets [`field@MemorySpec::kswapd`].
    #[must_use]
    pub fn kswapd(mut self, runs: bool) -> Self {
        self.kswapd = runs;
        self
    }

    /// Sets [`field@MemorySpec::policy`].
    #[must_use]
    pub fn policy(mut self, policy: PolicyKind) -> Self {
        self.policy = policy;
        self
    }

    /// Sets [`field@MemorySpec::memcg`].
    #[must_use]
    pub fn memcg(mut self, memcg: MemcgSpec) -> Self {
        self.memcg = Some(memcg);
        self
    }

    /// Adds a swap area. Areas are filled in the order in which they were added.
    #[must_use]
    pub fn swap(mut self, area: SwapSpec) -> Self {
        self.swap.push(area);
        self
    }
}

impl SwapSpec {
    /// A swap area of `pages` pages in memory.
    #[must_use]
    pub fn in_memory(name: impl Into<String>, pages: usize) -> Self {
        Self { name: name.into(), device: None, fs: None, pages }
    }

    /// A swap area of `pages` pages on a loop device.
    #[must_use]
    pub fn on_loop(name: impl Into<String>, device: impl Into<String>, pages: usize) -> Self {
        Self { device: Some(device.into()), ..Self::in_memory(name, pages) }
    }

    /// A swap file of `pages` pages, which the filesystem `fs` writes itself.
    #[must_use]
    pub fn file(name: impl Into<String>, fs: impl Into<String>, pages: usize) -> Self {
        Self { fs: Some(fs.into()), ..Self::in_memory(name, pages) }
    }
}

impl FsSpec {
    /// A filesystem on `mib` MiB of memory, which keeps its metadata itself.
    #[must_use]
    pub fn in_memory(name: impl Into<String>, mib: u64) -> Self {
        Self { name: name.into(), disk: Disk::Memory, mib, metadata: MetadataSpec::Core }
    }

    /// A filesystem on an unlinked temp file of `mib` MiB, which keeps its metadata itself.
    #[must_use]
    pub fn on_temp_file(name: impl Into<String>, mib: u64) -> Self {
        Self { disk: Disk::TempFile, ..Self::in_memory(name, mib) }
    }

    /// A filesystem on a loop device, which keeps its metadata itself.
    #[must_use]
    pub fn on_loop(name: impl Into<String>, device: impl Into<String>) -> Self {
        Self { disk: Disk::Loop(device.into()), ..Self::in_memory(name, 0) }
    }

    /// Sets [`field@FsSpec::mib`], in MiB.
    #[must_use]
    pub fn mib(mut self, mib: u64) -> Self {
        self.mib = mib;
        self
    }

    /// Sets [`field@FsSpec::metadata`].
    #[must_use]
    pub fn metadata(mut self, metadata: MetadataSpec) -> Self {
        self.metadata = metadata;
        self
    }

    /// The same with its metadata in dm-bufio.
    #[must_use]
    pub fn with_bufio(self) -> Self {
        self.metadata(MetadataSpec::Bufio)
    }
}

impl LoopSpec {
    /// A loop device on a new file of `mib` MiB of the filesystem `fs`.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        fs: impl Into<String>,
        file: impl Into<String>,
        mib: u64,
    ) -> Self {
        Self { name: name.into(), fs: fs.into(), file: file.into(), mib }
    }

    /// Sets [`field@LoopSpec::fs`].
    #[must_use]
    pub fn fs(mut self, fs: impl Into<String>) -> Self {
        self.fs = fs.into();
        self
    }

    /// Sets [`field@LoopSpec::file`].
    #[must_use]
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.file = file.into();
        self
    }
}

impl BufioSpec {
    /// A client for blocks of 4 KiB of a loop device.
    #[must_use]
    pub fn new(name: impl Into<String>, device: impl Into<String>) -> Self {
        let (name, device) = (name.into(), device.into());
        Self { name, device, block_size: 4096, retain_bytes: None, dirty: Vec::new() }
    }

    /// Sets [`field@BufioSpec::block_size`], in bytes: a power of two from 512.
    #[must_use]
    pub fn block_size(mut self, bytes: u32) -> Self {
        self.block_size = bytes;
        self
    }

    /// Sets [`field@BufioSpec::retain_bytes`].
    #[must_use]
    pub fn retain_bytes(mut self, bytes: u64) -> Self {
        self.retain_bytes = Some(bytes);
        self
    }

    /// Sets [`field@BufioSpec::dirty`].
    #[must_use]
    pub fn dirty(mut self, blocks: impl IntoIterator<Item = u64>) -> Self {
        self.dirty = blocks.into_iter().collect();
        self
    }
}
