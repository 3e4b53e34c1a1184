//! `Shown`: judges in a row, each shown what it reads.
//!
//! Key type: [`Shown`].

use super::reads::Reads;

/// Judges, in the order in which they are asked.
pub(super) struct Shown<J: ?Sized> {
    judges: Vec<Box<J>>,
    /// By subject, who reads it: one bit for each judge.
    readers: [u32; Reads::SUBJECTS],
}

impl<J: ?Sized> Default for Shown<J> {
    fn default() -> Self {
        Self { judges: Vec::new(), readers: [0; Reads::SUBJECTS] }
    }
}

impl<J: ?Sized> Shown<J> {
    /// Adds `judge`, which is asked after those that are there.
    ///
    /// # Panics
    /// Where there are 32 already.
    pub(super) fn add(&mut self, reads: Reads, judge: Box<J>) {
        let place = u32::try_from(self.judges.len()).expect("they are few");
        let bit = 1_u32.checked_shl(place).expect("there are 32 places");
        self.judges.push(judge);
        for (readers, subject) in self.readers.iter_mut().zip(0..) {
            if reads.has(subject) {
                *readers |= bit;
            }
        }
    }

    /// Shows an event about `about`, by `show`, to each that reads it.
    pub(super) fn each(&mut self, about: Reads, mut show: impl FnMut(&mut J)) {
        let mut readers = self.readers[about.subject()];
        while readers != 0 {
            show(&mut self.judges[readers.trailing_zeros() as usize]);
            readers &= readers - 1;
        }
    }

    /// Shows everything to each.
    #[cfg(test)]
    pub(super) fn read_all(&mut self) {
        self.readers = [(1 << self.judges.len()) - 1; Reads::SUBJECTS];
    }
}
