//! Memory in whole worlds: what was wrong once is found as it was and quiet as it is; shrinkers
//! that break the protocol are named; each policy does to the first story what its table says.
//!
//! | module | asks |
//! |---|---|
//! | [`regressions`] | reported mistakes of memory management, old behaviour and new |
//! | [`conduct`] | shrinkers that wait, lie, panic, or count by the mask |
//! | [`invariants`] | mistakes planted in the ports and made by users, each with its healthy twin |
//! | [`judges`] | what is left, lost, claimed, restricted too much; suppressions |
//! | [`policies`] | the same two stories under every policy |

mod conduct;
mod invariants;
mod judges;
mod policies;
mod regressions;

use reclaimdep::World;
use reclaimdep::event::Gfp;
use reclaimdep::report::Report;
use reclaimdep::scope::{Shrinker, Stop};
use reclaimdep::witness::Code;
use reclaimdep::world::Builder;

/// Runs `body`; exactly these codes are found.
#[track_caller]
fn check(
    expect: &[Code],
    builder: Builder,
    body: impl Fn(&World) + Send + Sync + 'static,
) -> Report {
    let report =
        builder.expect(expect).schedules(50).run(body).expect("the harness has no trouble");
    if let Err(wrong) = report.matches(expect) {
        panic!("{wrong}\n{report}");
    }
    report
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
