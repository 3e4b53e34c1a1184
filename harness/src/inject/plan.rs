//! The armed plan of one world: rules and how often each has matched.
//!
//! Key types: [`PlanSpec`] (data), [`Plan`] (armed). Counting is by rule, not by call site, so two
//! rules never disturb each other.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::failpoint::{Failpoint, FailpointRule};
use super::pressure::Pressure;
use crate::error::Errno;
use crate::event::{EventKind, Gfp, PointId};
use crate::sched::{Sched, SpinLock};

/// What goes wrong, as data.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSpec {
    /// Which allocations find memory short.
    #[serde(default)]
    pub pressure: Vec<Pressure>,
    /// Which failpoints fire.
    #[serde(default)]
    pub failpoints: Vec<FailpointRule>,
}

#[derive(Default)]
struct Counts {
    pressure: Vec<u64>,
    failpoints: Vec<u64>,
}

struct Inner {
    spec: PlanSpec,
    counts: SpinLock<Counts>,
    /// Event numbers of the points, by position in [`Failpoint::ALL`].
    points: Vec<PointId>,
}

/// A plan in force. Cheap to clone.
#[derive(Clone)]
pub struct Plan(Arc<Inner>);

impl Plan {
    /// Arms `spec` in a world.
    #[must_use]
    pub fn arm(sched: &Sched, spec: PlanSpec) -> Self {
        let counts =
            Counts { pressure: vec![0; spec.pressure.len()], failpoints: vec![0; spec.failpoints.len()] };
        let points =
            sched.names(|names| Failpoint::ALL.iter().map(|point| names.add_point(point.name())).collect());
        Self(Arc::new(Inner { spec, counts: SpinLock::new(counts), points }))
    }

    /// Whether the allocation that the running task makes now finds memory short.
    pub(crate) fn memory_is_short(&self, sched: &Sched, effective: Gfp) -> bool {
        let Inner { spec, counts, .. } = &*self.0;
        if spec.pressure.is_empty() {
            return false;
        }
        let me = sched.current();
        let mut counts = counts.lock();
        let mut short = false;
        for (rule, seen) in spec.pressure.iter().zip(&mut counts.pressure) {
            let nofs = effective.allow_blocking() && !effective.contains(Gfp::FS);
            let task = rule.task.as_ref().is_none_or(|name| sched.names(|names| names.task(me) == name));
            if task && (nofs || !rule.in_nofs) {
                short |= rule.hits(*seen);
                *seen += 1;
            }
        }
        short
    }

    /// Passes a failpoint.
    ///
    /// # Errors
    /// The point's errno, where a rule makes it fire.
    pub fn pass(&self, sched: &Sched, point: Failpoint) -> Result<(), Errno> {
        let Inner { spec, counts, points } = &*self.0;
        if spec.failpoints.is_empty() {
            return Ok(());
        }
        let mut fired = false;
        for (rule, seen) in spec.failpoints.iter().zip(&mut counts.lock().failpoints) {
            if rule.point == point {
                fired |= *seen >= rule.skip && rule.times.is_none_or(|times| *seen - rule.skip < times);
                *seen += 1;
            }
        }
        let index =
            Failpoint::ALL.iter().position(|known| *known == point).expect("every point is in the registry");
        sched.emit(EventKind::PointReached { point: points[index], fired });
        if fired { Err(point.errno()) } else { Ok(()) }
    }
}
