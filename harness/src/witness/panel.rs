//! `Witness`: the view and every judge, one event at a time.
//!
//! Key types: [`Judge`], [`Witness`].

use super::annotation::Annotation;
use super::carried::Carried;
use super::code::Code;
use super::contract::Contract;
use super::convoy::{self, Convoy};
use super::deadlock::Deadlock;
use super::deferred::Deferred;
use super::finding::Finding;
use super::flush::Flush;
use super::hang::Hang;
use super::kswapd::Kswapd;
use super::leak::Leak;
use super::lint::Lint;
use super::lost::Lost;
use super::mask::Mask;
use super::oracle::{Oracle, Pairs};
use super::order::{Cycle, Order, OrderGraph};
use super::phantom::Phantom;
use super::pool::Pool;
use super::reads::Reads;
use super::recursion::Recursion;
use super::scan::Scan;
use super::scope_misuse::ScopeMisuse;
use super::shown::Shown;
use super::shrinker::Conduct;
use super::stalls::Stalls;
use super::view::View;
use crate::event::{Event, Names};
use crate::units::Ticks;

/// A run with more findings than these keeps the first.
pub(super) const MAX_FINDINGS: usize = 1 << 10;

/// Reads events and adds findings. It keeps no more than it needs to tell a new finding from one it
/// made before.
pub trait Judge: Send {
    /// What the events are about that it must be shown. It does the same whether it is shown others
    /// or not.
    fn reads(&self) -> Reads;

    /// Judges `event`, which `view` already contains. `out` holds every finding of the run so far.
    fn observe(&mut self, event: &Event, view: &View, out: &mut Vec<Finding>);
}

/// A judge that has to know what things are called: a class of locks is a name.
pub(super) trait NamingJudge: Send {
    /// As [`Judge::reads`].
    fn reads(&self) -> Reads;

    /// As [`Judge::observe`].
    fn observe(&mut self, event: &Event, view: &View, names: &Names, out: &mut Vec<Finding>);
}

/// Every judge over one view.
pub struct Witness {
    view: View,
    judges: Shown<dyn Judge>,
    naming: Shown<dyn NamingJudge>,
    /// Not among them: a test may set its bound.
    convoy: Convoy,
    /// Not among the judges: it reads names too, and what it learns outlives the run.
    order: Option<Order>,
    order_reads: Reads,
    /// Likewise reads names.
    oracle: Option<Oracle>,
    stalls: Stalls,
    findings: Vec<Finding>,
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness").field("findings", &self.findings.len()).finish_non_exhaustive()
    }
}

impl Default for Witness {
    fn default() -> Self {
        Self::new()
    }
}

impl Witness {
    /// A witness of a run that has not begun.
    #[must_use]
    pub fn new() -> Self {
        // Hang comes last: it keeps quiet about what a deadlock explains.
        let in_order: [Box<dyn Judge>; 16] = [
            Box::<Recursion>::default(),
            Box::<Carried>::default(),
            Box::<ScopeMisuse>::default(),
            Box::<Conduct>::default(),
            Box::<Mask>::default(),
            Box::<Contract>::default(),
            Box::<Annotation>::default(),
            Box::<Deferred>::default(),
            Box::<Kswapd>::default(),
            Box::<Pool>::default(),
            Box::<Flush>::default(),
            Box::<Phantom>::default(),
            Box::<Leak>::default(),
            Box::<Lost>::default(),
            Box::<Deadlock>::default(),
            Box::new(Hang),
        ];
        let mut judges = Shown::<dyn Judge>::default();
        for judge in in_order {
            judges.add(judge.reads(), judge);
        }
        let mut naming = Shown::<dyn NamingJudge>::default();
        let scan = Scan::default();
        naming.add(scan.reads(), Box::new(scan));
        Self {
            view: View::default(),
            judges,
            naming,
            convoy: Convoy::beyond(convoy::BOUND),
            order: None,
            order_reads: Order::reads(),
            oracle: None,
            stalls: Stalls::default(),
            findings: Vec::new(),
        }
    }

    /// The same with the judge of order (RD03), which goes on from what `graph` holds.
    #[must_use]
    pub fn ordered(graph: OrderGraph, class_view: bool) -> Self {
        Self { order: Some(Order::over(graph, class_view)), ..Self::new() }
    }

    /// What was learned about order; nothing without that judge.
    #[must_use]
    pub fn order(&self) -> Option<&OrderGraph> {
        self.order.as_ref().map(Order::graph)
    }

    /// Cycles that only the class view of the order has.
    #[must_use]
    pub fn aside(&self) -> &[Cycle] {
        self.order.as_ref().map_or(&[], Order::aside)
    }

    /// The same, which also judges what each allocation could come to, as the stack was declared
    /// (RD03).
    #[must_use]
    pub fn with_oracle(self) -> Self {
        Self { oracle: Some(Oracle::default()), ..self }
    }

    /// What the policy permits against what is safe; nothing without that judge.
    #[must_use]
    pub fn pairs(&self) -> Option<Pairs> {
        self.oracle.as_ref().map(Oracle::pairs)
    }

    /// The same, which also makes lints (RD11).
    #[must_use]
    pub fn with_lints(mut self) -> Self {
        let lint = Lint::default();
        self.naming.add(lint.reads(), Box::new(lint));
        self
    }

    /// The same, which lets tasks stand behind a lock for less than `bound` (RD09).
    #[must_use]
    pub fn with_convoy_bound(self, bound: Ticks) -> Self {
        Self { convoy: Convoy::beyond(bound), ..self }
    }

    /// Takes in one event; returns what was found at it.
    pub fn observe(&mut self, event: &Event, names: &Names) -> &[Finding] {
        self.view.apply(event);
        self.stalls.observe(event, &self.view);
        let before = self.findings.len();
        let about = Reads::of(event.kind);
        let (view, findings) = (&self.view, &mut self.findings);
        self.judges.each(about, |judge| judge.observe(event, view, findings));
        self.convoy.observe(event, &self.view, &mut self.findings);
        let (view, findings) = (&self.view, &mut self.findings);
        self.naming.each(about, |judge| judge.observe(event, view, names, findings));
        if let Some(order) = self.order.as_mut().filter(|_| self.order_reads.meets(about)) {
            order.observe(event, &self.view, names, &mut self.findings);
        }
        if let Some(oracle) = &mut self.oracle {
            oracle.observe(event, &self.view, names, &mut self.findings);
        }
        if self.findings.len() > MAX_FINDINGS {
            // A deadlock is never dropped: somebody has to break it.
            let new = self.findings.split_off(before);
            let room = MAX_FINDINGS.saturating_sub(before);
            let kept = new.into_iter().enumerate();
            let kept = kept.filter(|(place, finding)| *place < room || finding.code == Code::RD04);
            self.findings.extend(kept.map(|(_, finding)| finding));
        }
        &self.findings[before..]
    }

    /// How long tasks stood so far.
    #[must_use]
    pub const fn stalls(&self) -> &Stalls {
        &self.stalls
    }

    /// The run has ended: fills in what only all of it says about what was found.
    pub fn settle(&mut self) {
        if let Some(order) = &mut self.order {
            order.settle(&mut self.findings);
        }
    }

    /// Everything found so far, in order.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The same, given away at the end of the run.
    #[must_use]
    pub fn into_findings(mut self) -> Vec<Finding> {
        self.settle();
        self.findings
    }

    /// The world as the events so far tell it.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }
}

#[cfg(test)]
mod tests;
