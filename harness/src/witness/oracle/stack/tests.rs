//! The bound of what is kept of a stack.

use super::*;

#[test]
fn parts_and_targets_beyond_the_bound_are_not_kept() {
    let mut stack = Stack::default();
    for part in (0..).map(PartId).take(MAX_PARTS + 1) {
        stack.take(Fact::Part { part, kind: PartKind::Device });
        stack.take(Fact::Target {
            target: ReclaimTarget::Swap(part),
            part,
            waits: MayWait::WithIo,
        });
    }
    assert_eq!((stack.parts.len(), stack.targets.len()), (MAX_PARTS, MAX_PARTS));
}
