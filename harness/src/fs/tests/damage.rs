//! Damaged images: an error that names the damage, or an errno; never a panic or a block outside
//! the device.

use super::{BLOCK, Blocks, MIB, Rig, pattern, run};
use crate::error::{Errno, ErrorKind};
use crate::fs::image::{BLOCK_SIZE, seal};
use crate::fs::{DropReason, Format, Fs, Ino, Recovery, mkfs, mkfs_with};
use crate::sched::SplitMix64;

const SIZE: u64 = 2 * MIB;
const FORMAT: Format = Format { journal_blocks: 40, inodes: 34 };

/// The blocks of a filesystem with contents in every area, not unmounted.
fn image(rig: &Rig) -> Blocks {
    let (device, fs) = rig.fs(SIZE, FORMAT);
    for (i, len) in [(0, 100), (1, 80_000), (2, 0)] {
        let ino = fs.create(&format!("file {i}")).unwrap();
        fs.write(ino, 0, &pattern(i, len)).unwrap();
        fs.fsync(ino).unwrap();
    }
    device.image()
}

/// Does every operation once and ignores errors.
fn walk(fs: &Fs) {
    let mut errors: Vec<Errno> = Vec::new();
    let mut note = |errno: Errno| errors.push(errno);
    match fs.readdir() {
        Err(errno) => note(errno),
        Ok(entries) => {
            for entry in entries {
                let stat = fs.stat(entry.ino).map_err(&mut note);
                let mut buf = vec![0; 200_000];
                let _ = fs.read(entry.ino, 0, &mut buf).map_err(&mut note);
                let _ = fs
                    .write(entry.ino, stat.map_or(0, |stat| stat.size), &[1; 5000])
                    .map_err(&mut note);
                let _ = fs.truncate(entry.ino, 3).map_err(&mut note);
                let _ = fs.unlink(&entry.name).map_err(&mut note);
            }
        }
    }
    let _ = fs.create("new").map_err(&mut note);
    let _ = fs.statfs().map_err(&mut note);
    let _ = fs.fsync(Ino::ROOT).map_err(&mut note);
    let _ = fs.unmount();
}

#[track_caller]
fn check_refused(rig: &Rig, blocks: Blocks, bytes: u64, words: &[&str]) {
    let error = rig.mount(&rig.device_of(blocks, bytes)).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn a_damaged_superblock_is_refused_by_field() {
    run(|rig| {
        let good = image(rig);
        check_refused(rig, Blocks::new(), SIZE, &["block 0 of vda", "magic is 0x0", "mkfs"]);
        for (byte, word) in [
            (0, "magic"),
            (16, "version is 0, expected 1"),
            (40, "checksum"),
            (8, "checksum"),
            (4000, "checksum"),
        ] {
            let mut bad = good.clone();
            bad.get_mut(&0).unwrap()[byte] ^= 1;
            check_refused(rig, bad, SIZE, &["block 0 of vda", word]);
        }
        check_refused(rig, good, MIB, &["has 512 blocks, the device only 256", "whole device"]);
    });
}

#[test]
fn impossible_areas_with_a_right_checksum_are_refused() {
    run(|rig| {
        let good = image(rig);
        for byte in 32..64 {
            let mut bad = good.clone();
            let superblock = bad.get_mut(&0).unwrap();
            superblock[byte] ^= 0x10;
            seal(superblock, u64::from_le_bytes(*b"RDEPjfs\0"));
            check_refused(rig, bad, SIZE, &["vda"]);
        }
    });
}

#[test]
fn a_damaged_transaction_before_a_complete_one_is_refused() {
    run(|rig| {
        let good = image(rig);
        let journal: Vec<u64> =
            good.keys().copied().filter(|block| (2..41).contains(block)).collect();
        let last = *journal.last().unwrap();
        let (mut refused, mut torn) = (0, 0);
        for block in journal {
            let mut bad = good.clone();
            // The first eight bytes of a descriptor, an image and a commit record have its type.
            bad.get_mut(&block).unwrap()[1] ^= 4;
            match rig.mount(&rig.device_of(bad, SIZE)) {
                Ok(_) => torn += 1,
                Err(error) => {
                    let text = error.to_string();
                    assert!(
                        block < last && text.contains("is complete") && text.contains("restore"),
                        "{text}"
                    );
                    refused += 1;
                }
            }
        }
        assert!(refused > 5, "{refused} refused");
        assert!((3..20).contains(&torn), "only the last transaction may be torn: {torn} blocks");
    });
}

#[test]
fn mkfs_removes_an_old_filesystem_on_the_device() {
    run(|rig| {
        let device = rig.device_of(image(rig), SIZE);
        mkfs(&*device).unwrap();
        let fs = rig.mount(&device).unwrap();
        drop(fs);
        let fs = rig.mount(&device).unwrap();
        assert_eq!(fs.readdir().unwrap(), [], "nothing comes back by replay");
    });
}

#[test]
fn a_device_that_is_too_small_or_too_large_is_refused() {
    run(|rig| {
        for bytes in [0, 4096, 100 * 1024, 1 << 40] {
            let text = mkfs(&*rig.device(bytes)).unwrap_err().to_string();
            assert!(
                text.contains("cannot make a filesystem on") && text.contains("256 KiB"),
                "{text}"
            );
        }
        mkfs(&*rig.device(256 * 1024)).unwrap();
    });
}

#[test]
fn flipped_bytes_anywhere_never_panic() {
    run(|rig| {
        let good = image(rig);
        let metadata: Vec<u64> = good.keys().copied().collect();
        let mut random = SplitMix64(5);
        for _ in 0..1500 {
            let device = rig.device_of(good.clone(), SIZE);
            for _ in 0..=random.below(3) {
                let block = metadata[random.below(u32::try_from(metadata.len()).unwrap()) as usize];
                let byte =
                    if random.below(2) == 0 { random.below(256) } else { random.below(4096) };
                device.damage(block, byte as usize, u8::try_from(1 + random.below(255)).unwrap());
            }
            if let Ok(fs) = rig.mount(&device) {
                walk(&fs);
            }
        }
    });
}

#[test]
fn garbage_with_a_right_checksum_never_panics() {
    run(|rig| {
        let device = rig.device_of(image(rig), SIZE);
        rig.mount(&device).unwrap().unmount().unwrap();
        let good = device.image();
        let salt = u64::from_le_bytes(good[&0][24..32].try_into().unwrap());
        let mut random = SplitMix64(6);
        for _ in 0..1500 {
            let mut bad = good.clone();
            for _ in 0..=random.below(2) {
                let (_, image) = bad
                    .iter_mut()
                    .filter(|(_, image)| image.starts_with(b"RD") && image[2] != b'j')
                    .nth(random.below(5) as usize)
                    .unwrap();
                let from = 16 + random.below(400) as usize;
                let value = [0, 1, 0x7F, 0xFF][random.below(4) as usize];
                image[from..from + 1 + random.below(8) as usize].fill(value);
                seal(image, salt);
            }
            if let Ok(fs) = rig.mount(&rig.device_of(bad, SIZE)) {
                walk(&fs);
            }
        }
    });
}

#[test]
fn noise_is_no_filesystem() {
    run(|rig| {
        let mut random = SplitMix64(8);
        let noise = |random: &mut SplitMix64| {
            core::array::from_fn(|_| u8::try_from(random.below(256)).unwrap())
        };
        let blocks: Blocks = (0..SIZE / BLOCK).map(|block| (block, noise(&mut random))).collect();
        assert_eq!(blocks[&0].len(), BLOCK_SIZE);
        check_refused(rig, blocks, SIZE, &["not a superblock"]);
    });
}

/// The device after a clean unmount of a filesystem with the files `a`, `b` and `c`, inodes 2 to 4,
/// after `change` was applied to the payload of its directory block.
fn with_directory(rig: &Rig, change: impl FnOnce(&mut [u8])) -> Fs {
    let (device, fs) = rig.fs(SIZE, FORMAT);
    for name in ["a", "b", "c"] {
        let ino = fs.create(name).unwrap();
        fs.write(ino, 0, &[1; 100]).unwrap();
    }
    fs.unmount().unwrap();
    let mut blocks = device.image();
    let salt = u64::from_le_bytes(blocks[&0][24..32].try_into().unwrap());
    // The log, which comes first, has copies of it.
    let directory = blocks.values_mut().rev().find(|image| image.starts_with(b"RDdi")).unwrap();
    change(&mut directory[16..]);
    seal(directory, salt);
    rig.mount(&rig.device_of(blocks, SIZE)).unwrap()
}

/// The entry `b` names inode `ino`: every operation by that name fails, and the others go on.
#[track_caller]
fn check_entry(ino: u32) {
    run(|rig| {
        let fs = with_directory(rig, |entries| {
            entries[64..68].copy_from_slice(&ino.to_le_bytes());
        });
        assert_eq!(fs.unlink("b"), Err(Errno::EIO), "inode {ino}");
        assert_eq!(fs.lookup("b"), Err(Errno::EIO), "inode {ino}");
        assert_eq!(fs.open("b").map(drop), Err(Errno::EIO), "inode {ino}");
        assert_eq!(fs.create("b"), Err(Errno::EIO), "inode {ino}");
        let stat = |name: &str| fs.lookup(name).and_then(|ino| fs.stat(ino)).map(|stat| stat.size);
        let (shared, other) = if ino == 4 { ("c", "a") } else { ("a", "c") };
        assert_eq!(stat(shared), if (2..5).contains(&ino) { Err(Errno::EIO) } else { Ok(100) });
        assert_eq!(stat(other), Ok(100), "inode {ino}");
        fs.unlink(other).unwrap();
        fs.unmount().unwrap();
    });
}

#[test]
fn an_entry_that_names_no_file_of_its_own_is_an_error_and_no_wait() {
    // The root, the files of the other entries, a free inode, and numbers outside the table.
    for ino in [1, 2, 4, 20, 35, u32::MAX] {
        check_entry(ino);
    }
}

#[test]
fn a_new_file_does_not_get_an_inode_that_a_damaged_entry_names() {
    run(|rig| {
        // The next free inode is number 5.
        let fs = with_directory(rig, |entries| entries[64..68].copy_from_slice(&[5, 0, 0, 0]));
        assert_eq!(fs.create("new"), Err(Errno::EIO));
        assert_eq!(fs.lookup("new"), Err(Errno::ENOENT));
    });
}

#[test]
fn a_name_that_no_file_can_have_is_an_error() {
    for name in [&b"\0"[..], b".\0", b"..\0", b"x/y\0", b"\xff\0", b"b\0b\0"] {
        run(|rig| {
            let fs = with_directory(rig, |entries| {
                entries[68..68 + name.len()].copy_from_slice(name);
            });
            assert_eq!(fs.readdir(), Err(Errno::EIO), "{name:?}");
            assert!(fs.lookup("").is_err(), "{name:?}");
            assert!(fs.lookup("a").is_ok(), "{name:?}");
        });
    }
}

/// What the mount says about the last transaction, of two blocks or more, after `damage`.
#[track_caller]
fn check_dropped(damage: impl Fn(&mut Blocks, u64, u64), expect: DropReason, words: &str) {
    run(|rig| {
        let mut blocks = image(rig);
        let record = |image: &[u8; BLOCK_SIZE]| image.starts_with(b"RDjc");
        let seq = |image: &[u8; BLOCK_SIZE]| u64::from_le_bytes(image[8..16].try_into().unwrap());
        let records = blocks.iter().filter(|(_, image)| record(image));
        let (last, number) =
            records.map(|(block, image)| (*block, seq(image))).max_by_key(|(_, seq)| *seq).unwrap();
        let first = *blocks
            .iter()
            .find(|(_, image)| image.starts_with(b"RDjd") && seq(image) == number)
            .unwrap()
            .0;
        damage(&mut blocks, first, last);
        let device = rig.device_of(blocks, SIZE);
        let fs = rig.mount(&device).unwrap();
        let dropped = fs.recovery().dropped.clone().expect("a transaction was dropped");
        assert_eq!((dropped.seq, u64::from(dropped.block)), (number, first));
        assert_eq!(dropped.why, expect);
        assert_eq!(expect.is_damage(), expect != DropReason::Incomplete);
        let text = fs.recovery().to_string();
        assert!(text.contains(words) && text.contains(&format!("transaction {number}")), "{text}");
        assert!(fs.recovery().replayed > 0, "{text}");
        // It is said once, and the blocks that stay in the ring are never taken for a part of a
        // later transaction.
        let ino = fs.create("later").unwrap();
        fs.fsync(ino).unwrap();
        let fs = rig.mount(&rig.device_of(device.image(), SIZE)).unwrap();
        assert_eq!((fs.recovery().replayed, fs.recovery().dropped.is_none()), (1, true));
        assert!(fs.lookup("later").is_ok());
    });
}

#[test]
fn a_mount_says_which_transaction_it_dropped_and_why() {
    let flip = |blocks: &mut Blocks, block: u64| {
        blocks.get_mut(&block).unwrap()[100] ^= 1;
    };
    // The record was never written: what is there is older.
    let no_record = |blocks: &mut Blocks, _: u64, last: u64| {
        blocks.remove(&last);
    };
    check_dropped(no_record, DropReason::Incomplete, "which is normal after a crash");
    let image = |blocks: &mut Blocks, first: u64, _: u64| flip(blocks, first + 1);
    check_dropped(image, DropReason::ChecksumWrong, "do not match the checksum");
    let descriptor = |blocks: &mut Blocks, first: u64, _: u64| {
        blocks.get_mut(&first).unwrap()[0] ^= 1;
    };
    check_dropped(descriptor, DropReason::DescriptorDamaged, "its descriptor is damaged");
    let sum = |blocks: &mut Blocks, _: u64, last: u64| blocks.get_mut(&last).unwrap()[16] ^= 1;
    check_dropped(sum, DropReason::ChecksumWrong, "do not match the checksum");
}

#[test]
fn a_damaged_commit_record_before_a_begun_transaction_is_damage() {
    run(|rig| {
        let mut blocks = image(rig);
        let records: Vec<u64> = blocks
            .iter()
            .filter(|(_, image)| image.starts_with(b"RDjc"))
            .map(|(block, _)| *block)
            .collect();
        let [.., before, last] = records[..] else { panic!("two transactions are in the log") };
        blocks.remove(&last);
        blocks.get_mut(&before).unwrap()[0] ^= 1;
        let fs = rig.mount(&rig.device_of(blocks, SIZE)).unwrap();
        let dropped = fs.recovery().dropped.clone().unwrap();
        assert_eq!(dropped.why, DropReason::CommitRecordDamaged, "{dropped}");
    });
}

#[test]
fn a_mount_without_loss_says_nothing_of_one() {
    run(|rig| {
        let blocks = image(rig);
        let device = rig.device_of(blocks, SIZE);
        let fs = rig.mount(&device).unwrap();
        assert!(fs.recovery().replayed > 0 && fs.recovery().dropped.is_none());
        fs.unmount().unwrap();
        assert_eq!(*rig.mount(&device).unwrap().recovery(), Recovery::default());
        // The log of an earlier filesystem on the device is not replayed.
        mkfs_with(&*device, FORMAT).unwrap();
        drop(rig.mount(&device).unwrap());
        assert_eq!(*rig.mount(&device).unwrap().recovery(), Recovery::default());
    });
}
