//! RD13: what was acknowledged as durable is not there after a crash.
//!
//! Whoever stores something says when a version was acknowledged, and after a crash which version
//! is there. A later one than was acknowledged is no loss: what was on its way may have arrived.
//! Written from the project's fault model: live and durable bytes are kept apart, and every
//! acknowledgement is counted.

use std::collections::BTreeMap;

use super::breach::Breach;
use super::chain::Chain;
use super::finding::{Finding, StepKind, Subject};
use super::panel::Judge;
use super::reads::Reads;
use super::view::View;
use crate::event::{Event, EventKind, ItemId, Site};

/// The judge of RD13.
#[derive(Debug, Default)]
pub(super) struct Lost {
    acknowledged: BTreeMap<ItemId, (u64, Site)>,
}

impl Judge for Lost {
    fn reads(&self) -> Reads {
        Reads::WORLD
    }

    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>) {
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
mod tests {
    use super::*;
    use crate::witness::script::Script;

    #[track_caller]
    fn check(expect: &[&str], acknowledged: &[u64], recovered: u64) {
        let mut s = Script::default();
        let task = s.task("db");
        let item = s.names.add_item("block 7");
        for (version, line) in acknowledged.iter().zip(1..) {
            let site = Site { file: "x.rs", line };
            s.on(task, EventKind::Acknowledged { item, version: *version, site });
        }
        s.on(task, EventKind::Recovered { item, version: recovered });
        assert_eq!(s.codes(), expect);
    }

    #[test]
    fn an_acknowledged_version_that_is_gone_is_found() {
        check(&["RD13"], &[1, 2], 1);
        check(&["RD13"], &[1], 0);
        check(&["RD13"], &[2, 1], 1);
    }

    #[test]
    fn what_was_acknowledged_or_later_is_no_loss() {
        check(&[], &[1, 2], 2);
        check(&[], &[1], 2);
        check(&[], &[], 0);
    }
}
