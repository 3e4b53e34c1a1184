//! A report of the loop tier has every note that one of another tier has.

use libtest_mimic::{Failed, Trial};
use reclaimdep::scope::Gfp;
use reclaimdep::{Pressure, Tier, World};

/// Every test of this module.
pub(crate) fn trials() -> Vec<Trial> {
    const NAME: &str = "notes::a_pressure_rule_that_never_hit_is_a_note";
    vec![crate::trial(NAME, || a_pressure_rule_that_never_hit(NAME))]
}

fn a_pressure_rule_that_never_hit(name: &str) -> Result<(), Failed> {
    let nobody = Pressure::every_allocation().task("nobody");
    let builder = World::builder().name(name).pressure(nobody);
    let body = |world: &World| assert!(world.mm().alloc(0, Gfp::KERNEL).is_some());
    let model = builder.clone().run(body)?;
    let again = ["--exact", name, "--include-ignored"];
    let real = builder.tier(Tier::Loop).rerun(again).run(body)?;
    if real.is_quiet() && real.notes.len() == 1 && real.notes == model.notes {
        return Ok(());
    }
    Err(format!("model: {:?}\nloop: {:?}\n{real}", model.notes, real.notes).into())
}
