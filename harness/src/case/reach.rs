//! Which conditions the rest of a program can bring about.
//!
//! Key types: [`Reach`], [`Reaches`]. "Who must act" is never written in a case: it is the tasks,
//! items and requests whose remaining steps end the wait. A step acts itself, or queues an item or
//! submits a request whose steps do. What reclaim calls does not count, since no program says that
//! it will be called.

use super::script::{Act, Part, PartRef, Program, Script, Step, What};

/// A set of conditions, by their numbers.
pub(super) type Conditions = u128;

/// How many conditions a case may have.
pub(super) const MAX_CONDITIONS: usize = 128;

/// What steps do to conditions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Reach {
    /// They bring these about.
    pub(super) acts: Conditions,
    /// They bring these about before they take from them: a release before any reservation.
    pub(super) first: Conditions,
    /// They take from these.
    takes: Conditions,
}

impl Reach {
    fn act(bit: Conditions) -> Self {
        Self { acts: bit, first: bit, takes: 0 }
    }

    const fn take(bit: Conditions) -> Self {
        Self { acts: 0, first: 0, takes: bit }
    }

    /// Either of them.
    pub(super) const fn or(self, other: Self) -> Self {
        Self {
            acts: self.acts | other.acts,
            first: self.first | other.first,
            takes: self.takes | other.takes,
        }
    }

    /// First this, then `next`.
    const fn then(self, next: Self) -> Self {
        Self {
            acts: self.acts | next.acts,
            first: self.first | (next.first & !self.takes),
            takes: self.takes | next.takes,
        }
    }
}

/// A condition of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    /// A flag gets this value.
    Becomes(bool),
    /// A count is zero.
    Zero,
    /// A space has room.
    Room,
    /// A suspended device is resumed.
    Resumed,
}

/// What the parts of a script bring about, and the numbers of its conditions.
#[derive(Clone, Debug, Default)]
pub(super) struct Reaches {
    /// Every condition.
    pub(super) conditions: Vec<(PartRef, Sort)>,
    /// By part: what its item, or the service of its requests, brings about.
    parts: Vec<Reach>,
    /// By part: what its requests bring about once they were served.
    done: Vec<Reach>,
}

/// The conditions of the parts, in their order.
pub(super) fn conditions(script: &Script) -> Vec<(PartRef, Sort)> {
    let of = |(part, place): (&Part, usize)| {
        let sorts: &[Sort] = match part.what {
            What::Flag { .. } => &[Sort::Becomes(false), Sort::Becomes(true)],
            What::Count { .. } => &[Sort::Zero],
            What::Space { .. } => &[Sort::Room],
            What::Device { .. } => &[Sort::Resumed],
            _ => &[],
        };
        sorts.iter().map(move |sort| (PartRef(place), *sort))
    };
    script.parts.iter().zip(0..).flat_map(of).collect()
}

impl Reaches {
    /// Of a script with at most [`MAX_CONDITIONS`] conditions; the checker refuses more.
    pub(super) fn of(script: &Script) -> Self {
        let mut this = Self { conditions: conditions(script), ..Self::default() };
        this.conditions.truncate(MAX_CONDITIONS);
        this.parts = vec![Reach::default(); script.parts.len()];
        this.done = this.parts.clone();
        // What an item queues, and what that queues: until nothing is new.
        loop {
            let before = this.clone();
            for (place, part) in script.parts.iter().enumerate() {
                match &part.what {
                    What::Work { steps, .. } => this.parts[place] = before.program(steps),
                    What::Inode { of, .. } => {
                        if let What::Superblock { evict, .. } = &script.parts[of.0].what {
                            this.parts[place] = before.program(evict);
                        }
                    }
                    What::Device { serve, head, done, on, .. } => {
                        let below = on.map_or_else(Reach::default, |below| before.part(below));
                        this.done[place] = before.program(done);
                        this.parts[place] = before
                            .program(head)
                            .then(before.program(serve))
                            .then(below)
                            .then(this.done[place]);
                    }
                    _ => {}
                }
            }
            if this.parts == before.parts && this.done == before.done {
                return this;
            }
        }
    }

    /// What an item or a request of the part brings about.
    pub(super) fn part(&self, part: PartRef) -> Reach {
        self.parts.get(part.0).copied().unwrap_or_default()
    }

    /// What a request of the device brings about after it was served.
    pub(super) fn done(&self, device: PartRef) -> Reach {
        self.done.get(device.0).copied().unwrap_or_default()
    }

    /// The number of a condition, as a set.
    pub(super) fn bit(&self, part: PartRef, sort: Sort) -> Conditions {
        let place = self.conditions.iter().position(|known| *known == (part, sort));
        place.map_or(0, |place| 1 << place)
    }

    /// What `steps` bring about.
    pub(super) fn program(&self, steps: &Program) -> Reach {
        steps.iter().rev().fold(Reach::default(), |rest, step| self.step(step).then(rest))
    }

    /// For each step, what it and those after it bring about.
    pub(super) fn suffixes(&self, steps: &Program) -> Vec<Reach> {
        let mut rest = Reach::default();
        let mut all: Vec<Reach> = Vec::with_capacity(steps.len() + 1);
        all.push(rest);
        for step in steps.iter().rev() {
            rest = self.step(step).then(rest);
            all.push(rest);
        }
        all.reverse();
        all
    }

    fn step(&self, step: &Step) -> Reach {
        match &step.act {
            Act::Set { flag, to } => Reach::act(self.bit(*flag, Sort::Becomes(*to))),
            Act::Dec { count } => Reach::act(self.bit(*count, Sort::Zero)),
            Act::Inc { count } => Reach::take(self.bit(*count, Sort::Zero)),
            Act::Release { space } => Reach::act(self.bit(*space, Sort::Room)),
            Act::Reserve { space, .. } => Reach::take(self.bit(*space, Sort::Room)),
            Act::TryReserve { space, or_else, .. } => {
                Reach::take(self.bit(*space, Sort::Room)).or(self.program(or_else))
            }
            Act::Resume { device } => Reach::act(self.bit(*device, Sort::Resumed)),
            Act::Request { device: part, .. } | Act::PutInode { inode: part } => self.part(*part),
            Act::QueueWork { work, .. } | Act::RunHere { work } => self.part(*work),
            Act::TryLock { or_else, .. } | Act::Take { or_else: Some(or_else), .. } => {
                self.program(or_else)
            }
            Act::Repeat { steps, .. } => self.program(steps),
            Act::If { then, or_else, .. } => self.program(then).or(self.program(or_else)),
            _ => Reach::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(parts: &[What]) -> Script {
        let part = |what: &What| Part { name: "p".to_owned(), line: 1, what: what.clone() };
        Script {
            variant: "reported".to_owned(),
            stack: crate::StackSpec::default(),
            plan: crate::PlanSpec::default(),
            parts: parts.iter().map(part).collect(),
            tasks: Vec::new(),
            settle: Vec::new(),
        }
    }

    fn step(act: Act) -> Step {
        Step { line: 1, act }
    }

    const COUNT: PartRef = PartRef(0);

    fn count() -> What {
        What::Count { from: 0 }
    }

    #[test]
    fn a_task_that_counts_up_first_is_not_among_those_that_must_count_down() {
        let reaches = Reaches::of(&script(&[count()]));
        let bit = reaches.bit(COUNT, Sort::Zero);
        let up = vec![step(Act::Inc { count: COUNT }), step(Act::Dec { count: COUNT })];
        let down = vec![step(Act::Dec { count: COUNT }), step(Act::Inc { count: COUNT })];
        assert_eq!((reaches.program(&up).acts, reaches.program(&up).first), (bit, 0));
        assert_eq!((reaches.program(&down).acts, reaches.program(&down).first), (bit, bit));
    }

    #[test]
    fn a_task_that_queues_an_item_that_queues_another_reaches_what_that_does() {
        let item = |steps| What::Work { on: PartRef(9), steps };
        let queues = |place| {
            step(Act::QueueWork { work: PartRef(place), in_scopes: false, completes: false })
        };
        let first = item(vec![queues(2)]);
        // The second item queues the first again: this must end.
        let second = item(vec![step(Act::Dec { count: COUNT }), queues(1)]);
        let reaches = Reaches::of(&script(&[count(), first, second]));
        let bit = reaches.bit(COUNT, Sort::Zero);
        assert_eq!(reaches.program(&vec![queues(1)]).acts, bit);
    }

    #[test]
    fn each_step_knows_what_is_left_with_it() {
        let reaches = Reaches::of(&script(&[count()]));
        let bit = reaches.bit(COUNT, Sort::Zero);
        let steps = vec![step(Act::Free), step(Act::Dec { count: COUNT }), step(Act::Free)];
        let left: Vec<Conditions> = reaches.suffixes(&steps).iter().map(|left| left.acts).collect();
        assert_eq!(left, [bit, bit, 0, 0]);
    }
}
