//! The table of token generations, row by row: the flag word of each kernel, and the misuses that
//! the record stack reports.

use crate::legacy::{Style, Token, restore, restore_as, save};
use crate::testing::{Attached, misuses};
use crate::*;

/// Runs a sequence of `S1`, `R1`, ... (save and restore of level 1; `R0` restores a zeroed token)
/// in one kind. Returns the flag after each step and the reported misuses, in order, followed by
/// one for each scope that is still open at the end.
fn replay(sequence: &str, style: Style) -> (String, Vec<Misuse>) {
    let _task = Attached::new(1, TaskFlags::EMPTY);
    let mut tokens = [Token::zero(ScopeKind::Nofs, style); 4];
    let mut flags = String::new();
    for step in sequence.split(' ') {
        let level: usize = step[1..].parse().unwrap();
        match &step[..1] {
            "S" => tokens[level] = save(ScopeKind::Nofs, style),
            _ => restore(tokens[level]),
        }
        flags.push(if context::flags().contains(TaskFlags::MEMALLOC_NOFS) { '1' } else { '0' });
    }
    let mut said = misuses();
    said.extend(context::scopes().map(|_| Misuse::LeakedAtExit));
    (flags, said)
}

#[test]
fn the_flag_behaves_as_in_each_kernel_and_the_misuses_are_reported() {
    use Misuse::*;
    for (sequence, old, new, expect) in [
        ("S1 S2 R2 R1", "1110", "1110", &[][..]),
        ("S1 S2 R1 R2", "1101", "1100", &[OutOfOrder]),
        // The inner scope was forgotten: harmless by luck, but leaked.
        ("S1 S2 R1", "110", "110", &[OutOfOrder, LeakedAtExit]),
        // The outer scope was forgotten: the flag stays set for the task's life.
        ("S1 S2 R2", "111", "111", &[LeakedAtExit]),
        // The first token is used again and cuts the second scope short.
        ("S1 R1 S2 R1", "1010", "1010", &[Stale, LeakedAtExit]),
        ("S1 R0", "10", "11", &[ZeroToken, LeakedAtExit]),
    ] {
        for (style, flags) in [(Style::Previous, old), (Style::NewlySet, new)] {
            let (seen, said) = replay(sequence, style);
            assert_eq!(seen, flags, "{sequence} with {style:?}");
            let said: Vec<Misuse> = said.into_iter().filter(|what| *what != WordDiffers).collect();
            assert_eq!(said, expect, "{sequence} with {style:?}");
        }
    }
}

#[test]
fn a_flag_that_follows_from_no_scope_is_reported() {
    // The inner part runs unprotected. That the older tokens then leak the flag is not reported
    // again.
    for style in [Style::Previous, Style::NewlySet] {
        assert_eq!(replay("S1 S2 R1 R2", style).1, [Misuse::OutOfOrder, Misuse::WordDiffers]);
    }
    assert_eq!(
        replay("S1 R0", Style::Previous).1,
        [Misuse::ZeroToken, Misuse::WordDiffers, Misuse::LeakedAtExit]
    );
}

/// Saves nofs, then noio, and restores nofs first; returns the flags after each restore.
fn interleaved(style: Style) -> ([TaskFlags; 2], Vec<Misuse>) {
    let _task = Attached::new(1, TaskFlags::EMPTY);
    let fs = save(ScopeKind::Nofs, style);
    let io = save(ScopeKind::Noio, style);
    let mut after = [TaskFlags::EMPTY; 2];
    for (flags, token) in after.iter_mut().zip([fs, io]) {
        restore(token);
        *flags = context::flags();
    }
    (after, misuses())
}

#[test]
fn different_flags_interleave_unless_the_whole_word_is_restored() {
    let (nofs, noio, none) = (TaskFlags::MEMALLOC_NOFS, TaskFlags::MEMALLOC_NOIO, TaskFlags::EMPTY);
    assert_eq!(interleaved(Style::Previous), ([noio, none], vec![]));
    assert_eq!(interleaved(Style::NewlySet), ([noio, none], vec![]));
    // Both are lost after the first restore, and nofs leaks after the second.
    let differs = Misuse::WordDiffers;
    assert_eq!(interleaved(Style::WholeWord), ([none, nofs], vec![differs]));
}

#[test]
fn restoring_a_whole_word_overwrites_bits_that_changed_in_between() {
    let _task = Attached::new(1, TaskFlags::EMPTY);
    let token = save(ScopeKind::Noio, Style::WholeWord);
    let kswapd = become_kswapd();
    restore(token);
    assert_eq!((context::flags(), misuses()), (TaskFlags::EMPTY, vec![Misuse::WordDiffers]));
    drop(kswapd);
    assert_eq!((context::flags(), misuses()), (TaskFlags::EMPTY, vec![]));
}

#[test]
fn a_token_passed_to_the_restore_of_another_kind_is_reported() {
    for (style, nested, expect) in [
        (Style::Previous, false, TaskFlags::MEMALLOC_NOFS),
        (Style::Previous, true, TaskFlags::MEMALLOC_NOFS),
        (Style::NewlySet, false, TaskFlags::EMPTY),
        (Style::NewlySet, true, TaskFlags::MEMALLOC_NOFS),
    ] {
        let _task = Attached::new(1, TaskFlags::EMPTY);
        let _outer = nested.then(nofs);
        let token = save(ScopeKind::Nofs, style);
        restore_as(ScopeKind::Noio, token);
        assert_eq!(context::flags(), expect, "{style:?}, nested {nested}");
        assert_eq!(misuses()[0], Misuse::WrongKind);
        assert!(
            context::scopes().any(|scope| scope.seq == if nested { 2 } else { 1 }),
            "it is still open"
        );
    }
}

/// Task A saves (inside another scope if `nested`); task B, inside its own scope if `own`, restores
/// A's token. Returns A's and B's flag after that, and the misuses reported for B.
fn across(style: Style, nested: bool, own: bool) -> (bool, bool, Vec<Misuse>) {
    let set = || context::flags().contains(TaskFlags::MEMALLOC_NOFS);
    let a = Attached::new(1, TaskFlags::EMPTY);
    let _outer = nested.then(|| save(ScopeKind::Nofs, style));
    let token = save(ScopeKind::Nofs, style);
    let (b_set, told) = {
        let _b = Attached::new(2, TaskFlags::EMPTY);
        let _own = own.then(|| save(ScopeKind::Nofs, style));
        restore(token);
        (set(), misuses())
    };
    let a_set = set();
    drop(a);
    (a_set, b_set, told)
}

#[test]
fn restoring_a_token_of_another_task_unprotects_one_task_and_leaks_on_the_other() {
    for style in [Style::Previous, Style::NewlySet] {
        // B loses its protection while inside its own scope; A leaks for ever.
        let (a, b, told) = across(style, false, true);
        assert_eq!((a, b, told[0]), (true, false, Misuse::OtherTask), "{style:?}");
    }
    // A was nested, so its token says "was set": B, which is in no scope, keeps the flag for life.
    let (_, b, told) = across(Style::Previous, true, false);
    assert_eq!((b, told), (true, vec![Misuse::OtherTask, Misuse::WordDiffers]));
    // The newer token of a nested save is empty: B is unaffected.
    let (_, b, told) = across(Style::NewlySet, true, false);
    assert_eq!((b, told), (false, vec![Misuse::OtherTask]));
}

#[test]
fn outside_a_world_the_word_behaves_the_same_and_nothing_is_reported() {
    let token = save(ScopeKind::Nofs, Style::Previous);
    assert_eq!(effective(Gfp::KERNEL), Gfp::NOFS);
    restore(token);
    restore(token);
    assert_eq!(context::flags(), TaskFlags::EMPTY);
}
