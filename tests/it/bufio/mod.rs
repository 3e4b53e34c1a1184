//! dm-bufio in whole worlds.
//!
//! | module | asks |
//! |---|---|
//! | [`cycles`] | which of the four deadlocks of the description is possible with which shrinker form |
//! | [`order`] | are the locks taken in the order that is declared |
//! | [`programs`] | do small programs of several tasks lose nothing, whatever the schedule |

mod cycles;
mod order;
mod programs;
