//! What there must be: newest contents, what is dirty, what is held; and a client that is asked the
//! same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reclaimdep::World;
use reclaimdep::block::{BlockDevice, LateDevice, MemoryDevice, read_at};
use reclaimdep::bufio::{Buffer, Bufio, Client, ClientOptions};
use reclaimdep::era::BufioGeneration;
use reclaimdep::error::Errno;
use reclaimdep::event::Gfp;
use reclaimdep::inject::{Failpoint, FailpointRule, Plan};
use reclaimdep::sched::WorkQueue;
use reclaimdep::units::Ticks;

use super::super::lossy::lossy;
use super::{BLOCKS, RECLAIMER, Step};

const BLOCK: usize = 4096;
const SECTOR: usize = 512;
/// Holds that the task has at the most, beside one for the step: the reserve is for as many.
const HOLDS: usize = 3;

/// One byte for each sector: all of a sector is the same.
type Data = [u8; 8];

type Outcome = Result<(), String>;

macro_rules! ensure {
    ($what:expr, $($why:tt)+) => {
        if !$what {
            return Err(format!($($why)+));
        }
    };
}

/// Why the device may have something else than the newest contents of a block: one of the two, or
/// both.
#[derive(Clone, Copy, Default, Debug)]
struct Apart {
    /// A write of it may have failed: it may be lost, and then somebody must be told.
    failed: bool,
    /// The device was told to forget it.
    discarded: bool,
}

/// The map.
#[derive(Default)]
struct Model {
    newest: BTreeMap<u64, Data>,
    /// Marked dirty since everything was last written.
    dirty: BTreeSet<u64>,
    apart: BTreeMap<u64, Apart>,
    /// Prefetched, and nobody has waited for the read since.
    prefetched: BTreeSet<u64>,
    /// Write errors that fired and that nobody was told of.
    untold: bool,
}

/// A client, its disk, and the map.
pub(super) struct Machine<'c> {
    world: &'c World,
    client: &'c Client,
    disk: &'c dyn BlockDevice,
    rules: &'c [FailpointRule],
    held: Vec<Buffer<'c>>,
    model: Model,
    write_errors: u64,
}

fn data_of(bytes: &[u8]) -> Option<Data> {
    let mut data = Data::default();
    for (sector, bytes) in data.iter_mut().zip(bytes.chunks(SECTOR)) {
        *sector = bytes[0];
        if bytes.iter().any(|byte| *byte != *sector) {
            return None;
        }
    }
    Some(data)
}

fn seen(buffer: &Buffer<'_>) -> Result<Data, String> {
    buffer
        .with_data(data_of)
        .ok_or_else(|| format!("block {} is torn inside a sector", buffer.block()))
}

impl<'c> Machine<'c> {
    /// Makes a client, does `steps`, destroys it; says what was wrong.
    /// The disk loses the last of each `loses` writes.
    pub(super) fn run(
        world: &World,
        steps: &[Step],
        rules: &[FailpointRule],
        loses: u64,
    ) -> Outcome {
        let (sched, mm) = (world.sched(), world.mm());
        let disk = Arc::new(MemoryDevice::new(sched, "vda", BLOCKS * BLOCK as u64));
        let late = LateDevice::new(sched, lossy(disk.clone(), loses), Ticks(0), Ticks(0));
        let queue = WorkQueue::mem_reclaim(sched, "dm_bufio_cache");
        let bufio = Bufio::new(sched, mm, world.plan(), world.knobs(), Some(queue.clone()));
        let options = ClientOptions {
            max_buffers: 10,
            retain_bytes: 0,
            reserved_buffers: HOLDS + 1,
            ..ClientOptions::default()
        };
        let free = mm.free();
        let client = bufio
            .create(Arc::new(late.clone()), None, options)
            .map_err(|error| error.to_string())?;
        let (model, held) = (Model::default(), Vec::new());
        let mut machine =
            Machine { world, client: &client, disk: &*disk, rules, held, model, write_errors: 0 };
        let done = steps.iter().try_for_each(|step| {
            machine.step(*step).map_err(|wrong| format!("at {step:?}: {wrong}"))
        });
        machine.held.clear();
        let destroyed = client.destroy();
        machine.look_for_write_errors();
        let ended = done
            .and_then(|()| machine.told_at(destroyed.is_err()))
            .and_then(|()| machine.all_written());
        drop(machine);
        queue.destroy();
        late.stop();
        ended?;
        ensure!(bufio.accounts().current() == 0 && mm.free() == free, "memory is left");
        Ok(())
    }

    fn plan(&self) -> &Plan {
        self.world.plan()
    }

    /// How often the point has fired.
    fn fired(&self, point: Failpoint) -> u64 {
        let rule = self.rules.iter().enumerate().find(|(_, rule)| rule.point == point);
        rule.map_or(0, |(number, rule)| {
            self.plan().seen(number).saturating_sub(rule.skip).min(rule.times.unwrap_or(u64::MAX))
        })
    }

    fn on_disk(&self, block: u64) -> Data {
        let mut bytes = [0; BLOCK];
        read_at(self.disk, block * BLOCK as u64, &mut bytes).expect("the disk is healthy");
        data_of(&bytes).expect("whole sectors are written")
    }

    fn holds(&self, block: u64) -> bool {
        self.held.iter().any(|buffer| buffer.block() == block)
    }

    fn newest(&self, block: u64) -> Data {
        self.model.newest.get(&block).copied().unwrap_or_default()
    }

    /// A write may have failed by now; whatever is dirty may be what it was of.
    fn look_for_write_errors(&mut self) {
        let now = self.fired(Failpoint::BufioWrite);
        if now > self.write_errors {
            self.write_errors = now;
            self.model.untold = true;
            for block in &self.model.dirty {
                self.model.apart.entry(*block).or_default().failed = true;
            }
        }
    }

    /// Somebody who asks for errors got one, or none.
    fn told_at(&mut self, error: bool) -> Outcome {
        ensure!(
            error == self.model.untold,
            "told of an error: {error}; there was one: {}",
            self.model.untold
        );
        self.model.untold = false;
        Ok(())
    }

    /// Nothing is dirty any more: the device has the newest, but for what a write failed of, and no
    /// more blocks than writes failed.
    fn all_written(&mut self) -> Outcome {
        let mut lost = 0;
        for block in 0..BLOCKS {
            let (newest, there) = (self.newest(block), self.on_disk(block));
            let apart = self.model.apart.get(&block);
            ensure!(
                newest == there || apart.is_some(),
                "block {block} is {there:?} on the disk, not {newest:?}"
            );
            lost += u64::from(newest != there && apart.is_some_and(|apart| !apart.discarded));
            if newest == there {
                self.model.apart.remove(&block);
            }
        }
        let failed = self.write_errors;
        ensure!(lost <= failed, "{lost} blocks are not on the disk, and {failed} writes failed");
        self.model.dirty.clear();
        Ok(())
    }

    /// What a buffer has is the newest, or what the disk has where it may be something else.
    fn saw(&mut self, block: u64, data: Data, was_held: bool) -> Outcome {
        let newest = self.newest(block);
        if data == newest {
            return Ok(());
        }
        let apart = self.model.apart.get(&block).copied();
        let dropped = !was_held && apart.is_some() && data == self.on_disk(block);
        ensure!(dropped, "block {block} is {data:?}, not {newest:?} ({apart:?})");
        self.model.newest.insert(block, data);
        self.model.apart.remove(&block);
        Ok(())
    }

    /// The block's contents were changed and marked.
    fn marked(&mut self, block: u64, data: Data) {
        self.model.newest.insert(block, data);
        self.model.dirty.insert(block);
        self.model.apart.remove(&block);
    }

    fn keep(&mut self, buffer: Buffer<'c>, keep: bool) {
        if keep && self.held.len() < HOLDS {
            self.held.push(buffer);
        }
    }

    /// Reads a block; none where the plan made its read fail.
    fn read(&mut self, block: u64) -> Result<Option<Buffer<'c>>, String> {
        let (client, was_held, before) =
            (self.client, self.holds(block), self.fired(Failpoint::BufioRead));
        let read = client.read(block);
        self.model.prefetched.remove(&block);
        self.look_for_write_errors();
        let failed = self.fired(Failpoint::BufioRead) > before;
        match read {
            Ok(buffer) => {
                ensure!(!failed, "a read failed, and nobody was told");
                self.saw(block, seen(&buffer)?, was_held)?;
                Ok(Some(buffer))
            }
            Err(Errno::EIO) if failed && !was_held => Ok(None),
            Err(errno) => Err(format!("reading block {block}: {errno}")),
        }
    }

    fn change(&mut self, buffer: &Buffer<'c>, sector: usize, byte: u8) -> Outcome {
        buffer.with_data_mut(|data| data[sector * SECTOR..][..SECTOR].fill(byte));
        buffer.mark_partial_dirty(sector * SECTOR, (sector + 1) * SECTOR);
        self.marked(buffer.block(), seen(buffer)?);
        Ok(())
    }

    fn hold(&self, hold: usize) -> Option<usize> {
        (!self.held.is_empty()).then(|| hold % self.held.len())
    }

    fn step(&mut self, step: Step) -> Outcome {
        let client = self.client;
        match step {
            Step::Read { block, keep } => {
                if let Some(buffer) = self.read(block)? {
                    self.keep(buffer, keep);
                }
            }
            Step::New { block, byte } => {
                let buffer = client.new_block(block).map_err(|errno| format!("new: {errno}"))?;
                self.look_for_write_errors();
                buffer.with_data_mut(|data| data.fill(byte));
                buffer.mark_dirty();
                self.marked(block, [byte; 8]);
            }
            Step::Change { block, sector, byte } => {
                if let Some(buffer) = self.read(block)? {
                    self.change(&buffer, sector, byte)?;
                }
            }
            Step::ChangeHeld { hold, byte } => {
                if let Some(hold) = self.hold(hold) {
                    let buffer = self.held.swap_remove(hold);
                    self.change(&buffer, hold, byte)?;
                    self.held.push(buffer);
                }
            }
            Step::Get { block, keep } => self.get(block, keep)?,
            Step::Release { hold } => {
                if let Some(hold) = self.hold(hold) {
                    drop(self.held.swap_remove(hold));
                }
            }
            Step::Move { hold, to } => self.relocate(hold, to)?,
            Step::WriteSync => {
                let written = client.write_dirty_buffers();
                self.look_for_write_errors();
                self.told_at(written.is_err())?;
                self.all_written()?;
                let dirty = client.dirty_buffers();
                ensure!(dirty == 0, "everything is written, and {dirty} buffers are dirty");
            }
            Step::WriteAsync => client.write_dirty_buffers_async(),
            Step::Flush => client.issue_flush().map_err(|errno| format!("flush: {errno}"))?,
            Step::Forget { block, count } => {
                client.forget_buffers(block, count);
                // What is used, dirty or being read stays.
                let model = &self.model;
                let gone = !model.dirty.contains(&block) && !model.prefetched.contains(&block);
                let gone = gone && !self.holds(block);
                ensure!(
                    !gone || client.get(block).is_none(),
                    "block {block} is forgotten, and still there"
                );
            }
            Step::Prefetch { block, count } => {
                client.prefetch(block, count);
                self.model.prefetched.extend(block..block + count);
            }
            Step::Discard { block, count } => self.discard(block, count)?,
            Step::AgeOut => client.bufio().age_out(),
            Step::Reclaim => {
                let mm = self.world.mm().clone();
                self.world.spawn(RECLAIMER, move || drop(mm.alloc(0, Gfp::KERNEL))).join();
            }
            Step::Resize { buffers } => client.bufio().set_max_cache_size(buffers * BLOCK as u64),
            Step::Reset => {
                if self.held.is_empty() {
                    let reset = client.reset();
                    self.look_for_write_errors();
                    self.told_at(reset.is_err())?;
                    self.all_written()?;
                }
            }
        }
        self.look_for_write_errors();
        let (dirty, marked) = (client.dirty_buffers(), self.model.dirty.len() as u64);
        ensure!(dirty <= marked, "{dirty} buffers are dirty, and {marked} blocks were marked");
        self.held_is_there()
    }

    fn get(&mut self, block: u64, keep: bool) -> Outcome {
        let was_held = self.holds(block);
        let Some(buffer) = self.client.get(block) else {
            let failed = self.model.apart.get(&block).is_some_and(|apart| apart.failed);
            ensure!(!was_held || failed, "block {block} is held, and is not found");
            return Ok(());
        };
        self.saw(block, seen(&buffer)?, was_held)?;
        self.keep(buffer, keep);
        Ok(())
    }

    /// `release_move`, where nobody holds what is at its end.
    fn relocate(&mut self, hold: usize, to: u64) -> Outcome {
        let modern = self.world.knobs().bufio_generation == BufioGeneration::V6_4;
        let Some(hold) = self.hold(hold).filter(|_| !modern && !self.holds(to)) else {
            return Ok(());
        };
        let buffer = self.held.swap_remove(hold);
        let data = seen(&buffer)?;
        self.client.release_move(buffer, to).map_err(|errno| format!("release_move: {errno}"))?;
        self.look_for_write_errors();
        self.marked(to, data);
        // Where somebody else holds the old one, it was written there and may have failed.
        if self.model.untold {
            self.model.apart.entry(to).or_default().failed = true;
        }
        Ok(())
    }

    fn discard(&mut self, block: u64, count: u64) -> Outcome {
        let (end, discarded) = (block + count, self.client.issue_discard(block, count));
        if end > BLOCKS {
            ensure!(discarded == Err(Errno::EINVAL), "past the end: {discarded:?}");
            return Ok(());
        }
        ensure!(discarded.is_ok(), "the device can: {discarded:?}");
        for block in block..end {
            self.model.apart.entry(block).or_default().discarded = true;
        }
        Ok(())
    }

    /// What is held stays as it is.
    fn held_is_there(&self) -> Outcome {
        for buffer in &self.held {
            let (block, data) = (buffer.block(), seen(buffer)?);
            ensure!(data == self.newest(block), "block {block} is held, and is {data:?} now");
        }
        Ok(())
    }
}
