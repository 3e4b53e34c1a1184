//! Everything that needs no privilege and crosses packages.
//!
//! | module | asks |
//! |---|---|
//! | [`attribute`] | does `#[reclaimdep::test]` run its function in the right world, also with `rstest`; are its word lists those of the library |
//! | [`bufio`] | dm-bufio: which form can deadlock and how; its lock order; programs of several tasks |
//! | [`cases`] | is every reported deadlock found in the eras that had it, and only there |
//! | [`crash`] | does the filesystem keep what it acknowledged, at whatever write the power fails |
//! | [`deadline`] | does a run without a scheduling point end with its task named, and an overflow of a stack |
//! | [`healthy`] | are runs of healthy stacks quiet |
//! | [`memory`] | memory management in whole worlds: regressions, shrinkers, invariants, policies |
//! | [`metadata`] | a filesystem's metadata in dm-bufio, and stacks of filesystems on loop devices |
//! | [`oracle`] | what could an allocation lead to; is what a policy permits safe |
//! | [`order`] | is the deadlock of 2014 predicted from runs in which it does not happen |
//! | [`plans`] | do rules of a plan that can apply nowhere in this process say so |
//! | [`queues`] | work queues with managers and rescuers, flushed queues, claimed items |
//! | [`readme`] | does the README show the test and the report of code that runs |
//! | [`recordings`] | do the judges agree with recordings of real kernels |
//! | [`scopes`] | is every way to lose a scope found, and is its healthy twin quiet |
//! | [`tidy`] | does the tree keep its own rules |
//! | [`verity`] | does the verity target agree with `veritysetup` |
//! | [`waits`] | waits within waits, promises, flushes, and the limits of a run |

mod attribute;
mod bufio;
mod cases;
mod catalogue;
mod crash;
mod deadline;
mod healthy;
mod memory;
mod metadata;
mod oracle;
mod order;
mod plans;
mod queues;
mod readme;
mod recordings;
mod scopes;
mod tidy;
mod verity;
mod waits;
