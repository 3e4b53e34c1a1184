//! Stacks that several stories are told on.

use reclaimdep::stack::{BufioSpec, Disk, FsSpec, LoopSpec, StackSpec};

/// A filesystem called `name` in memory.
pub(crate) fn fs(name: &str) -> FsSpec {
    FsSpec { name: name.into(), disk: Disk::Memory, mib: 96 }
}

/// fs:lower, loop0 on a file of it, and a buffer cache with one dirty block on loop0.
pub(crate) fn bufio_on_loop() -> StackSpec {
    StackSpec {
        fs: vec![fs("lower")],
        loops: vec![LoopSpec { name: "loop0".into(), fs: "lower".into(), file: "disk.img".into(), mib: 64 }],
        bufio: vec![BufioSpec {
            name: "meta".into(),
            device: "loop0".into(),
            block_size: 4096,
            retain_bytes: Some(0),
            dirty: vec![0],
        }],
        ..StackSpec::default()
    }
}
