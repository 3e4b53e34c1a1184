//! The filesystem loses power at every write, and the judge of lost data (RD13) compares what is
//! there with what was acknowledged.
//!
//! Programs of operations run on one filesystem, with a planted mistake and without. After each
//! crash, every file must be in one of the states since its last sync.

use std::sync::Arc;

use reclaimdep::kernel::block::{Crash, CrashDevice};
use reclaimdep::kernel::bufio::Bufio;
use reclaimdep::kernel::fs::{Format, Fs, Metadata, mkfs_with};
use reclaimdep::kernel::inject::Bug;
use reclaimdep::kernel::sched::SplitMix64;
use reclaimdep::{Code, DurableFile, Era, World};
use reclaimdep_tests::check_codes;

/// Blocks of a journal that holds a short program, so that only a sync commits.
const ROOMY: u32 = 60;
/// Blocks of a journal so small that a program wraps it around.
const SMALL: u32 = 20;
/// Blocks for data: so few that programs need the blocks that they freed.
const DATA: u64 = 40;
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Where the metadata is kept: in core, or in dm-bufio of an era.
const KEEPERS: [Option<Era>; 2] = [None, Some(Era::V6_12)];

/// An operation on the file with this position in [`NAMES`].
#[derive(Clone, Copy, Debug)]
enum Op {
    Create(usize),
    /// Bytes of this seed at this offset, this many.
    Write(usize, usize, usize, u8),
    Truncate(usize, usize),
    Unlink(usize),
    Fsync(usize),
}

use Op::{Create, Fsync, Truncate, Unlink, Write};

fn bytes(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| seed.wrapping_add(u8::try_from(i % 101).expect("below 101")) | 1).collect()
}

fn apply(fs: &Fs, op: Op) {
    let ino = |file: usize| fs.lookup(NAMES[file]).expect("the program made it");
    let done = match op {
        Create(file) => fs.create(NAMES[file]).map(drop),
        Write(file, offset, len, seed) => fs.write(ino(file), offset as u64, &bytes(seed, len)),
        Truncate(file, size) => fs.truncate(ino(file), size as u64),
        Unlink(file) => fs.unlink(NAMES[file]),
        Fsync(file) => fs.fsync(ino(file)),
    };
    assert_eq!(done, Ok(()), "{op:?}");
}

/// Tells the files of a crash what `op` did. A sync that did not return acknowledged nothing.
fn account(files: &[DurableFile], op: Op, returned: bool) {
    match op {
        Create(file) => files[file].created(),
        Write(file, offset, len, seed) => files[file].wrote(offset, &bytes(seed, len)),
        Truncate(file, size) => files[file].truncated(size),
        Unlink(file) => files[file].removed(),
        // A sync of one file makes everything before it durable.
        Fsync(_) if returned => files.iter().for_each(DurableFile::synced),
        Fsync(_) => {}
    }
}

fn mount(world: &World, device: CrashDevice, keeper: Option<Era>) -> (Arc<CrashDevice>, Fs) {
    let (sched, mm, plan) = (world.sched(), world.mm(), world.plan());
    let metadata = keeper.map_or(Metadata::Core, |era| {
        let bufio = Bufio::new(sched, mm, plan, era.knobs(), None);
        Metadata::Bufio { bufio, node: None }
    });
    let device = Arc::new(device);
    let fs = Fs::mount_with(sched, mm, plan, "lower", Arc::clone(&device) as _, metadata);
    (device, fs.expect("a crash leaves a filesystem that mounts"))
}

fn contents(fs: &Fs, name: &str) -> Option<Vec<u8>> {
    let ino = fs.lookup(name).ok()?;
    let size = fs.stat(ino).expect("it was found").size;
    let mut bytes = vec![0xEE; usize::try_from(size).expect("a small file")];
    assert_eq!(fs.read(ino, 0, &mut bytes), Ok(bytes.len()));
    Some(bytes)
}

/// Runs `program`, and compares what each crash leaves with what was acknowledged before it.
fn crash_everywhere(world: &World, keeper: Option<Era>, journal_blocks: u32, program: &[Op]) {
    // Superblock, journal, one block of bitmap, one of inodes.
    let bytes = (1 + u64::from(journal_blocks) + 1 + 1 + DATA) * 4096;
    let device = CrashDevice::new(world.sched(), "vda", bytes);
    mkfs_with(&device, Format { journal_blocks, inodes: 34 }).expect("the device is fine");
    device.start_record();
    let (device, fs) = mount(world, device, keeper);
    let mut ends = Vec::new();
    for op in program {
        apply(&fs, *op);
        ends.push(device.steps());
        // dm-bufio may write its dirty metadata home at any time.
        fs.metadata_client().into_iter().for_each(|client| client.write_dirty_buffers_async());
    }
    drop(fs);
    device.crashes(|Crash { steps, image, what, .. }| {
        let files = NAMES.map(|name| world.durable_file(&format!("file {name}, crash {what}")));
        for (op, end) in program.iter().zip(&ends) {
            account(&files, *op, *end <= steps);
            if *end > steps {
                break;
            }
        }
        let crashed = CrashDevice::with_image(world.sched(), "vda", bytes, image);
        let (_, fs) = mount(world, crashed, keeper);
        for (file, name) in files.iter().zip(NAMES) {
            file.found(contents(&fs, name).as_deref());
        }
    });
}

/// Runs a program with and without a planted mistake; with it, data must be lost.
#[track_caller]
fn check(bug: Bug, program: &[Op]) {
    for keeper in KEEPERS {
        for (bugs, expect) in [(&[bug][..], &[Code::RD13][..]), (&[], &[])] {
            let builder = bugs.iter().fold(World::builder(), |builder, bug| builder.plant(*bug));
            let program = program.to_vec();
            check_codes(expect, builder.schedules(1), move |world| {
                crash_everywhere(world, keeper, ROOMY, &program);
            });
        }
    }
}

#[test]
fn a_file_that_shrank_and_grew_keeps_its_synced_bytes_until_that_is_durable() {
    let synced = [Create(0), Write(0, 0, 4096, 1), Fsync(0), Truncate(0, 100)];
    // It grows by a truncation, by a write behind its end, by one in a later block, and after it
    // shrank twice; or the sync of another file comes later.
    for grows in [
        &[Truncate(0, 200)][..],
        &[Write(0, 100, 50, 9)],
        &[Write(0, 9000, 10, 9)],
        &[Truncate(0, 50), Truncate(0, 4000)],
        &[Write(0, 0, 10, 9), Truncate(0, 5000), Create(1), Fsync(1)],
    ] {
        check(Bug::TailZeroedEarly, &[&synced, grows].concat());
    }
}

#[test]
fn blocks_of_a_removed_file_are_not_reused_before_the_removal_is_durable() {
    let synced = [Create(0), Write(0, 0, 80_000, 1), Fsync(0)];
    for frees in [&[Unlink(0)][..], &[Truncate(0, 0)], &[Unlink(0), Create(0)]] {
        let reuses = [Create(1), Write(1, 0, 80_000, 9)];
        check(Bug::FreedReused, &[&synced[..], frees, &reuses].concat());
    }
}

/// A program of `len` random operations.
fn random_program(seed: u64, len: usize) -> Vec<Op> {
    let mut random = SplitMix64(seed);
    let mut sizes: [Option<usize>; NAMES.len()] = [None; NAMES.len()];
    let mut below = |n: usize| random.below(u32::try_from(n).expect("a small bound")) as usize;
    (0..len)
        .map(|i| {
            let file = below(NAMES.len());
            let seed = u8::try_from(i).expect("a short program").wrapping_mul(37);
            let Some(size) = sizes[file] else {
                sizes[file] = Some(0);
                return Create(file);
            };
            let op = match below(10) {
                // In place, at the end, and behind the end.
                0 | 1 => Write(file, below(size + 1), 1 + below(6000), seed),
                2 | 3 => Write(file, size, 1 + below(9000), seed),
                4 => Write(file, (size + below(6000)).min(24_000), 1 + below(500), seed),
                5 | 6 => Truncate(file, below(size + 1)),
                7 => Truncate(file, (size + below(5000)).min(28_000)),
                8 => Unlink(file),
                _ => Fsync(file),
            };
            sizes[file] = match op {
                Write(_, offset, len, _) => Some(size.max(offset + len)),
                Truncate(_, size) => Some(size),
                Unlink(_) => None,
                Create(_) | Fsync(_) => Some(size),
            };
            // A file that grew too large ends here, so that three of them fit on the device.
            if sizes[file] > Some(36_000) {
                sizes[file] = Some(1000);
                return Truncate(file, 1000);
            }
            op
        })
        .collect()
}

#[test]
fn random_programs_lose_nothing_that_was_acknowledged() {
    let mut found = 0;
    for seed in 0..8 {
        let program = random_program(seed, 40);
        for keeper in KEEPERS {
            let healthy = program.clone();
            check_codes(&[], World::builder().schedules(1), move |world| {
                crash_everywhere(world, keeper, SMALL, &healthy);
            });
        }
        let planted = World::builder().plant(Bug::TailZeroedEarly).schedules(1);
        let report = planted.run(move |world| crash_everywhere(world, None, SMALL, &program));
        found += u32::from(!report.expect("the world runs").is_quiet());
    }
    assert!(found >= 2, "of 8 programs {found} find the mistake");
}

#[test]
fn an_overwrite_without_a_sync_may_be_there_in_part() {
    // Neither the judge nor the filesystem promises more: old or new, byte by byte.
    let program = [Create(0), Write(0, 0, 12_000, 1), Fsync(0), Write(0, 2000, 8000, 9)];
    check_codes(&[], World::builder().schedules(1), move |world| {
        crash_everywhere(world, None, ROOMY, &program);
    });
}

/// A file of four bytes was synced, then `changes` were made, and after a crash it has `contents`.
#[track_caller]
fn check_found(lost: bool, changes: fn(&DurableFile), contents: Option<&'static [u8]>) {
    let expect: &[Code] = if lost { &[Code::RD13] } else { &[] };
    check_codes(expect, World::builder().schedules(1), move |world| {
        let file = world.durable_file("a");
        file.created();
        file.wrote(0, b"abcd");
        file.synced();
        changes(&file);
        assert_eq!(file.found(contents), !lost);
    });
}

#[test]
fn what_is_no_state_of_a_file_since_its_last_sync_is_lost_data() {
    let nothing = |_: &DurableFile| {};
    check_found(false, nothing, Some(b"abcd"));
    for wrong in [Some(&b"abcx"[..]), Some(b"abc"), Some(b"abcde"), Some(b""), None] {
        check_found(true, nothing, wrong);
    }
    let shrinks_and_grows = |file: &DurableFile| {
        file.truncated(1);
        file.truncated(3);
    };
    for right in [&b"abcd"[..], b"a", b"a\0\0"] {
        check_found(false, shrinks_and_grows, Some(right));
    }
    for wrong in [&b"a\0\0d"[..], b"a\0\0\0", b"abc", b"ab"] {
        check_found(true, shrinks_and_grows, Some(wrong));
    }
    let removes = |file: &DurableFile| file.removed();
    check_found(false, removes, Some(b"abcd"));
    check_found(false, removes, None);
    check_found(true, removes, Some(b"ab\0d"));
    let replaces = |file: &DurableFile| {
        file.removed();
        file.created();
        file.wrote(0, b"xyzw");
    };
    check_found(false, replaces, Some(b"xyzw"));
    check_found(true, replaces, Some(b"xbcd"));
}

#[test]
fn a_write_that_was_not_synced_is_old_or_new_in_each_byte() {
    let overwrites = |file: &DurableFile| file.wrote(1, b"xyz!");
    for right in [&b"abcd"[..], b"axcd", b"axyz!", b"abyd", b"abcd!", b"abcd\0"] {
        check_found(false, overwrites, Some(right));
    }
    for wrong in [&b"xbcd"[..], b"abcdx", b"a\0cd", b"axyz!!"] {
        check_found(true, overwrites, Some(wrong));
    }
    let synced = |file: &DurableFile| {
        file.wrote(1, b"x");
        file.synced();
    };
    check_found(false, synced, Some(b"axcd"));
    check_found(true, synced, Some(b"abcd"));
}
