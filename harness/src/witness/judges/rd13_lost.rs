//! RD13: what was acknowledged as durable is not there after a crash.
//!
//! Whoever stores something says when a version was acknowledged, and after a crash which version
//! is there. A later one than was acknowledged is no loss: what was on its way may have arrived.
//! Written from the project's fault model: live and durable bytes are kept apart, and every
//! acknowledgement is counted.

use std::collections::BTreeMap;

use crate::event::{EventKind, ItemId, Site};
use crate::witness::{Breach, Chain, Finding, Judge, Moment, Reads, StepKind, Subject};

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
        let Moment { event, view, .. } = *moment;
        match event.kind {
            EventKind::Acknowledged { item, version, site } => {
                let newest = self.acknowledged.entry(item).or_insert((version, site));
                if version >= newest.0 {
                    *newest = (version, site);
                }
            }
            EventKind::Recovered { item, version } => {
                // Each loss is told once: what was acknowledged is not expected any more.
                let lost =
                    self.acknowledged.get(&item).is_some_and(|(newest, _)| version < *newest);
                let Some((_, site)) = lost.then(|| self.acknowledged.remove(&item)).flatten()
                else {
                    return;
                };
                let mut chain = Chain::new(view);
                chain.task(event.task, None);
                let what = StepKind::Broke {
                    breach: Breach::LostData,
                    subject: Some(Subject::Item(item)),
                };
                chain.ends_with(what, Some(site), event);
                out.push(chain.finish(Breach::LostData.code(), event));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
