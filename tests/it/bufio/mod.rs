//! dm-bufio in whole worlds.
//!
//! | module | asks |
//! |---|---|
//! | [`cycles`] | which of the four deadlocks of the description is possible with which shrinker form |
//! | [`failpoints`] | what does each pause hold up; what does the clock let go |
//! | [`leaks`] | is a buffer that is held at the end found |
//! | [`lossy`] | a disk that loses writes, so that the checks are seen to fail |
//! | [`machine`] | do all operations do what a map does, whatever fails |
//! | [`order`] | are the locks taken in the order that is declared |
//! | [`programs`] | do small programs of several tasks lose nothing, whatever the schedule |

mod cycles;
mod failpoints;
mod leaks;
mod lossy;
mod machine;
mod order;
mod programs;
