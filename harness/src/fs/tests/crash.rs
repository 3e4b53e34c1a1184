//! Crashes at every write: acknowledged data must survive, other data is old or new.

use super::{Blocks, MIB, Rig, contents, pattern, run};
use crate::block::{Crash, CrashDevice};
use crate::fs::{Format, Fs, Ino};

const SIZE: u64 = 2 * MIB;
/// A journal so small that the workload below checkpoints and wraps around.
const FORMAT: Format = Format { journal_blocks: 20, inodes: 34 };

/// The contents that a file may have, if it exists.
type Allowed<'a> = &'a [&'a [u8]];

/// Mounts the device after a crash: files have allowed contents, and every block has one owner.
#[track_caller]
fn check(rig: &Rig, blocks: Blocks, at: &str, files: &[(&str, Allowed<'_>)]) -> Fs {
    let fs =
        rig.mount(&rig.device_of(blocks, SIZE)).unwrap_or_else(|error| panic!("{at}: {error}"));
    check_files(&fs, at, files);
    check_owners(&fs, at);
    fs
}

/// Operations work on the filesystem after the crash.
#[track_caller]
fn check_goes_on(fs: &Fs, at: &str, files: &[(&str, Allowed<'_>)]) {
    let ino = fs.create("after the crash").unwrap_or_else(|errno| panic!("{at}: {errno}"));
    fs.write(ino, 0, &pattern(9, 50_000)).unwrap();
    check_files(fs, at, files);
    assert_eq!(contents(fs, "after the crash"), pattern(9, 50_000), "{at}");
    check_owners(fs, at);
}

/// Makes dm-bufio write its dirty metadata home, as it may at any time.
fn write_early(fs: &Fs) {
    fs.metadata_client().into_iter().for_each(|client| client.write_dirty_buffers_async());
}

#[track_caller]
fn check_owners(fs: &Fs, at: &str) {
    let files: u32 =
        fs.readdir().unwrap().iter().map(|entry| fs.stat(entry.ino).unwrap().blocks).sum();
    let root = fs.stat(Ino::ROOT).unwrap().blocks;
    let statfs = fs.statfs().unwrap();
    assert_eq!(
        statfs.blocks - statfs.free_blocks,
        files + root,
        "{at}: no block is lost or shared"
    );
}

#[track_caller]
fn check_files(fs: &Fs, at: &str, files: &[(&str, Allowed<'_>)]) {
    for (name, allowed) in files {
        if fs.lookup(name).is_ok() {
            let found = contents(fs, name);
            assert!(
                allowed.contains(&&*found),
                "{at}: {name} has {} bytes of something else",
                found.len()
            );
        }
    }
}

/// Makes the files of the workload; returns the device, whose record begins here.
fn before(rig: &Rig) -> (std::sync::Arc<CrashDevice>, Fs) {
    let (device, fs) = rig.fs(SIZE, FORMAT);
    for (name, seed) in [("stays", 1), ("goes", 2), ("changes", 3)] {
        let ino = fs.create(name).unwrap();
        fs.write(ino, 0, &pattern(seed, 70_000)).unwrap();
        fs.fsync(ino).unwrap();
    }
    device.start_record();
    (device, fs)
}

#[test]
fn after_a_crash_at_any_write_every_file_is_old_or_new() {
    run(|rig| {
        let (device, fs) = before(rig);
        fs.unlink("goes").unwrap();
        let ino = fs.lookup("changes").unwrap();
        fs.truncate(ino, 0).unwrap();
        fs.write(ino, 0, &pattern(4, 60_000)).unwrap();
        for i in 0..12 {
            let ino = fs.create(&format!("new {i}")).unwrap();
            fs.write(ino, 0, &pattern(5, 20_000)).unwrap();
            if i % 3 == 0 {
                fs.fsync(ino).unwrap();
            }
            write_early(&fs);
        }
        for i in 0..12 {
            fs.unlink(&format!("new {i}")).unwrap();
            write_early(&fs);
        }
        fs.unmount().unwrap();
        let [stays, goes, changes, changed, new] = [
            pattern(1, 70_000),
            pattern(2, 70_000),
            pattern(3, 70_000),
            pattern(4, 60_000),
            pattern(5, 20_000),
        ];
        let (new_states, names): ([&[u8]; 2], Vec<_>) =
            ([b"", &new], (0..12).map(|i| format!("new {i}")).collect());
        let gone: [&[u8]; 1] = [&goes];
        let changing: [&[u8]; 3] = [&changes, b"", &changed];
        let mut files: Vec<(&str, Allowed<'_>)> = vec![("goes", &gone)];
        files.push(("changes", &changing));
        files.extend(names.iter().map(|name| (&**name, &new_states[..])));
        assert!(device.steps() > 60, "the workload is too short: {} steps", device.steps());
        device.crashes(|Crash { image, what: at, .. }| {
            let fs = check(rig, image, &at, &files);
            assert_eq!(contents(&fs, "stays"), stays, "{at}: what was synced stays");
            check_goes_on(&fs, &at, &files);
        });
    });
}

#[test]
fn a_synced_file_survives_without_unmount() {
    run(|rig| {
        let (device, fs) = rig.fs(SIZE, FORMAT);
        let ino = fs.create("a").unwrap();
        fs.write(ino, 0, &pattern(1, 123_456)).unwrap();
        fs.fsync(ino).unwrap();
        fs.create("never synced").unwrap();
        let fs = rig.mount(&rig.device_of(device.image(), SIZE)).unwrap();
        assert_eq!(contents(&fs, "a"), pattern(1, 123_456));
        assert!(fs.lookup("never synced").is_err());
    });
}

/// A journal that holds the whole workload, so that no checkpoint is needed.
const ROOMY: Format = Format { journal_blocks: 200, inodes: 34 };

/// Makes and removes files of 15 blocks, at most three at a time, on a device with `data` blocks
/// for them. So each soon gets blocks of a removed file, also those of its map. Syncs every
/// `sync_every` files.
#[track_caller]
fn check_reuse(data: u64, sync_every: u8) {
    const ROUNDS: u8 = 14;
    run(|rig| {
        let areas = u64::from(1 + ROOMY.journal_blocks + 1 + 1);
        let (device, fs) = rig.fs((areas + data) * 4096, ROOMY);
        device.start_record();
        for round in 0..ROUNDS {
            let ino = fs.create(&format!("file {round}")).unwrap();
            fs.write(ino, 0, &pattern(round, 14 * 4096)).unwrap();
            if round % sync_every == sync_every - 1 {
                fs.fsync(ino).unwrap();
            }
            write_early(&fs);
            if round >= 2 {
                fs.unlink(&format!("file {}", round - 2)).unwrap();
            }
        }
        let whole: Vec<_> =
            (0..ROUNDS).map(|round| (format!("file {round}"), pattern(round, 14 * 4096))).collect();
        let states: Vec<[&[u8]; 2]> =
            whole.iter().map(|(_, bytes)| [b"".as_slice(), bytes]).collect();
        let files: Vec<(&str, Allowed<'_>)> =
            whole.iter().zip(&states).map(|((name, _), states)| (&**name, &states[..])).collect();
        device.crashes(|Crash { image, what: at, .. }| {
            check(rig, image, &at, &files);
        });
    });
}

#[test]
fn freed_blocks_are_not_written_before_the_free_is_durable() {
    // With 60 data blocks the operations need blocks that were freed; with 80 they do not.
    for data in [60, 80] {
        check_reuse(data, 2);
        check_reuse(data, 3);
    }
}

#[test]
fn replay_does_not_overwrite_a_map_block_that_became_data() {
    check_reuse(71, 1);
}
