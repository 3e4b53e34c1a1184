//! Every mistake is reported, not only the first.

use reclaimdep::World;

#[reclaimdep::test(teir = model, era = "v2.4", expect = RD99)]
async fn a(_world: World) -> u32 {
    0
}

fn main() {}
