//! The policies compared: the table of each on the thread's own stack, how the open questions are
//! decided, and what the depth rule denies on random stacks. `docs/policies.md` holds what this
//! prints.
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use reclaimdep::mm::policy::audit::comparison;
use reclaimdep::mm::policy::audit::measure::{self, SHAPES, STACKS};
use reclaimdep::mm::policy::{Knob, ReclaimContextKnobs, ReclaimContextPolicy};

fn main() {
    println!("{}", comparison::table());
    println!("{}", Knob::HEADER);
    for knob in ReclaimContextKnobs::TABLE {
        println!("{knob}");
    }
    println!("\n{}", measure::table(&ReclaimContextPolicy::default(), SHAPES, STACKS));
}
