//! `Witness`: the view and every judge, one event at a time.
//!
//! Key type: [`Witness`]. Each event goes to the view first, and then to the
//! judges that read events on its subject, in the order of the table in `judges/mod.rs`.

use crate::event::{Event, Names};
use crate::witness::{
    Code, Cycle, Finding, Judge, JudgeOptions, Learned, Moment, OrderGraph, Pairs, Reads, Stalls,
    View, judges,
};

/// A run with more findings than these keeps the first ones, and every deadlock.
pub(crate) const MAX_FINDINGS: usize = 1 << 10;

/// Every judge of a run over one view.
pub struct Witness {
    view: View,
    panel: Panel,
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
        Self::new(JudgeOptions::default())
    }
}

impl Witness {
    /// A witness of a run that has not begun.
    #[must_use]
    pub fn new(options: JudgeOptions) -> Self {
        let panel = Panel::new(judges::made(options));
        Self { view: View::default(), panel, stalls: Stalls::default(), findings: Vec::new() }
    }

    /// Takes in one event; returns what was found at it.
    pub fn observe(&mut self, event: &Event, names: &Names) -> &[Finding] {
        self.view.apply(event);
        self.stalls.observe(event, &self.view);
        let before = self.findings.len();
        let (moment, findings) = (Moment { event, view: &self.view, names }, &mut self.findings);
        self.panel.each(Reads::of(event.kind), |judge| judge.observe(&moment, findings));
        if self.findings.len() > MAX_FINDINGS {
            // A deadlock is never dropped: the world has to break it.
            let new = self.findings.split_off(before);
            let room = MAX_FINDINGS.saturating_sub(before);
            let kept = new.into_iter().enumerate();
            let kept = kept.filter(|(place, finding)| *place < room || finding.code == Code::RD04);
            self.findings.extend(kept.map(|(_, finding)| finding));
        }
        &self.findings[before..]
    }

    /// The run has ended: completes the findings with what only the whole run shows.
    pub fn settle(&mut self) {
        for judge in &mut self.panel.judges {
            judge.settle(&mut self.findings);
        }
    }

    /// Everything found so far, in order.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Ends the run and returns what was found, in order.
    #[must_use]
    pub fn into_findings(mut self) -> Vec<Finding> {
        self.settle();
        self.findings
    }

    /// What was learned about order; none where order is not judged.
    #[must_use]
    pub fn order(&self) -> Option<&OrderGraph> {
        self.learned().find_map(|learned| learned.order)
    }

    /// Cycles that only the class view of the order has, where those are no findings.
    #[must_use]
    pub fn aside(&self) -> &[Cycle] {
        self.learned().map(|learned| learned.aside).find(|aside| !aside.is_empty()).unwrap_or(&[])
    }

    /// What the policy permits against what is safe; none where the oracle is not asked.
    #[must_use]
    pub fn pairs(&self) -> Option<Pairs> {
        self.learned().find_map(|learned| learned.pairs)
    }

    fn learned(&self) -> impl Iterator<Item = Learned<'_>> {
        self.panel.judges.iter().map(|judge| judge.learned())
    }

    /// How long tasks stood so far.
    #[must_use]
    pub const fn stalls(&self) -> &Stalls {
        &self.stalls
    }

    /// The world as the events so far tell it.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }
}

/// The judges of a run, and which of them read events on which subject.
struct Panel {
    judges: Vec<Box<dyn Judge>>,
    /// For each subject, one bit for each judge that reads it.
    readers: [u32; Reads::SUBJECTS],
}

impl Panel {
    /// # Panics
    /// There are more judges than bits.
    fn new(judges: Vec<Box<dyn Judge>>) -> Self {
        let mut readers = [0; Reads::SUBJECTS];
        for (judge, place) in judges.iter().zip(0..) {
            let bit = 1_u32.checked_shl(place).expect("a panel has at most 32 judges");
            let reads = judge.reads();
            for (readers, subject) in readers.iter_mut().zip(0..) {
                if reads.has(subject) {
                    *readers |= bit;
                }
            }
        }
        Self { judges, readers }
    }

    /// Calls `show`, in the order of the table, with each judge that reads the subject `about`.
    fn each(&mut self, about: Reads, mut show: impl FnMut(&mut dyn Judge)) {
        let mut readers = self.readers[about.subject()];
        while readers != 0 {
            show(self.judges[readers.trailing_zeros() as usize].as_mut());
            readers &= readers - 1;
        }
    }

    /// Shows every event to every judge from now on.
    #[cfg(test)]
    fn read_all(&mut self) {
        self.readers = [(1 << self.judges.len()) - 1; Reads::SUBJECTS];
    }
}

#[cfg(test)]
mod tests;
