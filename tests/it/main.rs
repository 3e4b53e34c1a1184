//! Everything that needs no privilege and crosses packages.
//!
//! | module | asks |
//! |---|---|
//! | [`attribute`] | does `#[reclaimdep::test]` run what it says, also below `rstest`; are its word lists the library's |
//! | [`bufio`] | dm-bufio: which form can deadlock how; its lock order; programs of several tasks |
//! | [`cases`] | is every reported deadlock found where it must be, and only there |
//! | [`healthy`] | is nothing found where nothing is wrong |
//! | [`memory`] | what memory management does in whole worlds: regressions, conduct, policies |
//! | [`metadata`] | a filesystem's metadata in dm-bufio, and stacks of filesystems on loop devices |
//! | [`readme`] | is the README's test the one that runs |
//! | [`recordings`] | do the judges agree with what real kernels did |
//! | [`scopes`] | is every way to lose a scope found, and its healthy twin not |
//! | [`tidy`] | does the tree keep its own rules |
//! | [`verity`] | does the verity target see what the real tool sees |

mod attribute;
mod bufio;
mod cases;
mod healthy;
mod memory;
mod metadata;
mod oracle;
mod order;
mod readme;
mod recordings;
mod scopes;
mod tidy;
mod verity;
