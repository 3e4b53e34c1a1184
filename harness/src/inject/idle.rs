//! `IdleRule`: a rule of the plan that did not apply.
//!
//! Key type: [`IdleRule`]. What the rule was to show was not shown, so a run that is quiet beside
//! it proves less than it seems to. A rule is idle in a run if it is idle in each of its
//! executions.

use core::fmt;

/// A rule of the plan that did not apply in one execution, or in several taken together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdleRule {
    pub(super) rule: RuleName,
    /// How often it matched, in the execution where it matched most.
    pub(super) matched: u64,
    /// How many of its matches it was told to skip.
    pub(super) skip: u64,
    /// Whether the rule may be idle.
    pub(super) optional: bool,
    /// Whether it is about allocations, which code of the user's own makes on the heap.
    pub(super) of_heap: bool,
}

/// Which rule, as sentences name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum RuleName {
    /// Number from 1, what it matches.
    Pressure(usize, String),
    /// Number from 1, name of the point.
    Failpoint(usize, &'static str),
    /// Number from 1, the scope and its line.
    Scope(usize, String),
    /// Its name, and what it does.
    Bug(String, &'static str),
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pressure(number, about) => write!(f, "pressure rule {number} ({about})"),
            Self::Failpoint(number, name) => write!(f, "failpoint rule {number} ({name})"),
            Self::Scope(number, about) => write!(f, "added scope {number} ({about})"),
            Self::Bug(name, _) => write!(f, "the planted bug {name}"),
        }
    }
}

impl IdleRule {
    /// The number of the added scope that was never entered, from 1, if the rule is one.
    pub(crate) const fn scope(&self) -> Option<usize> {
        match self.rule {
            RuleName::Scope(number, _) => Some(number),
            _ => None,
        }
    }

    /// Whether the rule is marked optional, so that a run passes without it.
    #[must_use]
    pub const fn is_optional(&self) -> bool {
        self.optional
    }

    /// Keeps those of `rules` that are idle in another execution too, whose idle rules are `other`.
    pub(crate) fn retain_both(rules: &mut Vec<Self>, other: &[Self]) {
        rules.retain_mut(|rule| {
            let same = other.iter().find(|other| other.rule == rule.rule);
            if let Some(other) = same {
                rule.matched = rule.matched.max(other.matched);
            }
            same.is_some()
        });
    }

    /// What is idle in how many schedules, why, and what to do. `hook`: whether the process's
    /// allocator is [`crate::Heap`].
    pub(crate) fn sentence(&self, schedules: u64, hook: bool) -> String {
        let Self { rule, matched, skip, optional, of_heap } = self;
        let schedules = match schedules {
            1 => "1 schedule".to_owned(),
            many => format!("{many} schedules"),
        };
        let why = match (rule, matched) {
            (RuleName::Failpoint(..), 0) => "the point was never passed".to_owned(),
            (RuleName::Scope(..), _) => "nothing was allocated there".to_owned(),
            (RuleName::Bug(_, what), _) => format!("the place of it was never passed: {what}"),
            (_, 0) if *of_heap && !hook => "nothing matched it, and the heap hook is not \
                installed: a world sees allocations of your own code only with reclaimdep::Heap as \
                the #[global_allocator] of the test binary"
                .to_owned(),
            (_, 0) => "nothing matched it".to_owned(),
            (_, matched) if matched <= skip => {
                format!("it matched {matched} times, and `skip` is {skip}")
            }
            (_, matched) => {
                format!("it matched {matched} times, and an earlier rule applied each time")
            }
        };
        let what_to_do = match (rule, optional) {
            (_, true) => "",
            (RuleName::Bug(..), _) => "; run what passes there, or do not plant it",
            _ => "; correct it, or mark it `optional`",
        };
        format!("{rule} applied in none of {schedules}: {why}{what_to_do}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(matched: u64, skip: u64) -> IdleRule {
        let rule = RuleName::Pressure(1, "allocations of task `x`".into());
        IdleRule { rule, matched, skip, optional: false, of_heap: true }
    }

    #[track_caller]
    fn check(rule: &IdleRule, hook: bool, says: &[&str]) {
        let sentence = rule.sentence(7, hook);
        assert!(says.iter().all(|part| sentence.contains(part)), "{sentence}");
        assert_eq!(sentence.contains("#[global_allocator]"), says.contains(&"global_allocator"));
    }

    #[test]
    fn the_sentence_names_the_rule_the_schedules_the_reason_and_the_remedy() {
        check(
            &idle(0, 0),
            false,
            &["rule 1", "none of 7 schedules", "global_allocator", "optional"],
        );
        check(&idle(0, 0), true, &["allocations of task `x`", "nothing matched it; correct it"]);
        check(&idle(2, 2), false, &["it matched 2 times, and `skip` is 2"]);
        check(&idle(3, 2), false, &["it matched 3 times, and an earlier rule applied each time"]);
        let optional = IdleRule { optional: true, ..idle(0, 0) };
        assert!(optional.sentence(1, true).ends_with("1 schedule: nothing matched it"));
    }

    #[test]
    fn a_rule_is_idle_in_a_run_where_each_execution_leaves_it_idle() {
        let mut rules = vec![idle(1, 5)];
        IdleRule::retain_both(&mut rules, &[idle(3, 5)]);
        assert_eq!(rules, [idle(3, 5)], "though another number of matches was counted");
        IdleRule::retain_both(&mut rules, &[]);
        assert_eq!(rules, []);
    }
}
