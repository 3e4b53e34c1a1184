//! What a cached buffer of 4 KiB takes beyond its data, in bytes that were asked of the allocator.
//!
//! The client itself, its index and lists count; the device has nothing written to it and takes
//! nothing.

mod caches;
mod rounds;

use std::alloc::System;

use caches::{BLOCK, Ours};
use criterion::Criterion;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

/// Buffers that are cached: 256 MiB.
const BUFFERS: u64 = 1 << 16;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes beyond the data, for each buffer.
fn bytes_beyond() -> f64 {
    let region = Region::new(HEAP);
    let ours = Ours::new(BUFFERS, BUFFERS);
    for block in 0..BUFFERS {
        drop(ours.client.read(block).expect("memory does not fail"));
    }
    assert_eq!(ours.client.buffers(), BUFFERS);
    let change = region.change();
    let bytes = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
    bytes / BUFFERS as f64 - BLOCK as f64
}

fn footprint(criterion: &mut Criterion) {
    rounds::number(criterion, "footprint", ["buffer", "byte"], bytes_beyond());
}

fn main() {
    rounds::run(&[footprint]);
}
