//! A report of the loop tier names the idle rules of the plan that one of another tier names.

use libtest_mimic::{Failed, Trial};
use reclaimdep::scope::Gfp;
use reclaimdep::{Pressure, Tier, World};

/// Every test of this module.
pub(crate) fn trials() -> Vec<Trial> {
    const NAME: &str = "notes::a_pressure_rule_that_never_hit_is_in_the_report";
    vec![crate::trial(NAME, || a_pressure_rule_that_never_hit(NAME))]
}

fn a_pressure_rule_that_never_hit(name: &str) -> Result<(), Failed> {
    let nobody = Pressure::every_allocation().task("nobody");
    let builder = World::builder().name(name).pressure(nobody).schedules(1);
    let body = |world: &World| assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
    let model = builder.clone().run(body)?;
    let again = ["--exact", name, "--include-ignored"];
    let real = builder.tier(Tier::Loop).rerun(again).run(body)?;
    if real.is_quiet() && real.idle.len() == 1 && real.idle == model.idle {
        return Ok(());
    }
    Err(format!("model: {:?}\nloop: {:?}\n{real}", model.idle, real.idle).into())
}
