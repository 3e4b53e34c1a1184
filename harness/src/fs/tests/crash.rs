//! The machine stops at every write: what was promised must be there, the rest is old or new.
//!
//! The device remembers its writes and flushes. Writes since the last flush may reach the medium or
//! not, each for itself; a write of several blocks may reach it in part.

use super::{Blocks, MIB, Recorder, Rig, Step, apply, contents, pattern, run};
use crate::fs::{Format, Fs};
use crate::sched::native::SplitMix64;

const SIZE: u64 = 2 * MIB;
/// A journal so small that the story below checkpoints and wraps around.
const FORMAT: Format = Format { journal_blocks: 20, inodes: 34 };

/// What a file may hold: one of these, or not be there.
type Allowed<'a> = &'a [&'a [u8]];

#[track_caller]
fn check(rig: &Rig, blocks: Blocks, at: &str, files: &[(&str, Allowed<'_>)]) {
    let fs = rig.mount(&rig.device_of(blocks, SIZE)).unwrap_or_else(|error| panic!("{at}: {error}"));
    check_files(&fs, at, files);
    // A filesystem that came up must also go on.
    let ino = fs.create("after the crash").unwrap_or_else(|errno| panic!("{at}: {errno}"));
    fs.write(ino, 0, &pattern(9, 50_000)).unwrap();
    check_files(&fs, at, files);
    assert_eq!(contents(&fs, "after the crash"), pattern(9, 50_000), "{at}");
    let used: u32 = fs.readdir().unwrap().iter().map(|entry| fs.stat(entry.ino).unwrap().blocks).sum();
    let statfs = fs.statfs().unwrap();
    let root = fs.stat(crate::fs::Ino::ROOT).unwrap().blocks;
    assert_eq!(statfs.blocks - statfs.free_blocks, used + root, "{at}: no block is lost or shared");
}

fn check_files(fs: &Fs, at: &str, files: &[(&str, Allowed<'_>)]) {
    for (name, allowed) in files {
        if fs.lookup(name).is_ok() {
            let found = contents(fs, name);
            assert!(allowed.contains(&&*found), "{at}: {name} has {} bytes of something else", found.len());
        }
    }
}

/// Every image that a crash during `history` can leave, within reason: each prefix of the writes;
/// and for each flush, some subsets of the blocks written since the one before.
fn crashes(start: &Blocks, history: &[Step], mut judge: impl FnMut(Blocks, String)) {
    let mut prefix = start.clone();
    let mut durable = start.clone();
    let mut pending: Vec<Step> = Vec::new();
    let mut random = SplitMix64(11);
    judge(prefix.clone(), "before the first write".into());
    for (i, step) in history.iter().enumerate() {
        apply(&mut prefix, step);
        match step {
            Step::Write { block, data } => {
                judge(prefix.clone(), format!("after step {i}"));
                pending.extend(
                    data.chunks(4096)
                        .zip(*block..)
                        .map(|(data, block)| Step::Write { block, data: data.into() }),
                );
            }
            Step::Flush => {
                for lap in 0..4 {
                    let mut blocks = durable.clone();
                    pending.iter().filter(|_| random.below(2) == 0).for_each(|step| apply(&mut blocks, step));
                    judge(blocks, format!("some writes before the flush at step {i}, lap {lap}"));
                }
                durable = prefix.clone();
                pending.clear();
            }
        }
    }
}

/// Makes the files of the story; returns the device as the crashes begin.
fn before(rig: &Rig) -> (std::sync::Arc<Recorder>, Fs, Blocks) {
    let (device, fs) = rig.fs(SIZE, FORMAT);
    for (name, seed) in [("stays", 1), ("goes", 2), ("changes", 3)] {
        let ino = fs.create(name).unwrap();
        fs.write(ino, 0, &pattern(seed, 70_000)).unwrap();
        fs.fsync(ino).unwrap();
    }
    let start = device.mark();
    (device, fs, start)
}

#[test]
fn after_a_crash_at_any_write_every_file_is_old_or_new() {
    run(|rig| {
        let (device, fs, start) = before(rig);
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
        }
        for i in 0..12 {
            fs.unlink(&format!("new {i}")).unwrap();
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
        let history = device.history();
        assert!(history.len() > 60, "the story is long enough: {} steps", history.len());
        crashes(&start, &history, |blocks, at| {
            check(rig, blocks.clone(), &at, &files);
            let fs = rig.mount(&rig.device_of(blocks, SIZE)).unwrap();
            assert_eq!(contents(&fs, "stays"), stays, "{at}: what was synced stays");
        });
    });
}

#[test]
fn what_fsync_acknowledged_survives_without_unmount() {
    run(|rig| {
        let (device, fs) = rig.fs(SIZE, FORMAT);
        let ino = fs.create("a").unwrap();
        fs.write(ino, 0, &pattern(1, 123_456)).unwrap();
        fs.fsync(ino).unwrap();
        fs.create("never synced").unwrap();
        let fs = rig.mount(&rig.device_of(device.blocks(), SIZE)).unwrap();
        assert_eq!(contents(&fs, "a"), pattern(1, 123_456));
        assert!(fs.lookup("never synced").is_err());
    });
}

#[test]
fn a_block_of_the_map_that_becomes_data_is_not_replayed_over() {
    run(|rig| {
        // One bitmap's worth of files that take and give their indirect block in one log.
        let (device, fs) = rig.fs(SIZE, Format { journal_blocks: 200, inodes: 34 });
        for round in 0..20 {
            let ino = fs.create("with a map").unwrap();
            fs.write(ino, 0, &pattern(round, 14 * 4096)).unwrap();
            fs.fsync(ino).unwrap();
            fs.unlink("with a map").unwrap();
            let data = fs.create(&format!("data {round}")).unwrap();
            fs.write(data, 0, &pattern(round, 4 * 4096)).unwrap();
            fs.fsync(data).unwrap();
        }
        let fs = rig.mount(&rig.device_of(device.blocks(), SIZE)).unwrap();
        for round in 0..20 {
            assert_eq!(contents(&fs, &format!("data {round}")), pattern(round, 4 * 4096));
        }
    });
}
