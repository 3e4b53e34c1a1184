//! The armed plan of one world: rules and how often each has matched.
//!
//! Key types: [`PlanSpec`] (data), [`Plan`] (armed). Counting is by rule, not by call site, so two
//! rules never disturb each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use reclaimdep_scope::ScopeGuard;
use serde::{Deserialize, Serialize};

use super::added::{self, AddedScope};
use super::bug::{Bug, Bugs};
use super::failpoint::{Failpoint, FailpointRule};
use super::idle::{IdleRule, RuleName};
use super::pressure::{AllocPoint, AllocSource, Pressure, PressureHit};
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

/// How often a rule matched, and how often it applied.
#[derive(Clone, Copy, Default)]
struct Count {
    matched: u64,
    applied: u64,
}

struct RuleCounts {
    pressure: Vec<Count>,
    failpoints: Vec<Count>,
    scopes: Vec<Count>,
}

struct PlanState {
    scopes: Vec<AddedScope>,
    failpoints: Vec<FailpointRule>,
    pressure: Vec<Arc<Pressure>>,
    counts: SpinLock<RuleCounts>,
    /// Event numbers of the points, by position in [`Failpoint::ALL`].
    points: Vec<PointId>,
    /// The planted mistakes whose place was passed.
    made: AtomicU32,
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
        self.pressure.iter().any(|rule| rule.by.is_kswapd())
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
        let none = |rules| vec![Count::default(); rules];
        let counts = RuleCounts {
            pressure: none(pressure.len()),
            failpoints: none(failpoints.len()),
            scopes: none(scopes.len()),
        };
        let points = sched.names(|names| {
            Failpoint::ALL.iter().map(|point| names.add_point(point.name())).collect()
        });
        let pressure = pressure.into_iter().map(Arc::new).collect();
        let fails = !failpoints.is_empty();
        let (counts, made) = (SpinLock::new(counts), AtomicU32::new(0));
        let state = PlanState { scopes, failpoints, pressure, counts, points, made };
        Ok(Self { state: Arc::new(state), fails, bugs: Bugs::default() })
    }

    /// The same plan, with `bugs` planted.
    #[must_use]
    pub fn planting(self, bugs: &[Bug]) -> Self {
        Self { bugs: Bugs::of(bugs), ..self }
    }

    /// Whether the mistake is planted. Where it is, it counts as made: ask only where it is made.
    pub(crate) fn has(&self, bug: Bug) -> bool {
        let planted = self.bugs.has(bug);
        if planted {
            self.state.made.fetch_or(Bugs::of(&[bug]).bits(), Ordering::Relaxed);
        }
        planted
    }

    /// The scope that the plan adds around an allocation at `site`.
    pub(crate) fn added_scope(&self, site: Site) -> Option<ScopeGuard> {
        let PlanState { scopes, counts, .. } = &*self.state;
        if scopes.is_empty() {
            return None;
        }
        for (scope, count) in scopes.iter().zip(&mut counts.lock().scopes) {
            count.applied += u64::from(scope.is_about(site));
        }
        added::enter(scopes, site)
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
        for (rule, count) in pressure.iter().zip(&mut counts.pressure) {
            let mine =
                rule.task.as_ref().is_none_or(|name| sched.names(|names| names.task(me) == name));
            if mine && is_about(rule) {
                if hit.is_none() && rule.hits(count.matched) {
                    hit = Some(PressureHit(Arc::clone(rule)));
                    count.applied += 1;
                }
                count.matched += 1;
            }
        }
        hit
    }

    /// How often the point of failpoint rule number `rule` (from 0) was passed; 0 if there is no
    /// such rule.
    #[must_use]
    pub fn seen(&self, rule: usize) -> u64 {
        self.state.counts.lock().failpoints.get(rule).map_or(0, |count| count.matched)
    }

    /// Each rule that has not applied yet: the run does not show what the rule is for.
    #[must_use]
    pub fn idle(&self) -> Vec<IdleRule> {
        let PlanState { scopes, failpoints, pressure, counts, made, .. } = &*self.state;
        let counts = counts.lock();
        let idle = |rule, count: &Count, skip, optional| IdleRule {
            rule,
            matched: count.matched,
            skip,
            optional,
            of_heap: false,
        };
        let is_idle = |count: &Count| count.applied == 0;
        let mut rules = Vec::new();
        for ((rule, count), number) in pressure.iter().zip(&counts.pressure).zip(1..) {
            if is_idle(count) {
                let name = RuleName::Pressure(number, rule.about());
                let of_heap = rule.at_lock.is_none() && rule.of != AllocSource::Pages;
                rules.push(IdleRule { of_heap, ..idle(name, count, rule.skip, rule.optional) });
            }
        }
        for ((rule, count), number) in failpoints.iter().zip(&counts.failpoints).zip(1..) {
            if is_idle(count) {
                let name = RuleName::Failpoint(number, rule.point.name());
                rules.push(idle(name, count, rule.skip, rule.optional));
            }
        }
        for ((scope, count), number) in scopes.iter().zip(&counts.scopes).zip(1..) {
            if is_idle(count) {
                let about = format!("{} at {}", scope.scope.name(), scope.at);
                rules.push(idle(RuleName::Scope(number, about), count, 0, scope.optional));
            }
        }
        let made = made.load(Ordering::Relaxed);
        for bug in Bug::ALL.iter().filter(|bug| self.bugs.has(**bug)) {
            if Bugs::of(&[*bug]).bits() & made == 0 {
                let name = RuleName::Bug(format!("{bug:?}"), bug.sentence());
                rules.push(idle(name, &Count::default(), 0, false));
            }
        }
        rules
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
        for (rule, count) in failpoints.iter().zip(&mut counts.lock().failpoints) {
            if rule.point == point {
                let fires = rule.fires(count.matched);
                count.matched += 1;
                count.applied += u64::from(fires);
                fired |= fires;
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
