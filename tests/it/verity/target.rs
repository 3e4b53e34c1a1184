//! Reading through the target, in the model tier.

use std::sync::Arc;

use reclaimdep::kernel::block::{BlockDevice, flush, read_at, write_at};
use reclaimdep::kernel::verity::{
    FailedBlock, Failure, FailureReason, TargetOptions, VerityDevice,
};
use reclaimdep::{Errno, ErrorKind, Failpoint, FailpointRule, PlanSpec, World};

use super::image::{Format, Image, noise};
use super::{Devices, quiet, room_for};

fn small(blocks: usize) -> Image {
    Format::small().image(noise(blocks * 512))
}

fn once(body: impl Fn(&World) + Send + Sync + 'static) {
    quiet(World::builder().name("verity").schedules(1), body);
}

/// Changes one byte of a device.
fn flip(device: &dyn BlockDevice, offset: u64) {
    let mut sector = [0; 512];
    let start = offset / 512 * 512;
    read_at(device, start, &mut sector).expect("memory gives it");
    sector[usize::try_from(offset - start).expect("in a sector")] ^= 0x40;
    write_at(device, start, &sector).expect("memory takes it");
}

const MISMATCH: FailureReason = FailureReason::Mismatch;

#[test]
fn reads_of_any_extent_return_the_data() {
    once(|world| {
        let image = small(300);
        let target = Devices::of(world, &image).open(world, image.root).expect("an image");
        assert_eq!(target.tree().levels(), 3);
        for (start, blocks) in [(0, 1), (0, 300), (15, 2), (255, 3), (299, 1), (7, 0)] {
            let mut buf = vec![0; blocks * 512];
            target.read_at(start * 512, &mut buf).expect("it verifies");
            let start = usize::try_from(start).expect("small") * 512;
            assert!(buf == image.data[start..start + blocks * 512]);
        }
        assert_eq!(target.failures(), []);
        target.close().expect("nothing is held");
    });
}

#[test]
fn a_changed_data_block_fails_alone_and_is_reported() {
    once(|world| {
        let image = small(40);
        let devices = Devices::of(world, &image);
        let target = devices.open(world, image.root).expect("an image");
        flip(&*devices.data, 17 * 512 + 5);
        let mut buf = vec![0xee; 3 * 512];
        assert_eq!(target.read_at(16 * 512, &mut buf), Err(Errno::EIO));
        assert!(buf[..512] == image.data[16 * 512..17 * 512] && buf[512..1024] == [0; 512]);
        assert_eq!(
            target.failures(),
            [Failure { place: FailedBlock::Data { block: 17 }, why: MISMATCH }]
        );
        assert_eq!(target.failures()[0].to_string(), "data block 17 has another digest");
        assert_eq!(target.read_at(18 * 512, &mut buf), Ok(()));
        target.close().expect("nothing is held");
    });
}

#[test]
fn a_changed_hash_block_fails_the_blocks_that_it_covers_and_is_reported() {
    once(|world| {
        let image = small(40);
        let devices = Devices::of(world, &image);
        let target = devices.open(world, image.root).expect("an image");
        // After the superblock: the top block, then three of level 0.
        flip(&*devices.hash, 512 * 3 + 1);
        let mut buf = [0; 512];
        let place = FailedBlock::Hash { level: 0, block: 3 };
        for block in [16, 31] {
            assert_eq!(target.read_at(block * 512, &mut buf), Err(Errno::EIO));
        }
        assert_eq!(target.failures(), [Failure { place, why: MISMATCH }; 2]);
        assert_eq!(target.failures()[0].to_string(), "hash block 3 of level 0 has another digest");
        for block in [15, 32] {
            assert_eq!(target.read_at(block * 512, &mut buf), Ok(()));
        }
        target.close().expect("nothing is held");
    });
}

#[test]
fn a_wrong_root_digest_fails_at_the_top_block() {
    once(|world| {
        for (blocks, place) in
            [(40, FailedBlock::Hash { level: 1, block: 1 }), (1, FailedBlock::Data { block: 0 })]
        {
            let image = small(blocks);
            let mut root = image.root;
            root[31] ^= 1;
            let target = Devices::of(world, &image).open(world, root).expect("an image");
            assert_eq!(target.verify(), Err(Failure { place, why: MISMATCH }));
            target.close().expect("nothing is held");
        }
    });
}

#[test]
fn a_verified_hash_block_is_trusted_until_it_is_read_again() {
    once(|world| {
        let image = small(16 * 20);
        let devices = Devices::of(world, &image);
        let target = devices.open_with(world, image.root, &room_for(4)).expect("an image");
        let mut buf = [0; 512];
        assert_eq!(target.read_at(0, &mut buf), Ok(()));
        // Two blocks of the upper levels, then level 0.
        flip(&*devices.hash, 512 * 4);
        assert_eq!(
            target.read_at(512, &mut buf),
            Ok(()),
            "the cached bytes are those that were checked"
        );
        for block in (16..320).step_by(16) {
            assert_eq!(target.read_at(block * 512, &mut buf), Ok(()));
        }
        assert_eq!(target.read_at(512, &mut buf), Err(Errno::EIO), "it was evicted and read again");
        assert_eq!(
            target.failures(),
            [Failure { place: FailedBlock::Hash { level: 0, block: 4 }, why: MISMATCH }]
        );
        target.close().expect("nothing is held");
    });
}

#[test]
fn a_failed_read_of_the_hash_device_is_reported_and_can_be_repeated() {
    let rule = FailpointRule::new(Failpoint::BufioRead).skip(1).times(1);
    let plan = PlanSpec::default().failpoint(rule);
    quiet(World::builder().name("verity").schedules(1).plan(plan), |world| {
        let image = small(40);
        let target = Devices::of(world, &image).open(world, image.root).expect("an image");
        let mut buf = [0; 512];
        assert_eq!(target.read_at(0, &mut buf), Err(Errno::EIO));
        let place = FailedBlock::Hash { level: 0, block: 2 };
        assert_eq!(
            target.failures(),
            [Failure { place, why: FailureReason::Unreadable(Errno::EIO) }]
        );
        assert_eq!(target.failures()[0].to_string(), "hash block 2 of level 0 cannot be read: EIO");
        assert_eq!(target.read_at(0, &mut buf), Ok(()));
        target.close().expect("nothing is held");
    });
}

#[test]
fn reads_of_partial_blocks_or_past_the_end_are_refused() {
    once(|world| {
        let image = Format { data_block: 1024, ..Format::small() }.image(noise(4 * 1024));
        let target = Devices::of(world, &image).open(world, image.root).expect("an image");
        for (offset, bytes) in [(512, 1024), (0, 512), (3 * 1024, 2048), (u64::MAX - 1023, 1024)] {
            assert_eq!(
                target.read_at(offset, &mut vec![0; bytes]),
                Err(Errno::EINVAL),
                "{offset} {bytes}"
            );
        }
        assert_eq!(target.failures(), []);
        target.close().expect("nothing is held");
    });
}

#[test]
fn the_block_device_reads_verified_data_and_rejects_writes() {
    once(|world| {
        let image = small(40);
        let devices = Devices::of(world, &image);
        let target = devices.open(world, image.root).expect("an image");
        let device = VerityDevice::new(world.sched(), target);
        let mut buf = vec![0; 8 * 512];
        assert_eq!(read_at(&device, 8 * 512, &mut buf), Ok(()));
        assert!(buf == image.data[8 * 512..16 * 512]);
        assert_eq!(write_at(&device, 0, &[0; 512]), Err(Errno::EROFS));
        assert_eq!(flush(&device), Ok(()));
        assert_eq!(device.sectors().0, 40);
        assert_eq!(read_at(&device, 39 * 512, &mut [0; 1024]), Err(Errno::EIO));
        flip(&*devices.data, 0);
        assert_eq!(read_at(&device, 0, &mut [0; 512]), Err(Errno::EIO));
        assert_eq!(device.target().failures().len(), 1);
        device.close().expect("nothing is held");
        assert_eq!(read_at(&device, 512, &mut [0; 512]), Err(Errno::ENXIO));
    });
}

#[test]
fn devices_that_are_shorter_than_the_image_are_refused() {
    once(|world| {
        let image = small(40);
        let cut = |image: &Image, data: usize, hash: usize| {
            let data = image.data[..image.data.len() - data].to_vec();
            let hash = image.hash[..image.hash.len() - hash].to_vec();
            let image = Image { data, hash, root: image.root };
            let opened = Devices::of(world, &image).open(world, image.root);
            opened.err().map(|error| (error.kind(), error.to_string()))
        };
        let (kind, message) = cut(&image, 512, 0).expect("refused");
        assert_eq!(kind, ErrorKind::Corrupt);
        assert!(message.contains("data device has 19968 bytes and should have 20480"), "{message}");
        let (kind, message) = cut(&image, 0, 512).expect("refused");
        assert_eq!(kind, ErrorKind::Corrupt);
        assert!(message.contains("hash device has 2048 bytes and should have 2560"), "{message}");
    });
}

#[test]
fn readers_that_race_all_get_checked_data() {
    quiet(World::builder().name("verity").schedules(200), |world| {
        let image = Arc::new(small(40));
        let target = Devices::of(world, &image)
            .open_with(world, image.root, &room_for(3))
            .expect("an image");
        let target = Arc::new(target);
        let readers: Vec<_> = (0..3_u64)
            .map(|reader| {
                let (target, image) = (Arc::clone(&target), Arc::clone(&image));
                world.spawn(&format!("reader {reader}"), move || {
                    for block in [reader, 16 + reader, 32 + reader, reader] {
                        let mut buf = [0; 512];
                        assert_eq!(target.read_at(block * 512, &mut buf), Ok(()));
                        let start = usize::try_from(block).expect("small") * 512;
                        assert!(buf[..] == image.data[start..start + 512]);
                    }
                })
            })
            .collect();
        readers.into_iter().for_each(reclaimdep::JoinHandle::join);
        target.close().expect("nothing is held");
    });
}

#[test]
fn the_hash_tree_may_follow_the_data_on_one_device() {
    once(|world| {
        let image = small(40);
        let both = [&image.data[..], &image.hash].concat();
        let devices =
            Devices::of(world, &Image { data: both.clone(), hash: both, root: image.root });
        let options =
            TargetOptions { hash_offset: image.data.len() as u64, ..TargetOptions::default() };
        let target = devices.open_with(world, image.root, &options).expect("an image");
        assert_eq!(target.verify(), Ok(()));
        target.close().expect("nothing is held");
    });
}
