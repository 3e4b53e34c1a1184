//! Random stacks, by seed: the same seed builds the same stack.
//!
//! Key types: [`Shape`], [`random_stack`]. A stack is made of filesystems, each on one or more
//! devices: a disk, or a loop device on a file of a filesystem made before it. So there is no
//! cycle, and the share of loop devices in the shape sets the depth.

use reclaimdep_scope::Superblock;

use super::super::topology::{Node, NodeKind, Topology};

/// The parameters of a random stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// The number of filesystems.
    pub filesystems: u32,
    /// The percentage of devices that are loop devices on an earlier filesystem; the others are
    /// disks.
    pub stacked_percent: u32,
    /// The number of devices of each filesystem.
    pub devices: u32,
}

/// The stack of this shape and seed. Each device also has a cache.
///
/// # Panics
/// Never: what is built later depends only on what was built before.
#[must_use]
pub fn random_stack(shape: Shape, seed: u64) -> Topology {
    let mut rng = SplitMix(seed);
    let mut stack = Topology::default();
    let mut mounted: Vec<Superblock> = Vec::new();
    for number in 0..shape.filesystems {
        let devices: Vec<Node> = (0..shape.devices)
            .map(|_| random_device(&mut stack, &mounted, shape, &mut rng))
            .collect();
        let superblock = stack.add_superblock(format!("fs{number}"));
        for device in devices {
            edge(&mut stack, superblock, device);
            let cache = stack.add_node(NodeKind::Cache, format!("bufio of fs{number}"));
            edge(&mut stack, cache, device);
        }
        mounted.push(superblock);
    }
    stack
}

fn random_device(
    stack: &mut Topology,
    mounted: &[Superblock],
    shape: Shape,
    rng: &mut SplitMix,
) -> Node {
    let stacked = rng.below(100) < u64::from(shape.stacked_percent);
    let backing = stacked.then(|| rng.pick(mounted)).flatten();
    let device = stack.add_node(NodeKind::Device, if backing.is_some() { "loop" } else { "disk" });
    if let Some(backing) = backing {
        edge(stack, device, backing);
    }
    device
}

fn edge(stack: &mut Topology, node: impl Into<Node>, on: impl Into<Node>) {
    stack.depends(node, on).expect("a part depends only on older parts");
}

/// The SplitMix64 generator of Steele, Lea and Flood: the same numbers on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let count = u64::try_from(from.len()).ok().filter(|count| *count > 0)?;
        from.get(usize::try_from(self.below(count)).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { filesystems: 8, stacked_percent: 60, devices: 2 };

    #[test]
    fn the_same_seed_builds_the_same_stack() {
        assert_eq!(random_stack(SHAPE, 7), random_stack(SHAPE, 7));
        assert_ne!(random_stack(SHAPE, 7), random_stack(SHAPE, 8));
    }

    #[test]
    fn without_loop_devices_nothing_is_stacked() {
        let flat = random_stack(Shape { stacked_percent: 0, ..SHAPE }, 7);
        assert!(flat.superblocks().all(|fs| flat.depth(fs) == reclaimdep_scope::Depth::Known(0)));
        let deep = random_stack(Shape { stacked_percent: 100, ..SHAPE }, 7);
        assert!(deep.superblocks().any(|fs| deep.depth(fs) > reclaimdep_scope::Depth::Known(1)));
    }
}
