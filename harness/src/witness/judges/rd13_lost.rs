//! RD13: what was acknowledged as durable is not there after a crash.
//!
//! The code that stores an item reports which version it acknowledged and, after a crash, which
//! version it found. A later version than the acknowledged one is no loss: a write in flight may
//! have arrived.

use std::collections::BTreeMap;

use crate::event::{EventKind, ItemId, Site};
use crate::witness::{Breach, Finding, Judge, Moment, Reads, Subject, broken_rule};

/// The judge of RD13.
#[derive(Debug, Default)]
pub(super) struct Lost {
    acknowledged: BTreeMap<ItemId, (u64, Site)>,
}

impl Judge for Lost {
    fn reads(&self) -> Reads {
        Reads::WORLD
    }

    fn observe(&mut self, moment: &Moment<'_>, out: &mut Vec<Finding>) {
        let event = moment.event;
        match event.kind {
            EventKind::Acknowledged { item, version, site } => {
                let newest = self.acknowledged.entry(item).or_insert((version, site));
                if version >= newest.0 {
                    *newest = (version, site);
                }
            }
            EventKind::Recovered { item, version } => {
                // Report each loss once: the version is not expected any more.
                let lost =
                    self.acknowledged.get(&item).is_some_and(|(newest, _)| version < *newest);
                let Some((_, site)) = lost.then(|| self.acknowledged.remove(&item)).flatten()
                else {
                    return;
                };
                out.push(broken_rule(
                    moment,
                    event.task,
                    Breach::LostData,
                    Some(Subject::Item(item)),
                    Some(site),
                ));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
