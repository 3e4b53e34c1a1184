//! One view: what is put off, what counts, and how many cycles are told.

use super::*;

#[test]
fn what_is_taken_under_a_reader_is_known_and_does_not_count_until_a_writer_comes() {
    let mut view = Ordering::default();
    assert!(view.link(0, 1, true, 7).is_empty());
    assert_eq!((view.edge(0, 1), view.counts(0, 1)), (Some(7), false));
    assert!(view.writer(0).is_empty());
    assert_eq!((view.edge(0, 1), view.counts(0, 1), view.has_writer(0)), (Some(7), true, true));
}

#[test]
fn a_writer_makes_what_was_put_off_under_its_own_node_count_and_no_other() {
    let mut view = Ordering::default();
    for node in 0..3 {
        view.link(node, 9, true, node);
    }
    view.writer(1);
    assert_eq!([0, 1, 2].map(|node| view.counts(node, 9)), [false, true, false]);
}

#[test]
fn the_edge_that_was_put_off_is_the_first_that_was_seen() {
    let mut view = Ordering::default();
    view.link(0, 1, true, 7);
    view.link(0, 1, true, 8);
    view.writer(0);
    assert_eq!(view.edge(0, 1), Some(7));
}

#[test]
fn an_edge_that_counts_is_not_put_off_afterwards() {
    let mut view = Ordering::default();
    view.link(0, 1, false, 7);
    view.link(0, 1, true, 8);
    view.link(0, 1, false, 9);
    assert_eq!((view.edge(0, 1), view.put_off.len()), (Some(7), 0));
}

#[test]
fn a_writer_closes_the_cycles_that_were_put_off() {
    let mut view = Ordering::default();
    view.link(0, 1, true, 0);
    view.link(1, 0, false, 1);
    assert_eq!(view.writer(0), [[1, 0]]);
    assert!(view.writer(0).is_empty(), "and those once");
}

#[test]
fn no_more_cycles_are_reported_than_the_bound() {
    let mut view = Ordering::default();
    let pairs = u32::try_from(MAX_CYCLES).unwrap() + 2;
    let told = (0..pairs).map(|pair| {
        view.link(2 * pair, 2 * pair + 1, false, 0);
        view.link(2 * pair + 1, 2 * pair, false, 0).len()
    });
    assert_eq!(told.sum::<usize>(), MAX_CYCLES);
}
