//! Steps on flags, counts and spaces.

use super::{Ended, Runner};
use crate::case::reach::Sort;
use crate::case::script::{Act, PartRef};
use crate::case::stage::Live;
use crate::event::Site;

impl Runner<'_> {
    /// Steps on flags, counts and spaces.
    pub(super) fn condition(&mut self, act: &Act, site: Site) -> Ended {
        let stage = self.stage;
        match act {
            Act::Set { flag, to } => {
                if let Live::Flag(part) = stage.part(*flag) {
                    part.put(*to);
                    stage.after_signal(*flag, Sort::Becomes(*to));
                }
            }
            Act::WaitFlag { flag, until } => {
                if let Live::Flag(part) = stage.part(*flag) {
                    part.wait_at(*until, site);
                }
            }
            Act::WaitZero { count } => {
                if let Live::Count(part) = stage.part(*count) {
                    part.wait_at(site);
                }
            }
            Act::Inc { count } => {
                if let Live::Count(part) = stage.part(*count) {
                    part.inc();
                    self.counted(*count, 1);
                    stage.ledger.changed();
                }
            }
            Act::Dec { count } => {
                if let Live::Count(part) = stage.part(*count) {
                    part.dec();
                    self.counted(*count, -1);
                    if part.get() == 0 {
                        stage.after_signal(*count, Sort::Zero);
                    } else {
                        stage.ledger.changed();
                    }
                }
            }
            Act::Reserve { space, n } => {
                if let Live::Space(part) = stage.part(*space) {
                    part.reserve_at(u64::from(*n), site);
                    stage.after_signal(*space, Sort::Room);
                }
            }
            Act::TryReserve { space, n, or_else } => {
                if let Live::Space(part) = stage.part(*space) {
                    if !part.try_reserve(u64::from(*n)) {
                        return self.run(or_else);
                    }
                    stage.ledger.changed();
                }
            }
            Act::Release { space } => {
                if let Live::Space(part) = stage.part(*space) {
                    part.release();
                    stage.after_signal(*space, Sort::Room);
                }
            }
            _ => unreachable!("the caller chose the steps"),
        }
        Ended::Whole
    }

    fn counted(&self, count: PartRef, by: i64) {
        if let Some(place) = self.stage.condition(count, Sort::Zero) {
            self.stage.ledger.counted(self.task, place, by);
        }
    }
}
