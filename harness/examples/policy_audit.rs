//! Compares the policies: prints the table of each on the stack of the mailing-list thread, the
//! decisions of the open questions, and how much the depth rule denies on random stacks.
//! `docs/policies.md` holds this output.
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use reclaimdep::kernel::mm::policy::audit::comparison;
use reclaimdep::kernel::mm::policy::audit::measure::{self, SHAPES, STACKS};
use reclaimdep::kernel::mm::policy::{Knob, ReclaimContextKnobs, ReclaimContextPolicy};

fn main() {
    println!("{}", comparison::table());
    println!("{}", Knob::HEADER);
    for knob in ReclaimContextKnobs::TABLE {
        println!("{knob}");
    }
    println!("\n{}", measure::table(&ReclaimContextPolicy::default(), SHAPES, STACKS));
}
