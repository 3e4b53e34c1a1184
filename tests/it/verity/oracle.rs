//! `veritysetup` makes the same images as the tests, and accepts and rejects the same images as the
//! target.
//!
//! It needs no privilege for files. Where it is not installed, the tests print that they skip and
//! pass; they fail if `RECLAIMDEP_REQUIRE` names the loop tier.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use reclaimdep::kernel::block::{read_at, write_at};
use reclaimdep::kernel::host::{Capability, probe};
use reclaimdep::kernel::variables::RequiredTiers;
use reclaimdep::kernel::verity::FailedBlock;
use reclaimdep::{Errno, Tier, World};

use super::image::{Format, Image, UUID, noise};
use super::{Devices, quiet};

/// Whether the tool is installed.
fn ready() -> bool {
    let Err(missing) = probe(Capability::Veritysetup) else {
        return true;
    };
    assert!(!RequiredTiers::from_env().unwrap().contains(Tier::Loop), "{missing}");
    drop(writeln!(std::io::stderr(), "SKIPPED: {missing}"));
    false
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tool(dir: &Path, args: &[&str]) -> Output {
    let path = std::env::var("PATH").unwrap_or_default() + ":/sbin:/usr/sbin";
    let mut command = Command::new("veritysetup");
    command.current_dir(dir).env("PATH", path).args(args).output().expect("the tool runs")
}

/// An image of `data` made by the tool.
fn formatted(format: &Format, data: &[u8]) -> Image {
    let dir = tempfile::tempdir().expect("a temp folder");
    std::fs::write(dir.path().join("data"), data).expect("written");
    let salt = if format.salt.is_empty() { "-".to_owned() } else { hex(&format.salt) };
    let output = tool(
        dir.path(),
        &[
            "format",
            "data",
            "hash",
            &format!("--format={}", format.hash_type),
            &format!("--data-block-size={}", format.data_block),
            &format!("--hash-block-size={}", format.hash_block),
            &format!("--salt={salt}"),
            &format!("--uuid={UUID}"),
        ],
    );
    assert!(output.status.success(), "{format:?}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("text");
    let root = said
        .lines()
        .find_map(|line| line.strip_prefix("Root hash:"))
        .expect("it says its root")
        .trim();
    let root: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&root[2 * at..2 * at + 2], 16).expect("hex")).collect();
    let hash = std::fs::read(dir.path().join("hash")).expect("read");
    Image { data: data.to_vec(), hash, root: root.try_into().expect("32 bytes") }
}

/// Whether the tool accepts the image.
fn tool_verifies(dir: &Path, image: &Image) -> bool {
    std::fs::write(dir.join("data"), &image.data).expect("written");
    std::fs::write(dir.join("hash"), &image.hash).expect("written");
    tool(dir, &["verify", "data", "hash", &hex(&image.root)]).status.success()
}

/// Whether the target believes the image.
fn target_verifies(world: &World, image: &Image) -> bool {
    let Ok(target) = Devices::of(world, image).open(world, image.root) else {
        return false;
    };
    let verified = target.verify();
    assert_eq!(target.failures().is_empty(), verified.is_ok());
    target.close().expect("nothing is held");
    verified.is_ok()
}

/// In one world on threads: so many images would be as many schedules of nothing.
fn in_a_world(body: impl Fn(&World) + Send + Sync + 'static) {
    quiet(World::builder().name("verity").tier(Tier::Native), body);
}

#[test]
fn the_tools_images_are_ours_and_verify() {
    if !ready() {
        return;
    }
    in_a_world(|world| {
        let salts: [Vec<u8>; 4] = [Vec::new(), vec![7], noise(32), noise(256)];
        for (number, blocks) in [1, 2, 15, 16, 17, 127, 128, 129, 257].into_iter().enumerate() {
            for (data_block, hash_block) in
                [(512, 512), (4096, 4096), (512, 4096), (4096, 512), (1024, 2048)]
            {
                let salt = salts[(number + data_block / 512) % salts.len()].clone();
                let hash_type = u32::try_from((number + hash_block / 512) % 2).expect("small");
                let format = Format { hash_type, data_block, hash_block, salt };
                let data = noise(blocks * data_block);
                let (theirs, ours) = (formatted(&format, &data), format.image(data));
                assert_eq!(hex(&theirs.root), hex(&ours.root), "{blocks} blocks, {format:?}");
                assert!(theirs.hash == ours.hash, "{blocks} blocks, {format:?}");
                assert!(target_verifies(world, &theirs), "{blocks} blocks, {format:?}");
            }
        }
    });
}

#[test]
fn every_changed_byte_of_data_is_refused() {
    if !ready() {
        return;
    }
    in_a_world(|world| {
        let image = formatted(&Format::small(), &noise(20 * 512));
        let devices = Devices::of(world, &image);
        let target = devices.open(world, image.root).expect("an image");
        for block in 0..20 {
            let mut buf = [0; 512];
            for byte in 0..512 {
                let mut changed: Vec<u8> = image.data[block * 512..][..512].to_vec();
                changed[byte] ^= 1 << (byte % 8);
                write_at(&*devices.data, block as u64 * 512, &changed).expect("memory takes it");
                assert_eq!(
                    target.read_at(block as u64 * 512, &mut buf),
                    Err(Errno::EIO),
                    "{block}:{byte}"
                );
            }
            write_at(&*devices.data, block as u64 * 512, &image.data[block * 512..][..512])
                .expect("memory takes it");
        }
        assert!(
            target.failures().iter().all(|failure| failure.place == FailedBlock::Data { block: 0 })
        );
        assert_eq!(target.verify(), Ok(()), "the original is whole again");
        target.close().expect("nothing is held");
    });
}

#[test]
fn every_changed_byte_of_the_tree_is_refused() {
    if !ready() {
        return;
    }
    in_a_world(|world| {
        // Three blocks of hashes: the top, a full one and one that is mostly padding.
        let image = formatted(&Format::small(), &noise(20 * 512));
        assert_eq!(image.hash.len(), 4 * 512);
        let devices = Devices::of(world, &image);
        for byte in 512..image.hash.len() {
            let block = byte / 512;
            let mut changed = image.hash[block * 512..][..512].to_vec();
            changed[byte % 512] ^= 1 << (byte % 8);
            write_at(&*devices.hash, block as u64 * 512, &changed).expect("memory takes it");
            let target = devices.open(world, image.root).expect("an image");
            let failure = target.verify().expect_err("it is refused");
            let level = usize::from(block == 1);
            assert_eq!(
                failure.place,
                FailedBlock::Hash { level, block: block as u64 },
                "byte {byte}"
            );
            target.close().expect("nothing is held");
            write_at(&*devices.hash, block as u64 * 512, &image.hash[block * 512..][..512])
                .expect("memory takes it");
        }
        let mut whole = vec![0; image.hash.len()];
        read_at(&*devices.hash, 0, &mut whole).expect("memory gives it");
        assert!(whole == image.hash && target_verifies(world, &image));
    });
}

#[test]
fn of_each_changed_byte_of_the_superblock_the_tool_says_the_same() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temp folder");
    in_a_world(move |world| {
        let image = formatted(&Format::small(), &noise(20 * 512));
        assert!(tool_verifies(dir.path(), &image));
        let mut refused = 0;
        // The salt's unused tail and the padding behind it are sampled.
        for byte in (0..100).chain((100..512).step_by(37)) {
            let mut changed = image.clone();
            changed.hash[byte] ^= 1 << (byte % 8);
            let theirs = tool_verifies(dir.path(), &changed);
            assert_eq!(target_verifies(world, &changed), theirs, "byte {byte}");
            refused += usize::from(!theirs);
        }
        // Signature, version, type, algorithm with its end, block sizes, blocks, salt and its size.
        assert_eq!(refused, 8 + 4 + 4 + 7 + 4 + 4 + 8 + 2 + 4);
    });
}

#[test]
fn a_sample_of_changed_bytes_is_refused_by_both() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temp folder");
    in_a_world(move |world| {
        let image = formatted(&Format { data_block: 1024, ..Format::small() }, &noise(40 * 1024));
        for byte in (0..image.data.len()).step_by(4_099) {
            let mut changed = image.clone();
            changed.data[byte] ^= 0x80;
            assert!(
                !tool_verifies(dir.path(), &changed) && !target_verifies(world, &changed),
                "{byte}"
            );
        }
        for byte in (512..image.hash.len()).step_by(211) {
            let mut changed = image.clone();
            changed.hash[byte] ^= 1;
            assert!(
                !tool_verifies(dir.path(), &changed) && !target_verifies(world, &changed),
                "{byte}"
            );
        }
    });
}
