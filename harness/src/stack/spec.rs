//! `StackSpec`: a storage stack as data.
//!
//! Key type: [`StackSpec`]. Devices, filesystems, files, loop devices and bufio clients have names,
//! and refer to each other by name. The error for an unknown name lists the names that exist.

use serde::{Deserialize, Serialize};

use crate::mm::policy::PolicyKind;
use crate::mm::{MemcgSpec, Watermarks};

/// A storage stack. It is built from the bottom: filesystems on disks, loop devices on their files,
/// filesystems on those, and the clients last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct StackSpec {
    /// Pages of the world's memory; 4096 (16 MiB) by default.
    #[serde(default = "default_pages")]
    pub pages: u64,
    /// How that memory is managed.
    #[serde(default)]
    pub memory: MemorySpec,
    /// Filesystems, each on a disk of its own or on a loop device.
    #[serde(default)]
    pub fs: Vec<FsSpec>,
    /// Loop devices, each on a file of a filesystem.
    #[serde(default, rename = "loop")]
    pub loops: Vec<LoopSpec>,
    /// dm-bufio clients, each on a loop device.
    #[serde(default)]
    pub bufio: Vec<BufioSpec>,
}

impl Default for StackSpec {
    /// Memory, and no storage.
    fn default() -> Self {
        let memory = MemorySpec::default();
        Self {
            pages: default_pages(),
            memory,
            fs: Vec::new(),
            loops: Vec::new(),
            bufio: Vec::new(),
        }
    }
}

/// How a world's memory is managed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct MemorySpec {
    /// The watermarks, in pages; in the kernel's proportions where none are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermarks: Option<Watermarks>,
    /// Whether kswapd runs. A plan that asks for it starts it as well.
    #[serde(default)]
    pub kswapd: bool,
    /// How masks and shrinkers decide.
    #[serde(default)]
    pub policy: PolicyKind,
    /// A memory cgroup that accounted allocations are charged to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memcg: Option<MemcgSpec>,
    /// Swap areas, in the order in which they are filled.
    #[serde(default)]
    pub swap: Vec<SwapSpec>,
}

/// A swap area: in memory, on a loop device, or in a file that its filesystem writes
/// (`SWP_FS_OPS`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SwapSpec {
    /// Its name: `swap0`.
    pub name: String,
    /// The loop device that it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The filesystem that it is a file of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs: Option<String>,
    /// Its size in pages.
    pub pages: usize,
}

fn default_pages() -> u64 {
    4096
}

/// The disk of a filesystem.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Disk {
    /// Memory, sparse.
    #[default]
    Memory,
    /// A temp file, unlinked.
    TempFile,
    /// The loop device of this name, all of it.
    Loop(String),
}

/// Where a filesystem's metadata is kept while it is mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MetadataSpec {
    /// In core, until unmount.
    #[default]
    Core,
    /// In a dm-bufio client of the filesystem's, with the era's shrinker.
    Bufio,
}

/// A filesystem of ours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct FsSpec {
    /// Its name: `lower`.
    pub name: String,
    /// Its disk.
    #[serde(default)]
    pub disk: Disk,
    /// Mebibytes of its disk; 0 on a loop device, which has its size already.
    #[serde(default)]
    pub mib: u64,
    /// Where its metadata is kept.
    #[serde(default)]
    pub metadata: MetadataSpec,
}

/// A loop device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct LoopSpec {
    /// Its name in reports: `loop0`. A real device gets any free number.
    pub name: String,
    /// The filesystem of its backing file.
    pub fs: String,
    /// The backing file, which the stack makes.
    pub file: String,
    /// Mebibytes of the file.
    pub mib: u64,
}

/// A dm-bufio client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct BufioSpec {
    /// Its name: `meta`.
    pub name: String,
    /// The loop device it caches.
    pub device: String,
    /// Bytes of a block.
    #[serde(default = "default_block")]
    pub block_size: u32,
    /// Bytes that the work-queue shrinker keeps in the cache; 256 KiB by default, as in the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_bytes: Option<u64>,
    /// Blocks that are made and dirtied before the tasks start.
    #[serde(default)]
    pub dirty: Vec<u64>,
}

fn default_block() -> u32 {
    4096
}
