//! Random nestings: mask, flag word and record stack agree whatever scopes are entered and left.

use proptest::prelude::*;

use crate::testing::{Attached, misuses};
use crate::*;

const LAYERS: &[Layer] = &[Layer::new("raft")];

fn kind() -> impl Strategy<Value = ScopeKind> {
    let context = ReclaimContext { superblock: Superblock(3), depth: Depth::Unknown, private: 1 };
    proptest::sample::select(vec![
        ScopeKind::Nofs,
        ScopeKind::Noio,
        ScopeKind::Noreclaim,
        ScopeKind::Pin,
        ScopeKind::Nowait,
        ScopeKind::Kswapd,
        ScopeKind::Forbid(LAYERS),
        ScopeKind::Context(context),
    ])
}

fn mask() -> impl Strategy<Value = Gfp> {
    proptest::collection::vec(proptest::sample::select(gfp::BITS.to_vec()), 0..12)
        .prop_map(|bits| bits.into_iter().fold(Gfp::EMPTY, |mask, (bit, _)| mask | bit))
}

/// Enters a scope, leaves the innermost open scope, or leaves any open scope.
#[derive(Clone, Debug)]
enum ScopeStep {
    Enter(ScopeKind),
    Leave,
    LeaveAny(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<ScopeStep>> {
    let step = prop_oneof![
        3 => kind().prop_map(ScopeStep::Enter),
        2 => Just(ScopeStep::Leave),
        1 => any::<prop::sample::Index>().prop_map(ScopeStep::LeaveAny),
    ];
    proptest::collection::vec(step, 0..40)
}

/// The rule of [`Gfp::effective`], written a second time in the order of docs/kernel/scopes.md,
/// "The effective mask".
fn rule(mask: Gfp, open: &[ScopeGuard]) -> Gfp {
    let on = |flag| open.iter().any(|guard| guard.kind().bit().contains(flag));
    let mut mask = mask;
    if on(TaskFlags::MEMALLOC_NOWAIT) {
        mask = mask - Gfp::DIRECT_RECLAIM;
    } else if on(TaskFlags::MEMALLOC_NOIO) {
        mask = mask - (Gfp::IO | Gfp::FS);
    } else if on(TaskFlags::MEMALLOC_NOFS) {
        mask = mask - Gfp::FS;
    }
    if on(TaskFlags::MEMALLOC_PIN) { mask - Gfp::MOVABLE } else { mask }
}

fn check_step(mask: Gfp, open: &[ScopeGuard]) -> Result<(), TestCaseError> {
    let effective = effective(mask);
    prop_assert_eq!(effective, rule(mask, open));
    prop_assert_eq!(effective - mask, Gfp::EMPTY, "the rule only clears bits");
    prop_assert_eq!(crate::effective(effective), effective, "the rule is idempotent");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_a_task_of_a_world_the_flag_word_follows_from_the_record_stack(
        steps in steps(), mask in mask()
    ) {
        let _task = Attached::new(1, TaskFlags::EMPTY);
        let mut open: Vec<ScopeGuard> = Vec::new();
        for step in steps {
            match step {
                ScopeStep::Enter(kind) => open.push(kind.enter()),
                ScopeStep::Leave => drop(open.pop()),
                ScopeStep::LeaveAny(index) if !open.is_empty() => {
                    drop(open.remove(index.index(open.len())));
                }
                ScopeStep::LeaveAny(_) => {}
            }
            check_step(mask, &open)?;
            let bits = open.iter().map(|guard| guard.kind().bit());
            let bits = bits.fold(TaskFlags::EMPTY, |all, bits| all | bits);
            prop_assert_eq!(context::flags(), bits);
            prop_assert_eq!(context::scopes().count(), open.len().min(context::MAX_DEPTH));
        }
        open.into_iter().rev().for_each(drop);
        let expected = |what: &Misuse| matches!(what, Misuse::OutOfOrder | Misuse::TooDeep);
        prop_assert!(misuses().iter().all(expected));
        prop_assert_eq!(context::flags(), TaskFlags::EMPTY);
    }

    #[test]
    fn outside_a_world_well_nested_scopes_follow_the_rule(
        kinds in proptest::collection::vec(kind(), 0..40), mask in mask()
    ) {
        let mut open: Vec<ScopeGuard> = Vec::new();
        for kind in kinds {
            open.push(kind.enter());
            check_step(mask, &open)?;
        }
        while let Some(guard) = open.pop() {
            drop(guard);
            check_step(mask, &open)?;
        }
        prop_assert_eq!(context::flags(), TaskFlags::EMPTY);
    }

    #[test]
    fn a_mask_prints_and_reads_back(mask in mask()) {
        prop_assert_eq!(mask.to_string().parse::<Gfp>(), Ok(mask));
    }

    #[test]
    fn any_text_is_a_mask_or_an_error_within_it(text in "[ |A-Z_a-z]{0,40}") {
        if let Err(error) = text.parse::<Gfp>() {
            prop_assert!(text.get(error.range()).is_some(), "{:?} of {text:?}", error.range());
        }
    }
}
