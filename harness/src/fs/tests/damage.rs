//! Damaged images: an error that names the damage, or an errno; never a panic or a block outside
//! the device.

use super::{BLOCK, Blocks, MIB, Rig, pattern, run};
use crate::error::{Errno, ErrorKind};
use crate::fs::image::{BLOCK_SIZE, seal};
use crate::fs::{Format, Fs, Ino, mkfs};
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
    device.blocks()
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
        let good = device.blocks();
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
