//! All operations against a map with explicit dirty and held sets, seeded; memory fails as the plan
//! says.

use std::collections::BTreeMap;

use super::*;
use crate::sched::native::SplitMix64;

const BLOCKS: u64 = 48;
const STEPS: u64 = 100_000;

/// What there must be: on the disk, in memory newer than that, and held.
#[derive(Default)]
struct Model {
    disk: BTreeMap<u64, u8>,
    dirty: BTreeMap<u64, u8>,
}

impl Model {
    fn byte(&self, block: u64) -> u8 {
        self.dirty.get(&block).or_else(|| self.disk.get(&block)).copied().unwrap_or(0)
    }

    fn written(&mut self) {
        self.disk.append(&mut self.dirty);
    }
}

fn step<'c>(rig: &'c Rig, model: &mut Model, held: &mut Vec<Buffer<'c>>, random: &mut SplitMix64) {
    let (client, block) = (&rig.client, u64::from(random.below(48)));
    let byte = u8::try_from(random.below(256)).unwrap();
    match random.below(16) {
        0..=4 => {
            let buffer = client.read(block).unwrap();
            buffer.with_data(|data| assert_eq!(data[700], model.byte(block), "block {block}"));
            if held.len() < 3 {
                held.push(buffer);
            }
        }
        5..=8 => {
            let buffer = client.read(block).unwrap();
            buffer.with_data_mut(|data| data.fill(byte));
            buffer.mark_dirty();
            model.dirty.insert(block, byte);
        }
        9 => {
            if let Some(buffer) = client.get(block) {
                buffer.with_data(|data| assert_eq!(data[700], model.byte(block), "block {block}"));
            }
        }
        10 => {
            client.write_dirty_buffers().unwrap();
            model.written();
            let mut sector = [0; 512];
            read_at(&*rig.device, block * 4096, &mut sector).unwrap();
            assert_eq!(sector[0], model.byte(block), "block {block} is on the disk");
        }
        11 => client.forget_buffers(block, 4),
        12 => client.prefetch(block, 3),
        13 => client.write_dirty_buffers_async(),
        14 => {
            held.pop();
        }
        _ => {
            client.bufio().age_out();
            let whole = held.iter().all(|buffer| client.get(buffer.block()).is_some());
            assert!(whole, "what is held stays");
        }
    }
    assert!(client.buffers() <= 12, "{} buffers", client.buffers());
}

#[test]
fn a_hundred_thousand_steps_agree_with_a_map() {
    for (era, seed) in [(Era::V3_10, 1), (Era::V4_19, 2), (Era::V5_9, 3), (Era::V6_12, 4)] {
        let points = [
            (Failpoint::BufioAllocNowait, 50, Some(20_000)),
            (Failpoint::BufioAllocNoio, 20, None),
            (Failpoint::BufioAge, 0, None),
        ];
        let failpoints =
            points.map(|(point, skip, times)| FailpointRule { point, skip, times }).to_vec();
        let options = ClientOptions { reserved_buffers: 4, ..small() };
        run(era, options, PlanSpec { failpoints, ..PlanSpec::default() }, |rig| {
            let (mut model, mut held, mut random) =
                (Model::default(), Vec::new(), SplitMix64(seed));
            for _ in 0..STEPS / 4 {
                step(rig, &mut model, &mut held, &mut random);
            }
            held.clear();
            rig.done().unwrap();
            model.written();
            for block in 0..BLOCKS {
                let mut sector = [0; 512];
                read_at(&*rig.device, block * 4096, &mut sector).unwrap();
                assert_eq!(sector[0], model.byte(block), "{era}: block {block}");
            }
        });
    }
}
