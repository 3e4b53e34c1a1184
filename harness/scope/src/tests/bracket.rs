//! Brackets: what a callback may do to its caller's flag word, and what it may not.

use crate::testing::{Attached, misuses};
use crate::*;

/// What is told of a call in a NOFS scope.
fn told(call: impl FnOnce()) -> Vec<Misuse> {
    let _task = Attached::new(1, TaskFlags::EMPTY);
    let outer = legacy::save(ScopeKind::Nofs, legacy::Style::NewlySet);
    Bracket::around(call);
    // What is told of the outer scope's end is not the bracket's.
    let said = misuses();
    legacy::restore(outer);
    said
}

#[test]
fn a_call_that_leaves_what_it_entered_is_nothing() {
    assert_eq!(told(|| drop((noio(), pin()))), []);
    assert_eq!(told(|| ()), []);
}

#[test]
fn a_scope_that_a_call_forgot_is_told_by_name() {
    assert_eq!(told(|| core::mem::forget(noio())), [Misuse::LeakedPastCall]);
}

#[test]
fn a_second_scope_of_the_same_kind_changes_no_word() {
    assert_eq!(told(|| core::mem::forget(nofs())), []);
}

#[test]
fn a_call_that_ends_its_callers_scope_is_told() {
    let zero = || legacy::restore(legacy::Token::zero(ScopeKind::Nofs, legacy::Style::Previous));
    let said = told(zero);
    assert_eq!(said.last(), Some(&Misuse::ChangedInCall), "{said:?}");
}

#[test]
fn a_scope_for_the_tasks_life_is_declared() {
    assert_eq!(told(|| enter_permanent(ScopeKind::Noio)), []);
}

#[test]
fn outside_a_world_there_is_nobody_to_tell() {
    Bracket::around(|| core::mem::forget(noio()));
    assert!(context::flags().contains(TaskFlags::MEMALLOC_NOIO));
    context::replace(context::Context::DETACHED);
}
