//! What whole files read as.

use super::*;
use crate::case::script::{Act, LockKind, Nested, Step, What};
use crate::era::Era;
use crate::event::Gfp;
use crate::tier::Tier;
use crate::witness::Code;

fn c42() -> crate::case::Case {
    parse(C42, "c42.toml").expect("c42 is right")
}

#[test]
fn each_variant_is_a_script_with_its_own_values() {
    let case = c42();
    let kinds: Vec<_> = case
        .scripts
        .iter()
        .map(|script| match &script.parts[0].what {
            What::Lock { kind, .. } => (script.variant.as_str(), *kind),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected =
        [("before", LockKind::Mutex), ("rwsem", LockKind::Rwsem), ("after", LockKind::Mutex)];
    assert_eq!(kinds, expected);
}

#[test]
fn a_step_of_other_variants_is_left_out() {
    let masks = |index: usize| {
        let mut masks = Vec::new();
        for Step { line, act } in &c42().scripts[index].tasks[0].steps {
            if let Act::Alloc { mask, .. } = act {
                masks.push((*line, *mask));
            }
        }
        masks
    };
    assert_eq!(masks(0), [(41, Gfp::KERNEL)]);
    assert_eq!(masks(2), [(42, Gfp::NOFS)]);
}

#[test]
fn a_part_has_its_fields_and_their_defaults() {
    let case = c42();
    let journal = &case.scripts[0].parts[2];
    assert_eq!((journal.name.as_str(), journal.line), ("journal", 17));
    let What::Space { size, used, push, by, nested } = &journal.what else {
        panic!("{journal:?}");
    };
    assert_eq!((*size, *used, *nested), (8, 4, Nested::Joins));
    assert_eq!(by.as_deref(), Some("jbd2"));
    let push = push.as_ref().expect("a push round");
    assert!(matches!(push[..], [Step { line: 23, act: Act::WaitZero { .. } }]), "{push:?}");
}

#[test]
fn a_row_without_eras_and_tiers_is_about_all_eras_on_two_tiers() {
    let case = c42();
    let row = &case.rows[0];
    assert_eq!(row.variants, ["before", "rwsem"]);
    assert_eq!(row.eras, Era::ALL);
    assert_eq!(row.tiers, [Tier::Model, Tier::Native]);
    assert_eq!((row.findings.as_slice(), row.predicted), (&[Code::RD04][..], true));
}

#[test]
fn a_range_of_eras_has_both_its_ends() {
    let eras = |text: &str| {
        let text = HEAD.replace("findings", &format!("{text}, findings"));
        parse(&text, "t.toml").expect("a range").rows[0].eras.clone()
    };
    assert_eq!(eras("eras = \"v5.2..v5.9\""), [Era::V5_2, Era::V5_3, Era::V5_9]);
    assert_eq!(eras("eras = \"..v3.18\""), [Era::V3_10, Era::V3_18]);
    assert_eq!(eras("eras = \"v6.1..\""), [Era::V6_1, Era::V6_12]);
    assert_eq!(eras("era = \"v6.1\""), [Era::V6_1]);
}
