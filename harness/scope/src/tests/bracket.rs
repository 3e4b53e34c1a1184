//! Brackets: which changes of its caller's flag word a callback may make.

use crate::testing::{Attached, misuses};
use crate::*;

/// The misuses that a bracket around `call` reports; the caller is in a NOFS scope.
fn reported(call: impl FnOnce()) -> Vec<Misuse> {
    let _task = Attached::new(1, TaskFlags::EMPTY);
    let outer = legacy::save(ScopeKind::Nofs, legacy::Style::NewlySet);
    Bracket::around(call);
    // Reports about the end of the outer scope do not come from the bracket.
    let said = misuses();
    legacy::restore(outer);
    said
}

#[test]
fn a_call_that_leaves_the_scopes_that_it_entered_is_no_misuse() {
    assert_eq!(reported(|| drop((noio(), pin()))), []);
    assert_eq!(reported(|| ()), []);
}

#[test]
fn a_scope_that_a_call_left_open_is_reported() {
    assert_eq!(reported(|| core::mem::forget(noio())), [Misuse::LeakedPastCall]);
}

#[test]
fn an_open_scope_of_the_callers_own_kind_does_not_change_the_word() {
    assert_eq!(reported(|| core::mem::forget(nofs())), []);
}

#[test]
fn a_call_that_ends_its_callers_scope_is_reported() {
    let zero = || legacy::restore(legacy::Token::zero(ScopeKind::Nofs, legacy::Style::Previous));
    let said = reported(zero);
    assert_eq!(said.last(), Some(&Misuse::ChangedInCall), "{said:?}");
}

#[test]
fn a_permanent_scope_entered_in_a_call_is_no_misuse() {
    assert_eq!(reported(|| enter_permanent(ScopeKind::Noio)), []);
}

#[test]
fn outside_a_world_a_bracket_reports_nothing() {
    Bracket::around(|| core::mem::forget(noio()));
    assert!(context::flags().contains(TaskFlags::MEMALLOC_NOIO));
    context::replace(context::Context::DETACHED);
}
