//! Classes, levels and bounds of nodes.

use super::*;

#[track_caller]
fn check(kind: NodeKind, name: &str, class: &str) {
    assert_eq!(Node::named(kind, name, 0).class, class);
}

#[test]
fn the_class_is_what_the_name_begins_with() {
    check(NodeKind::Requests, "loop0", "loop");
    check(NodeKind::Requests, "disk:lower", "disk");
    check(NodeKind::Requests, "fuse/1", "fuse");
    check(NodeKind::Requests, "0", "0");
    check(NodeKind::Work, "dm_bufio_cache", "dm_bufio_cache");
    check(NodeKind::Exit, "kworker/loop0", "kworker/loop0");
}

#[test]
fn the_levels_are_those_that_the_mask_permits() {
    use Level::{Any, Fs, Io};
    assert_eq!(Level::permitted(Gfp::KERNEL), [Any, Io, Fs]);
    assert_eq!(Level::permitted(Gfp::NOFS), [Any, Io]);
    assert_eq!(Level::permitted(Gfp::NOIO), [Any]);
    assert_eq!(Level::permitted(Gfp::KERNEL - Gfp::IO), [Any]);
    assert_eq!(Level::permitted(Gfp::NOWAIT), []);
}

#[test]
fn no_more_nodes_are_kept_than_the_bound() {
    let mut nodes = Nodes::default();
    let node = |nth| Node::named(NodeKind::Work, "wq", u32::try_from(nth).unwrap());
    assert!((0..MAX_NODES).all(|nth| nodes.id(node(nth)).is_some()));
    assert_eq!(nodes.id(node(MAX_NODES)), None);
    assert_eq!(nodes.id(node(3)), Some(3), "those that are known are known");
}
