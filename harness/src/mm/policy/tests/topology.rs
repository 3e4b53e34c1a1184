//! Recording a stack: cycles, removal, rebinding, depth.

use reclaimdep_scope::{Depth, Superblock};

use super::super::audit::Story;
use super::super::topology::{NodeKind, Topology};

#[test]
fn an_edge_that_closes_a_cycle_is_an_error_that_names_it() {
    let mut story = Story::default();
    let error = story.stack.depends(story.f, story.w).unwrap_err().to_string();
    assert!(
        error.contains("`f` cannot depend on `w`, which needs `loop over f`, which needs `f`"),
        "{error}"
    );
    let error = story.stack.depends(story.f, story.f).unwrap_err().to_string();
    assert!(error.contains("`f` cannot depend on `f`"), "{error}");
    assert!(!story.stack.reaches(story.f, story.w), "nothing was recorded");
}

#[test]
fn a_part_that_was_not_recorded_is_an_error() {
    let mut story = Story::default();
    let error = story.stack.depends(story.f, Superblock(77)).unwrap_err().to_string();
    assert!(error.contains("not in the topology"), "{error}");
}

#[test]
fn a_part_can_be_removed_when_no_other_needs_it() {
    let mut story = Story::default();
    let error = story.stack.remove(story.g).unwrap_err().to_string();
    assert!(error.contains("`g` cannot be removed: `loop over g` depends on it"), "{error}");
    for part in [story.u.into(), story.loop_g, story.g.into()] {
        story.stack.remove(part).unwrap();
    }
    assert_eq!(story.stack.depth(story.g), Depth::Unknown, "it was removed");
    assert!(story.stack.remove(story.g).is_err(), "it can be removed only once");
}

#[test]
fn a_number_is_never_used_twice() {
    let mut stack = Topology::default();
    let first = stack.add_superblock("a");
    stack.remove(first).unwrap();
    assert_ne!(stack.add_superblock("b"), first);
    stack.add_superblock_as(Superblock(7), "c").unwrap();
    assert!(stack.add_superblock_as(Superblock(7), "d").is_err());
    assert_eq!(stack.add_superblock("e"), Superblock(8));
}

#[test]
fn rebinding_changes_depth_and_reachability_at_once() {
    let mut story = Story::default();
    story.stack.rebind(story.loop_g, story.g, story.w).unwrap();
    assert_eq!(story.stack.depth(story.u), Depth::Known(2));
    assert!(story.stack.reaches(story.u, story.f));
    assert!(!story.stack.reaches(story.u, story.g));
}

#[test]
fn a_binding_that_would_close_a_cycle_changes_nothing() {
    let mut story = Story::default();
    let before = story.stack.clone();
    story.stack.rebind(story.loop_f, story.f, story.w).unwrap_err();
    story.stack.rebind(story.loop_f, story.g, story.u).unwrap_err();
    assert_eq!(story.stack, before);
}

#[test]
fn depth_counts_filesystems_along_the_longest_path() {
    let mut story = Story::default();
    let two = story.attach(story.w, "loop over w");
    let spanning = story.mount(story.disk, "spanning");
    story.stack.depends(spanning, two).unwrap();
    assert_eq!(story.stack.depth(story.f), Depth::Known(0));
    assert_eq!(story.stack.depth(story.w), Depth::Known(1));
    assert_eq!(story.stack.depth(spanning), Depth::Known(2));
    assert_eq!(story.stack.shallow_depth_at(spanning), Depth::Known(0));
    assert_eq!(
        story.stack.depth_on(story.cache),
        Depth::Known(1),
        "a cache over f is deeper than f"
    );
    assert_eq!(story.stack.depth_on(story.f), Depth::Known(1), "so is a swap file in f");
}

#[test]
fn nothing_over_a_server_has_a_known_depth() {
    let mut story = Story::default();
    let server = story.stack.add_node(NodeKind::Server, "fuse daemon");
    let served = story.mount(server, "served");
    let loop_served = story.attach(served, "loop over served");
    let above = story.mount(loop_served, "above");
    assert_eq!(story.stack.depth(served), Depth::Unknown);
    assert_eq!(story.stack.depth(above), Depth::Unknown);
    story.stack.depends(server, story.f).unwrap();
    assert_eq!(story.stack.depth(above), Depth::Unknown, "it may use more than it was seen to use");
}

#[test]
fn two_loop_files_in_one_filesystem_share_it() {
    let mut story = Story::default();
    let second = story.attach(story.f, "second loop over f");
    let x = story.mount(second, "x");
    assert_eq!(story.stack.shared_below(story.w, x), [story.f]);
    assert_eq!(story.stack.shared_below(story.w, story.u), []);
}
