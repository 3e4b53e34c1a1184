//! The armed plan of one world: rules and how often each has matched.
//!
//! Key types: [`PlanSpec`] (data), [`Plan`] (armed). Counting is by rule, not by call site, so two
//! rules never disturb each other.

use std::sync::Arc;

use reclaimdep_scope::ScopeGuard;
use serde::{Deserialize, Serialize};

use super::added::{self, AddedScope};
use super::bug::{Bug, Bugs};
use super::failpoint::{Failpoint, FailpointRule};
use super::pressure::{AllocPoint, Pressure, PressureHit, Reclaimer};
use crate::error::{Errno, Error};
use crate::event::{EventKind, PointId, Site, TaskFlags};
use crate::sched::{Sched, SpinLock};

/// What goes wrong, as data.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlanSpec {
    /// Which allocations find memory short.
    #[serde(default)]
    pub pressure: Vec<Pressure>,
    /// Which failpoints fire.
    #[serde(default)]
    pub failpoints: Vec<FailpointRule>,
    /// Scopes that are added around allocations.
    #[serde(default)]
    pub scopes: Vec<AddedScope>,
}

#[derive(Default)]
struct RuleCounts {
    pressure: Vec<u64>,
    failpoints: Vec<u64>,
}

struct PlanState {
    scopes: Vec<AddedScope>,
    failpoints: Vec<FailpointRule>,
    pressure: Vec<Arc<Pressure>>,
    counts: SpinLock<RuleCounts>,
    /// Event numbers of the points, by position in [`Failpoint::ALL`].
    points: Vec<PointId>,
}

/// A plan in force. Cheap to clone.
#[derive(Clone)]
pub struct Plan {
    state: Arc<PlanState>,
    /// Whether there is any failpoint rule. Without one, passing a point costs only the load of
    /// this.
    fails: bool,
    bugs: Bugs,
}

impl PlanSpec {
    /// Adds a rule for which allocations find memory short.
    #[must_use]
    pub fn pressure(mut self, rule: Pressure) -> Self {
        self.pressure.push(rule);
        self
    }

    /// Adds a rule for which failpoint fires.
    #[must_use]
    pub fn failpoint(mut self, rule: FailpointRule) -> Self {
        self.failpoints.push(rule);
        self
    }

    /// Adds a scope around an allocation that is made without.
    #[must_use]
    pub fn scope(mut self, scope: AddedScope) -> Self {
        self.scopes.push(scope);
        self
    }

    /// Whether a rule asks for kswapd.
    #[must_use]
    pub fn wants_kswapd(&self) -> bool {
        self.pressure.iter().any(|rule| rule.by == Reclaimer::Kswapd)
    }

    /// Whether a rule applies at locks.
    #[must_use]
    pub fn watches_locks(&self) -> bool {
        self.pressure.iter().any(|rule| rule.at_lock.is_some())
    }
}

impl Plan {
    /// Arms `spec` in a world.
    ///
    /// # Errors
    /// A rule can never hit, or contradicts itself.
    pub fn arm(sched: &Sched, spec: PlanSpec) -> Result<Self, Error> {
        let PlanSpec { pressure, failpoints, scopes } = spec;
        scopes.iter().try_for_each(AddedScope::check)?;
        for (rule, number) in pressure.iter().zip(1..) {
            rule.check(number)?;
        }
        if let Some(rule) = failpoints.iter().find(|rule| rule.times == Some(0)) {
            let what = format!(
                "the failpoint rule for `{}` has `times` 0, so it never fires",
                rule.point.name()
            );
            return Err(Error::input(what).advice("leave `times` out for every pass"));
        }
        let counts =
            RuleCounts { pressure: vec![0; pressure.len()], failpoints: vec![0; failpoints.len()] };
        let points = sched.names(|names| {
            Failpoint::ALL.iter().map(|point| names.add_point(point.name())).collect()
        });
        let pressure = pressure.into_iter().map(Arc::new).collect();
        let fails = !failpoints.is_empty();
        let state =
            PlanState { scopes, failpoints, pressure, counts: SpinLock::new(counts), points };
        Ok(Self { state: Arc::new(state), fails, bugs: Bugs::default() })
    }

    /// The same plan, with `bugs` planted.
    #[must_use]
    pub fn planting(self, bugs: &[Bug]) -> Self {
        Self { bugs: Bugs::of(bugs), ..self }
    }

    /// Whether the mistake is planted.
    pub(crate) const fn has(&self, bug: Bug) -> bool {
        self.bugs.has(bug)
    }

    /// The scope that the plan adds around an allocation at `site`.
    pub(crate) fn added_scope(&self, site: Site) -> Option<ScopeGuard> {
        let scopes = &self.state.scopes;
        if scopes.is_empty() { None } else { added::enter(scopes, site) }
    }

    /// The hit of the rule that applies to an allocation of the running task, if any.
    pub(crate) fn press(&self, sched: &Sched, point: &AllocPoint) -> Option<PressureHit> {
        self.matching(sched, |rule| rule.is_about(point))
    }

    /// The hit of the rule that applies to a lock of class `class` that the running task has taken,
    /// if any.
    pub(crate) fn press_at_lock(
        &self,
        sched: &Sched,
        class: &str,
        flags: TaskFlags,
    ) -> Option<PressureHit> {
        self.matching(sched, |rule| rule.is_about_lock(class, flags))
    }

    /// The hit of the first rule that applies and is due, if any; every rule that applies counts
    /// the point.
    fn matching(&self, sched: &Sched, is_about: impl Fn(&Pressure) -> bool) -> Option<PressureHit> {
        let PlanState { pressure, counts, .. } = &*self.state;
        if pressure.is_empty() {
            return None;
        }
        let me = sched.current();
        let mut counts = counts.lock();
        let mut hit = None;
        for (rule, seen) in pressure.iter().zip(&mut counts.pressure) {
            let mine =
                rule.task.as_ref().is_none_or(|name| sched.names(|names| names.task(me) == name));
            if mine && is_about(rule) {
                if hit.is_none() && rule.hits(*seen) {
                    hit = Some(PressureHit(Arc::clone(rule)));
                }
                *seen += 1;
            }
        }
        hit
    }

    /// How often the point of failpoint rule number `rule` (from 0) was passed; 0 if there is no
    /// such rule.
    #[must_use]
    pub fn seen(&self, rule: usize) -> u64 {
        self.state.counts.lock().failpoints.get(rule).copied().unwrap_or(0)
    }

    /// A sentence for each rule that has not hit or fired yet: the run does not show what the rule
    /// is for.
    #[must_use]
    pub fn idle(&self) -> Vec<String> {
        let PlanState { failpoints, pressure, counts, .. } = &*self.state;
        let counts = counts.lock();
        let pressure = pressure
            .iter()
            .zip(&counts.pressure)
            .zip(1..)
            .filter(|((rule, seen), _)| **seen <= rule.skip);
        let pressure = pressure.map(|((rule, seen), number)| match (seen, rule.skip) {
            (0, _) => format!("pressure rule {number} never hit: nothing matched it"),
            (seen, skip) => format!(
                "pressure rule {number} never hit: it matched {seen} {}, and `skip` is {skip}",
                if rule.at_lock.is_some() { "lock acquisitions" } else { "allocations" },
            ),
        });
        let failpoints =
            failpoints.iter().zip(&counts.failpoints).filter(|(rule, seen)| **seen <= rule.skip);
        let failpoints = failpoints.map(|(rule, seen)| match seen {
            0 => format!("failpoint {} was never reached", rule.point.name()),
            seen => format!(
                "failpoint {} never fired: it was passed {seen} times, and `skip` is {}",
                rule.point.name(),
                rule.skip
            ),
        });
        pressure.chain(failpoints).collect()
    }

    /// Passes a failpoint.
    ///
    /// # Errors
    /// The point's errno, if a rule makes it fire.
    #[inline]
    pub fn pass(&self, sched: &Sched, point: Failpoint) -> Result<(), Errno> {
        if self.fails { self.pass_armed(sched, point) } else { Ok(()) }
    }

    #[cold]
    fn pass_armed(&self, sched: &Sched, point: Failpoint) -> Result<(), Errno> {
        let PlanState { failpoints, counts, points, .. } = &*self.state;
        let mut fired = false;
        for (rule, seen) in failpoints.iter().zip(&mut counts.lock().failpoints) {
            if rule.point == point {
                fired |=
                    *seen >= rule.skip && rule.times.is_none_or(|times| *seen - rule.skip < times);
                *seen += 1;
            }
        }
        let index = Failpoint::ALL
            .iter()
            .position(|known| *known == point)
            .expect("every point is in the registry");
        sched.emit(EventKind::PointReached { point: points[index], fired });
        if fired { Err(point.errno()) } else { Ok(()) }
    }
}
