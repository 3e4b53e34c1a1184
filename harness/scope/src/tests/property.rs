//! Random nestings: mask, word and stack agree, whatever is entered and left.

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

/// Enter a scope, or leave one of those that are open: the innermost, or any.
#[derive(Clone, Debug)]
enum Step {
    Enter(ScopeKind),
    Leave,
    LeaveAny(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => kind().prop_map(Step::Enter),
        2 => Just(Step::Leave),
        1 => any::<prop::sample::Index>().prop_map(Step::LeaveAny),
    ];
    proptest::collection::vec(step, 0..40)
}

/// The rule of the description, written once more in its own order.
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
    prop_assert_eq!(effective - mask, Gfp::EMPTY, "it only clears bits");
    prop_assert_eq!(crate::effective(effective), effective, "twice is once");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_a_task_of_a_world_the_word_is_what_the_stack_makes_it(steps in steps(), mask in mask()) {
        let _task = Attached::new(1, TaskFlags::EMPTY);
        let mut open: Vec<ScopeGuard> = Vec::new();
        for step in steps {
            match step {
                Step::Enter(kind) => open.push(kind.enter()),
                Step::Leave => drop(open.pop()),
                Step::LeaveAny(index) if !open.is_empty() => drop(open.remove(index.index(open.len()))),
                Step::LeaveAny(_) => {}
            }
            check_step(mask, &open)?;
            let bits = open.iter().fold(TaskFlags::EMPTY, |flags, guard| flags | guard.kind().bit());
            prop_assert_eq!(context::flags(), bits);
            prop_assert_eq!(context::scopes().count(), open.len().min(context::MAX_DEPTH));
        }
        open.into_iter().rev().for_each(drop);
        prop_assert!(misuses().iter().all(|what| matches!(what, Misuse::OutOfOrder | Misuse::TooDeep)));
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
