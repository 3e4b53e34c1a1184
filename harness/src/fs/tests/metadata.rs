//! Metadata in dm-bufio: it may be evicted at any time, and is not written home too early.

use std::sync::Arc;

use super::operations::fail_once;
use super::{Blocks, MIB, Rig, contents, kept_by, pattern};
use crate::block::CrashDevice;
use crate::bufio::Client;
use crate::era::Era;
use crate::error::Errno;
use crate::fs::image::{self, BlockKind};
use crate::fs::tree::MetadataView as _;
use crate::fs::{Format, Fs, Ino, Metadata};
use crate::inject::{Failpoint, PlanSpec};

const FORMAT: Format = Format { journal_blocks: 40, inodes: 200 };
/// The journal and its superblock.
const LOG: core::ops::Range<u64> = 1..41;
const ERAS: [Option<Era>; 2] = [Some(Era::V3_10), Some(Era::V6_12)];

#[track_caller]
fn run(body: impl Fn(&Rig)) {
    kept_by(&ERAS, &PlanSpec::default(), body);
}

fn client(fs: &Fs) -> &Client {
    fs.0.store.client().expect("dm-bufio keeps the metadata of this filesystem")
}

/// A filesystem with a file `a` that is in the log.
fn synced(rig: &Rig) -> (Arc<CrashDevice>, Fs) {
    let (device, fs) = rig.fs(4 * MIB, FORMAT);
    let ino = fs.create("a").unwrap();
    fs.fsync(ino).unwrap();
    (device, fs)
}

/// The blocks that are neither the superblock nor the log.
fn home(blocks: Blocks) -> Blocks {
    blocks.into_iter().filter(|(block, _)| *block > 0 && !LOG.contains(block)).collect()
}

#[test]
fn an_uncommitted_block_is_not_written_home() {
    run(|rig| {
        let (device, fs) = rig.fs(4 * MIB, FORMAT);
        let before = home(device.image());
        fs.create("a").unwrap();
        client(&fs).write_dirty_buffers().unwrap();
        assert_eq!(home(device.image()), before, "the cache has nothing to write");
        assert!(
            rig.mount(&rig.device_of(device.image(), 4 * MIB))
                .unwrap()
                .readdir()
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn a_committed_block_may_be_written_home_before_the_checkpoint() {
    run(|rig| {
        let (device, fs) = synced(rig);
        let before = home(device.image());
        assert!(client(&fs).dirty_buffers() > 0, "the journal gave it to the cache");
        client(&fs).write_dirty_buffers().unwrap();
        assert_ne!(home(device.image()), before);
        // The log has the same images, so replay changes nothing.
        let fs = rig.mount(&rig.device_of(device.image(), 4 * MIB)).unwrap();
        assert_eq!(fs.readdir().unwrap().len(), 1);
    });
}

#[test]
fn a_block_that_changed_after_its_commit_is_written_home_as_committed() {
    run(|rig| {
        let (device, fs) = synced(rig);
        fs.create("b").unwrap();
        client(&fs).write_dirty_buffers().unwrap();
        let mut crashed = device.image();
        // Without its log the device has only the blocks that are home.
        crashed.retain(|block, _| *block == LOG.start || !LOG.contains(block));
        let found = rig.mount(&rig.device_of(crashed, 4 * MIB)).unwrap().readdir().unwrap();
        assert_eq!(found.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["a"]);
        assert_eq!(fs.readdir().unwrap().len(), 2);
    });
}

#[test]
fn evicted_metadata_is_read_again() {
    run(|rig| {
        let Metadata::Bufio { bufio, .. } = &rig.metadata else { unreachable!("see ERAS") };
        let (_, fs) = rig.fs(32 * MIB, FORMAT);
        // The limit allows no new buffer: each read evicts another block.
        bufio.set_max_cache_size(1);
        for i in 0..150 {
            let ino = fs.create(&format!("file {i}")).unwrap();
            fs.write(ino, i * 60_000, &pattern(u8::try_from(i).unwrap(), 5000)).unwrap();
            if i % 7 == 0 {
                fs.fsync(ino).unwrap();
            }
        }
        assert!(client(&fs).buffers() <= 2, "{} buffers", client(&fs).buffers());
        for i in (0..150).rev() {
            let (found, at) = (contents(&fs, &format!("file {i}")), i * 60_000);
            assert_eq!(found[at..], pattern(u8::try_from(i).unwrap(), 5000), "file {i}");
        }
        fs.unmount().unwrap();
    });
}

#[test]
fn after_a_failed_write_no_block_older_than_the_log_is_used() {
    kept_by(&ERAS, &fail_once(Failpoint::BufioWrite), |rig| {
        let (device, fs) = rig.fs(4 * MIB, FORMAT);
        let ino = fs.create("a").unwrap();
        fs.write(ino, 0, &[5; 100]).unwrap();
        fs.fsync(ino).unwrap();
        client(&fs).write_dirty_buffers_async();
        assert_eq!(fs.create("b"), Err(Errno::EIO));
        assert_eq!(fs.lookup("a"), Err(Errno::EIO));
        assert!(fs.unmount().unwrap_err().to_string().contains("cannot unmount fs:lower"));
        let fs = rig.mount(&device).unwrap();
        assert_eq!(contents(&fs, "a"), [5; 100], "the log had it");
        fs.create("b").unwrap();
        fs.unmount().unwrap();
    });
}

#[test]
fn a_buffer_that_is_not_filled_yet_fails_the_check() {
    run(|rig| {
        let Metadata::Bufio { bufio, .. } = &rig.metadata else { unreachable!("see ERAS") };
        let (_, fs) = rig.fs(4 * MIB, FORMAT);
        let (block, _) = Ino::ROOT.place(fs.0.layout()).unwrap();
        fs.lookup("a").unwrap_err();
        // The memory of its buffer goes to the reserve, and the next buffer gets it from there.
        let client = client(&fs);
        client.forget(block.0.into());
        bufio.set_max_cache_size(1);
        let buffer = client.new_block(block.0.into()).unwrap();
        let is_whole = |image: &[u8]| {
            let image = image.try_into().expect("a block");
            image::check(image, BlockKind::InodeTable, block, fs.0.superblock.salt).is_ok()
        };
        assert!(!buffer.with_data(is_whole));
    });
}

#[test]
fn a_dropped_client_is_not_accounted() {
    run(|rig| {
        let Metadata::Bufio { bufio, .. } = &rig.metadata else { unreachable!("see ERAS") };
        let (_, fs) = rig.fs(4 * MIB, FORMAT);
        fs.create("a").unwrap();
        assert!(bufio.accounts().current() > 0);
        drop(fs);
        assert_eq!(bufio.accounts().current(), 0);
    });
}

#[test]
fn a_failed_read_is_an_error_once() {
    kept_by(&ERAS, &fail_once(Failpoint::BufioRead), |rig| {
        let (_, fs) = rig.fs(4 * MIB, FORMAT);
        assert_eq!(fs.lookup("a"), Err(Errno::EIO));
        assert_eq!(fs.lookup("a"), Err(Errno::ENOENT));
        fs.unmount().unwrap();
    });
}

#[test]
fn unmount_destroys_the_client() {
    run(|rig| {
        let (_, fs) = synced(rig);
        fs.unmount().unwrap();
        assert_eq!(client(&fs).buffers(), 0);
        assert_eq!(fs.lookup("a"), Err(Errno::ENODEV));
    });
}
