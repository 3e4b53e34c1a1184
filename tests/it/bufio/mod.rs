//! dm-bufio in whole worlds.
//!
//! | module | asks |
//! |---|---|
//! | [`cycles`] | which of the four deadlocks of the description is possible with which shrinker form |
//! | [`failpoints`] | what does each pause hold up; what does the clock let go |
//! | [`leaks`] | is a buffer that is held at the end found |
//! | [`order`] | are the locks taken in the order that is declared |
//! | [`programs`] | the model-based tester: do programs, random or of several tasks, lose nothing |

mod cycles;
mod failpoints;
mod leaks;
mod order;
mod programs;
