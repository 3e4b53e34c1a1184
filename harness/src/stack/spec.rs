//! What stack to build, as data.
//!
//! Key type: [`StackSpec`]. Devices, filesystems, files, loop devices and bufio clients, each
//! named; names link them. A name that nothing defines is an error that lists what is defined.

use serde::{Deserialize, Serialize};

use crate::mm::policy::PolicyKind;
use crate::mm::{MemcgSpec, Watermarks};

/// A storage stack. Everything is built from below: filesystems on disks, loop devices on their
/// files, filesystems on those, and at last the clients.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StackSpec {
    /// Pages of memory of the world; 4096 (16 MiB) where none is given.
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
    /// Memory alone.
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

/// A swap area: on memory, on a loop device, or a file that its filesystem writes itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SwapSpec {
    /// Its name: `swap0`.
    pub name: String,
    /// The loop device that it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The filesystem that it is a file of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs: Option<String>,
    /// Pages.
    pub pages: usize,
}

fn default_pages() -> u64 {
    4096
}

/// What a filesystem lives on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disk {
    /// Memory, sparse.
    #[default]
    Memory,
    /// A temp file, unlinked.
    TempFile,
    /// The loop device of this name, all of it.
    Loop(String),
}

/// Who keeps a filesystem's metadata while it is mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metadata {
    /// The filesystem, until unmount.
    #[default]
    Core,
    /// A dm-bufio client of its own on its device, with the era's shrinker.
    Bufio,
}

/// A filesystem of ours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FsSpec {
    /// Its name: `lower`.
    pub name: String,
    /// What it lives on.
    #[serde(default)]
    pub disk: Disk,
    /// Mebibytes of its disk; 0 on a loop device, which has its size already.
    #[serde(default)]
    pub mib: u64,
    /// Who keeps its metadata.
    #[serde(default)]
    pub metadata: Metadata,
}

/// A loop device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LoopSpec {
    /// Its name in reports: `loop0`. A real device gets whatever number is free.
    pub name: String,
    /// The filesystem its file is on.
    pub fs: String,
    /// The file, which is made.
    pub file: String,
    /// Mebibytes of the file.
    pub mib: u64,
}

/// A dm-bufio client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BufioSpec {
    /// Its name: `meta`.
    pub name: String,
    /// The loop device it caches.
    pub device: String,
    /// Bytes of a block.
    #[serde(default = "default_block")]
    pub block_size: u32,
    /// Bytes that the work-queue shrinker leaves; 256 KiB where none is given, as in the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_bytes: Option<u64>,
    /// Blocks that are made and dirtied before the tasks start.
    #[serde(default)]
    pub dirty: Vec<u64>,
}

fn default_block() -> u32 {
    4096
}
