//! Memory management in whole worlds.
//!
//! | module | tests |
//! |---|---|
//! | [`regressions`] | reported bugs of memory management: found with the old behaviour, quiet with the new |
//! | [`conduct`] | shrinkers that wait, return false numbers, panic, or count by the mask |
//! | [`invariants`] | bugs planted in the ports and mistakes of users, each with its healthy twin |
//! | [`judges`] | objects left at the end, lost data, false progress, lints; suppressions |
//! | [`swap`] | findings through a swap area show the page-out and the submission |
//! | [`policies`] | the same two stacks under every policy |
//! | [`servers`] | pressure on servers, and by kswapd and the task at one allocation |

mod conduct;
mod invariants;
mod judges;
mod policies;
mod regressions;
mod servers;
mod swap;

use reclaimdep::scope::{Gfp, Shrinker, Stop};
use reclaimdep::{Builder, Code, Report, World};

/// Runs `body` in 50 schedules; exactly these codes must be found.
#[track_caller]
fn check(
    expect: &[Code],
    builder: Builder,
    body: impl Fn(&World) + Send + Sync + 'static,
) -> Report {
    reclaimdep_tests::check_codes(expect, builder.schedules(50), body)
}

type Count = dyn Fn(Gfp) -> u64 + Send + Sync;
type Scan = dyn Fn(Gfp, u64) -> Result<u64, Stop> + Send + Sync;

/// A shrinker made of two closures.
struct Planted {
    count: Box<Count>,
    scan: Box<Scan>,
}

impl Planted {
    fn new(
        count: impl Fn(Gfp) -> u64 + Send + Sync + 'static,
        scan: impl Fn(Gfp, u64) -> Result<u64, Stop> + Send + Sync + 'static,
    ) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self { count: Box::new(count), scan: Box::new(scan) })
    }
}

impl Shrinker for Planted {
    fn name(&self) -> &str {
        "planted"
    }

    fn count(&self) -> u64 {
        (self.count)(Gfp::KERNEL)
    }

    fn count_with_mask(&self, mask: Gfp) -> u64 {
        (self.count)(mask)
    }

    fn scan(&self, mask: Gfp, nr_to_scan: u64) -> Result<u64, Stop> {
        (self.scan)(mask, nr_to_scan)
    }
}
