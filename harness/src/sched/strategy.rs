//! `Strategy`: which task runs next, and which number is drawn.
//!
//! Key type: [`Strategy`]. The controlled engine asks it for each choice. The strategies live in
//! `explore`, one file each.

use crate::event::TaskId;

/// Makes the choices of controlled runs. One strategy serves many executions.
pub trait Strategy: Send {
    /// Another execution is about to start; `false` ends the exploration.
    fn begin(&mut self) -> bool;

    /// Which of `runnable` runs next. Asked only when there are at least two; `runnable` is in
    /// ascending order, and `current` is the task that ran last, runnable or not.
    fn task(&mut self, runnable: &[TaskId], current: Option<TaskId>) -> TaskId;

    /// A number below `bound`. Asked only when `bound` is at least two.
    fn number(&mut self, bound: u32) -> u32;
}
