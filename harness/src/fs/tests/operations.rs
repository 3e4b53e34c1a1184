//! Every operation, on a healthy device.

use std::cell::Cell;

use super::{BLOCK, Blocks, KEEPERS, MIB, Rig, contents, kept_by, pattern, run, with_plan};
use crate::block::BackingFile;
use crate::era::Era;
use crate::error::Errno;
use crate::fs::{FileKind, Format, Fs, Ino, MAX_FILE_SIZE, MAX_NAME};
use crate::inject::{Failpoint, FailpointRule, PlanSpec};

const SMALL: Format = Format { journal_blocks: 0, inodes: 0 };

/// Writes at `offset` into a sparse file and reads all around it.
#[track_caller]
fn check_round_trip(offset: u64, len: usize) {
    run(|rig| {
        let (_, fs) = rig.fs(32 * MIB, SMALL);
        let ino = fs.create("disk.img").unwrap();
        let data = pattern(7, len);
        fs.write(ino, offset, &data).unwrap();
        let end = offset + len as u64;
        assert_eq!(fs.stat(ino).unwrap().size, end);
        let before = offset.saturating_sub(5000);
        let mut around = vec![0xEE; usize::try_from(end - before).unwrap() + 100];
        let count = fs.read(ino, before, &mut around).unwrap();
        assert_eq!(count, around.len() - 100, "a read ends at the end of the file");
        let hole = usize::try_from(offset - before).unwrap();
        assert!(around[..hole].iter().all(|byte| *byte == 0), "a hole reads as zeroes");
        assert_eq!(around[hole..count], data);
    });
}

#[test]
fn data_is_read_back_from_every_level_of_the_map() {
    let (direct, single) = (12 * BLOCK, (12 + 1020) * BLOCK);
    for (offset, len) in [
        (0, 1),
        (0, 4096),
        (100, 5000),
        (direct - 4096, 8192),
        (direct + 17, 100),
        (single - 5000, 10_000),
        (single + 300 * BLOCK, 4096),
        (64 * MIB - 512, 512),
        (single + 1020 * BLOCK - 4096, 8192),
        (3 << 30, 600_000),
        (MAX_FILE_SIZE - 3, 3),
    ] {
        check_round_trip(offset, len);
    }
}

#[test]
fn a_write_in_the_middle_keeps_the_rest() {
    run(|rig| {
        let (_, fs) = rig.fs(8 * MIB, SMALL);
        let ino = fs.create("a").unwrap();
        let mut expected = pattern(1, 20_000);
        fs.write(ino, 0, &expected).unwrap();
        let middle = pattern(2, 9_001);
        fs.write(ino, 3_000, &middle).unwrap();
        expected[3_000..12_001].copy_from_slice(&middle);
        assert_eq!(contents(&fs, "a"), expected);
    });
}

#[test]
fn a_file_that_shrank_and_grew_reads_zeroes() {
    run(|rig| {
        let (_, fs) = rig.fs(8 * MIB, SMALL);
        let ino = fs.create("a").unwrap();
        fs.write(ino, 0, &pattern(1, 10_000)).unwrap();
        fs.truncate(ino, 5_000).unwrap();
        fs.truncate(ino, 9_000).unwrap();
        let mut expected = pattern(1, 10_000);
        expected.truncate(9_000);
        expected[5_000..].fill(0);
        assert_eq!(contents(&fs, "a"), expected);
    });
}

#[test]
fn truncate_and_unlink_free_every_block() {
    run(|rig| {
        let (_, fs) = rig.fs(32 * MIB, SMALL);
        fs.create("keeps the directory block").unwrap();
        let before = fs.statfs().unwrap();
        for (size, keep) in
            [(4096, 0), (6 * MIB, 0), (6 * MIB, 5 * MIB), (12 * MIB, 12 * BLOCK), (12 * MIB, 1)]
        {
            let ino = fs.create("a").unwrap();
            fs.write(ino, 0, &vec![1; usize::try_from(size).unwrap()]).unwrap();
            fs.truncate(ino, keep).unwrap();
            let used = before.free_blocks - fs.statfs().unwrap().free_blocks;
            assert_eq!(fs.stat(ino).unwrap().blocks, used, "{size} cut to {keep}");
            fs.unlink("a").unwrap();
            assert_eq!(fs.statfs().unwrap(), before, "{size} cut to {keep}");
        }
    });
}

#[test]
fn names_are_found_listed_and_removed() {
    run(|rig| {
        let (_, fs) = rig.fs(8 * MIB, SMALL);
        let long = "x".repeat(MAX_NAME);
        let made: Vec<Ino> =
            ["a", "b", &long].iter().map(|name| fs.create(name).unwrap()).collect();
        assert_eq!(fs.lookup(&long), Ok(made[2]));
        assert_eq!(fs.create("b"), Err(Errno::EEXIST));
        fs.unlink("a").unwrap();
        assert_eq!(fs.lookup("a"), Err(Errno::ENOENT));
        let names: Vec<String> =
            fs.readdir().unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["b", &long]);
        assert_eq!(fs.stat(Ino::ROOT).unwrap().kind, FileKind::Directory);
    });
}

#[test]
fn invalid_arguments_are_refused_by_errno() {
    run(|rig| {
        let (_, fs) = rig.fs(8 * MIB, SMALL);
        let ino = fs.create("a").unwrap();
        for (name, errno) in [("", Errno::EINVAL), ("a/b", Errno::EINVAL), ("..", Errno::EINVAL)] {
            assert_eq!(fs.create(name), Err(errno), "{name:?}");
        }
        assert_eq!(fs.create(&"x".repeat(MAX_NAME + 1)), Err(Errno::ENAMETOOLONG));
        assert_eq!(fs.lookup(&"x".repeat(MAX_NAME + 1)), Err(Errno::ENAMETOOLONG));
        assert_eq!(fs.unlink("b"), Err(Errno::ENOENT));
        assert_eq!(fs.write(Ino::ROOT, 0, &[1]), Err(Errno::EISDIR));
        assert_eq!(fs.read(Ino(77), 0, &mut [0]), Err(Errno::ENOENT));
        assert_eq!(fs.stat(Ino(0)), Err(Errno::ENOENT));
        assert_eq!(fs.write(ino, MAX_FILE_SIZE, &[1]), Err(Errno::EFBIG));
        assert_eq!(fs.write(ino, u64::MAX, &[1, 2]), Err(Errno::EFBIG));
        assert_eq!(fs.truncate(ino, MAX_FILE_SIZE + 1), Err(Errno::EFBIG));
        assert_eq!(fs.read(ino, u64::MAX, &mut [0]), Ok(0));
        let open = fs.open("a").unwrap();
        assert_eq!(fs.unlink("a"), Err(Errno::EBUSY));
        drop(open);
        assert_eq!(fs.unlink("a"), Ok(()));
    });
}

#[test]
fn files_survive_unmount_and_mount() {
    run(|rig| {
        let (device, fs) = rig.fs(16 * MIB, SMALL);
        let ino = fs.create("disk.img").unwrap();
        fs.truncate(ino, 64 * MIB).unwrap();
        fs.write(ino, 63 * MIB, &pattern(3, 300_000)).unwrap();
        let expected = contents(&fs, "disk.img");
        fs.unmount().unwrap();
        assert_eq!(fs.stat(ino), Err(Errno::ENODEV));
        assert!(fs.unmount().is_err());
        let fs = rig.mount(&device).unwrap();
        assert_eq!(contents(&fs, "disk.img"), expected);
    });
}

#[test]
fn an_open_file_backs_a_loop_device() {
    run(|rig| {
        let (_, fs) = rig.fs(16 * MIB, SMALL);
        let ino = fs.create("disk.img").unwrap();
        fs.truncate(ino, MIB).unwrap();
        let file = fs.open("disk.img").unwrap();
        assert_eq!((file.name(), file.size()), ("lower/disk.img", Ok(MIB)));
        file.write_at(4096, &[9; 512]).unwrap();
        file.fsync().unwrap();
        let mut end = [1; 1024];
        file.read_at(MIB - 512, &mut end).unwrap();
        assert_eq!(end, [0; 1024], "past the end there are zeroes");
    });
}

#[test]
fn a_full_directory_and_a_full_inode_table_say_enospc() {
    for (inodes, room) in [(34, 33), (1000, 12 * 63)] {
        run(|rig| {
            let (_, fs) = rig.fs(8 * MIB, Format { journal_blocks: 0, inodes });
            for i in 0..room {
                fs.create(&format!("file {i}")).unwrap();
            }
            assert_eq!(fs.create("one more"), Err(Errno::ENOSPC), "{inodes} inodes");
            fs.unlink("file 7").unwrap();
            assert!(fs.create("one more").is_ok());
            assert_eq!(fs.readdir().unwrap().len(), room);
        });
    }
}

#[test]
fn a_full_device_says_enospc_until_there_is_room_again() {
    run(|rig| {
        let (device, fs) = rig.fs(MIB, SMALL);
        let ino = fs.create("a").unwrap();
        fs.write(ino, 0, &pattern(1, 10_000)).unwrap();
        let big = fs.create("big").unwrap();
        assert_eq!(fs.write(big, 0, &vec![2; 2 << 20]), Err(Errno::ENOSPC));
        assert_eq!(contents(&fs, "a"), pattern(1, 10_000));
        fs.unlink("big").unwrap();
        let size = u64::from(fs.statfs().unwrap().free_blocks - 1) * BLOCK;
        let again = fs.create("again").unwrap();
        fs.write(again, 0, &vec![3; usize::try_from(size).unwrap()]).unwrap();
        fs.unmount().unwrap();
        let fs = rig.mount(&device).unwrap();
        assert_eq!(contents(&fs, "a"), pattern(1, 10_000));
        assert!(contents(&fs, "again").iter().all(|byte| *byte == 3));
    });
}

#[test]
fn an_operation_larger_than_the_journal_says_enospc() {
    run(|rig| {
        let (_, fs) = rig.fs(MIB, Format { journal_blocks: 8, inodes: 34 });
        assert_eq!(fs.create("a"), Err(Errno::ENOSPC));
        assert!(fs.begin(5).is_ok(), "what fits can begin");
        assert_eq!(fs.begin(6).map(drop), Err(Errno::ENOSPC));
    });
}

#[test]
fn a_small_journal_is_emptied_as_often_as_needed() {
    run(|rig| {
        let (device, fs) = rig.fs(4 * MIB, Format { journal_blocks: 20, inodes: 200 });
        for i in 0..150 {
            let ino = fs.create(&format!("file {i}")).unwrap();
            fs.write(ino, 0, &pattern(i, 5_000)).unwrap();
        }
        fs.unmount().unwrap();
        let fs = rig.mount(&device).unwrap();
        for i in 0..150 {
            assert_eq!(contents(&fs, &format!("file {i}")), pattern(i, 5_000));
        }
    });
}

#[test]
fn a_dropped_transaction_changes_nothing() {
    run(|rig| {
        let (_, fs) = rig.fs(4 * MIB, SMALL);
        drop(fs.begin(4).unwrap());
        fs.begin(4).unwrap().commit();
        assert_eq!(fs.readdir().unwrap(), []);
    });
}

/// Fails one allocation, after `skip` that succeed.
fn failing(skip: u64) -> PlanSpec {
    let rule = FailpointRule { point: Failpoint::MmAlloc, skip, times: Some(1), optional: false };
    PlanSpec { failpoints: vec![rule], ..PlanSpec::default() }
}

/// A file of twelve blocks: its thirteenth needs an indirect block.
fn twelve_blocks(rig: &Rig) -> (Fs, Ino) {
    let (_, fs) = rig.fs(4 * MIB, SMALL);
    let ino = fs.create("a").unwrap();
    fs.write(ino, 0, &pattern(1, 12 * 4096)).unwrap();
    (fs, ino)
}

/// Fails each allocation of a write in turn; returns how many of them made the write fail. After
/// each the file has all of the write or nothing.
#[track_caller]
fn check_failing_allocations(keeper: Option<Era>) -> u64 {
    let range = Cell::new((0, 0));
    kept_by(&[keeper], &failing(u64::MAX), |rig| {
        let (fs, ino) = twelve_blocks(rig);
        fs.statfs().unwrap();
        let before = rig.plan.seen(0);
        fs.write(ino, 12 * BLOCK, &[9; 4096]).unwrap();
        range.set((before, rig.plan.seen(0)));
    });
    let (before, after) = range.get();
    assert!(after - before >= 2, "a page for the handle and one for the indirect block");
    let failed = Cell::new(0);
    for skip in before..after {
        kept_by(&[keeper], &failing(skip), |rig| {
            let (fs, ino) = twelve_blocks(rig);
            let free = fs.statfs().unwrap();
            let mut expected = pattern(1, 12 * 4096);
            match fs.write(ino, 12 * BLOCK, &[9; 4096]) {
                Ok(()) => expected.extend([9; 4096]),
                Err(errno) => {
                    assert_eq!(errno, Errno::ENOMEM, "allocation {skip}");
                    assert_eq!(fs.statfs().unwrap(), free);
                    failed.set(failed.get() + 1);
                }
            }
            assert_eq!(contents(&fs, "a"), expected);
        });
    }
    if keeper.is_none() {
        assert_eq!(failed.get(), after - before, "in core nothing helps out");
    }
    failed.get()
}

#[test]
fn a_failed_allocation_undoes_the_whole_operation() {
    for keeper in KEEPERS {
        assert!(check_failing_allocations(keeper) >= 2, "{keeper:?}");
    }
}

#[test]
fn unmount_frees_every_page() {
    run(|rig| {
        let before = rig.mm.free();
        let (_, fs) = rig.fs(16 * MIB, SMALL);
        let ino = fs.create("a").unwrap();
        fs.write(ino, 0, &vec![1; 8 << 20]).unwrap();
        assert!(before.0 - rig.mm.free().0 >= 6, "what is in core costs memory");
        fs.unmount().unwrap();
        assert_eq!(rig.mm.free(), before);
    });
}

#[test]
fn mkfs_and_a_sparse_file_touch_few_blocks() {
    run(|rig| {
        let (device, fs) = rig.fs(80 * MIB, SMALL);
        let ino = fs.create("disk.img").unwrap();
        fs.truncate(ino, 64 * MIB).unwrap();
        assert!(device.image().len() <= 10, "{} blocks", device.image().len());
        // Three pages belong to dm-bufio: its reserve, and the blocks that it read.
        let theirs = if fs.metadata_client().is_some() { 3 } else { 0 };
        assert!(rig.mm.free().0 >= (1 << 16) - 6 - theirs, "{:?}", rig.mm.free());
    });
}

pub(super) fn fail_once(point: Failpoint) -> PlanSpec {
    let rule = FailpointRule { point, skip: 0, times: Some(1), optional: false };
    PlanSpec { failpoints: vec![rule], ..PlanSpec::default() }
}

#[test]
fn a_failed_commit_can_be_repeated() {
    with_plan(&fail_once(Failpoint::JournalCommit), |rig| {
        let (device, fs) = rig.fs(4 * MIB, SMALL);
        let ino = fs.create("a").unwrap();
        assert_eq!(fs.fsync(ino), Err(Errno::EIO));
        fs.write(ino, 0, &[5; 100]).unwrap();
        assert_eq!(fs.fsync(ino), Ok(()));
        let crashed = rig.device_of(device.image(), 4 * MIB);
        assert_eq!(contents(&rig.mount(&crashed).unwrap(), "a"), [5; 100]);
    });
}

#[test]
fn a_file_that_cannot_commit_its_truncation_does_not_grow() {
    with_plan(&fail_once(Failpoint::JournalCommit), |rig| {
        let (device, fs) = rig.fs(4 * MIB, SMALL);
        let ino = fs.create("a").unwrap();
        fs.write(ino, 0, &[5; 4096]).unwrap();
        fs.truncate(ino, 100).unwrap();
        let before = device.image();
        assert_eq!(fs.truncate(ino, 200), Err(Errno::EIO));
        assert_eq!(contents(&fs, "a"), [5; 100]);
        let data = |image: &Blocks| image.values().filter(|image| **image == [5; 4096]).count();
        assert_eq!((data(&before), data(&device.image())), (1, 1), "its tail is not zeroed");
        fs.truncate(ino, 200).unwrap();
        assert_eq!(contents(&fs, "a"), [[5; 100], [0; 100]].concat());
    });
}

#[test]
fn a_failed_checkpoint_loses_nothing() {
    with_plan(&fail_once(Failpoint::JournalCheckpoint), |rig| {
        let (device, fs) = rig.fs(4 * MIB, SMALL);
        let ino = fs.create("a").unwrap();
        fs.write(ino, 0, &[5; 100]).unwrap();
        assert!(fs.unmount().unwrap_err().to_string().contains("cannot unmount fs:lower"));
        let fs = rig.mount(&device).unwrap();
        assert_eq!(contents(&fs, "a"), [5; 100]);
    });
}
