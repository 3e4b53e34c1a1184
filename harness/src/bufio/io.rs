//! Starting reads and writes, their completion, and waiting for a bit.
//!
//! Completion runs on whoever serves the device: it clears the bit and wakes, but moves no list and
//! takes no sleeping lock. So an idle buffer may stay on the dirty list until process context finds
//! it there.

use std::sync::Arc;

use super::buffer::{Buf, State};
use super::client::Client;
use crate::block::Bio;
use crate::error::Errno;
use crate::event::{Op, Origin, Site};
use crate::inject::Failpoint;
use crate::units::Sectors;

impl Client {
    fn bio(&self, op: Op, buf: &Arc<Buf>, data: Vec<u8>, bit: u8) -> Bio {
        let sectors = Sectors::from_bytes(self.block_size() as u64);
        let (client, ended) = (self.clone(), Arc::clone(buf));
        let end_io = Box::new(move |data: Vec<u8>, outcome: Result<(), Errno>| {
            client.end_io(&ended, bit, data, outcome);
        });
        let sector = Sectors(buf.block * sectors.0);
        let mut bio =
            Bio::new(op, sector, data, end_io).with_origin(Origin { what: "block", item: buf.block });
        *buf.request.lock() = Some(bio.number(self.sched()));
        // Whoever waits for the bit already now learns which request it waits for.
        buf.wake();
        bio
    }

    fn end_io(&self, buf: &Buf, bit: u8, data: Vec<u8>, outcome: Result<(), Errno>) {
        match (bit, outcome) {
            (State::READING, Ok(())) => *buf.data.lock() = data,
            (State::READING, Err(errno)) => *buf.read_error.lock() = Some(errno),
            (_, Ok(())) => *buf.write_error.lock() = None,
            (_, Err(errno)) => {
                *buf.write_error.lock() = Some(errno);
                self.0.async_write_error.lock().get_or_insert(errno);
            }
        }
        buf.end_request(bit);
    }

    /// Starts the read of a buffer that was made with READING set. Call it without the client lock.
    pub(super) fn submit_read(&self, buf: &Arc<Buf>) {
        let bio = self.bio(Op::Read, buf, vec![0; self.block_size()], State::READING);
        self.submit(bio, Failpoint::BufioRead);
    }

    /// If the buffer is dirty, takes its WRITING bit, waiting for a write before, and returns the
    /// request to submit (`__write_dirty_buffer`).
    pub(super) fn start_write(&self, buf: &Arc<Buf>, site: Site) -> Option<Bio> {
        if !buf.has(State::DIRTY) {
            return None;
        }
        buf.clear(State::DIRTY);
        // `wait_on_bit_lock`: whoever sets the bit owns the write.
        while buf.set(State::WRITING) & State::WRITING != 0 {
            buf.wait_clear(State::WRITING, "buffer WRITING", site);
        }
        let data = buf.data.lock().clone();
        Some(self.bio(Op::Write, buf, data, State::WRITING))
    }

    /// Submits a request of [`Client::start_write`].
    pub(super) fn submit_write(&self, bio: Bio) {
        self.submit(bio, Failpoint::BufioWrite);
    }

    fn submit(&self, mut bio: Bio, point: Failpoint) {
        let parts = &self.0.parts;
        match parts.plan.pass(&parts.sched, point) {
            Ok(()) => parts.device.submit(bio),
            Err(errno) => {
                bio.submitted(&parts.sched, parts.device.queue().id);
                bio.complete(Err(errno));
            }
        }
    }

    /// Makes an unheld buffer clean and idle: waits for its read, writes it if it is dirty, waits
    /// for the write (`__make_buffer_clean`).
    pub(super) fn make_clean(&self, buf: &Arc<Buf>, site: Site) {
        assert!(!buf.held(), "only a buffer that nobody holds is cleaned for eviction");
        if buf.state() == 0 {
            return;
        }
        buf.wait_clear(State::READING, "buffer READING", site);
        if let Some(bio) = self.start_write(buf, site) {
            self.submit_write(bio);
        }
        buf.wait_clear(State::WRITING, "buffer WRITING", site);
    }
}
