//! The table of policies, what policies need to know, and the docs that repeat both.

use expect_test::expect;

use super::super::audit::Story;
use super::super::audit::comparison::{self, rows};
use super::super::audit::measure::{self, SHAPES, STACKS};
use super::super::{
    Holder, Policy, ReclaimContextKnobs, ReclaimContextPolicy, StackingData, SwapPlace, Target,
    Topology, Waits,
};

const DOCS: &str = include_str!("../../../../docs/policies.md");

#[test]
fn the_table_shows_the_decisions_of_the_policies() {
    expect![[r#"
        | policy | wait | worker | other filesystems from NOFS | swap from NOFS | needs to know |
        |---|---|---|---|---|---|
        | mainline, shrinker tests IO | deadlock | ok with worker NOIO | denied | yes, unsafe over loop | nothing |
        | mainline, shrinker tests FS | ok | ok with worker NOFS | denied | yes, unsafe over loop | nothing |
        | mainline, shrinker never waits | ok | ok | denied | yes, unsafe over loop | nothing |
        | join | ok | ok with worker NOFS | denied | no | nothing |
        | join+only-swap-io, any area | ok | ok with worker NOFS | denied | yes, unsafe over loop or file | nothing |
        | join+only-swap-io | ok | ok with worker NOFS | denied | yes if plain | swap areas |
        | reclaim-context, caches uncovered | deadlock | ok with worker NOIO | allowed at equal depth | yes if plain | depths |
        | reclaim-context | ok | ok with worker NOFS | allowed at equal depth | yes if plain | depths |
        | oracle | ok | ok | allowed if independent | yes if independent | everything |
    "#]]
    .assert_eq(&comparison::table());
}

#[test]
fn the_docs_show_the_table_and_the_measurement_that_the_example_prints() {
    assert!(
        DOCS.contains(&comparison::table()),
        "docs/policies.md: the table of policies is out of date"
    );
    let depths = measure::table(&ReclaimContextPolicy::default(), SHAPES, STACKS);
    assert!(DOCS.contains(&depths), "docs/policies.md: the measurement is out of date");
}

#[test]
fn the_docs_have_a_row_for_each_knob_with_its_decision() {
    for row in ReclaimContextKnobs::TABLE {
        assert!(DOCS.contains(&row.to_string()), "docs/policies.md lacks:\n{row}");
    }
}

/// The decisions on every kind of target for one holder.
fn decisions(
    policy: &dyn Policy,
    story: &Story,
    stack: &Topology,
    waits: Waits,
    swap: bool,
) -> Vec<bool> {
    let contexts = [story.context(story.f)];
    let holder = Holder::in_contexts(&contexts);
    let superblocks = [story.f, story.g, story.u, story.w];
    let places = [story.disk, story.loop_f, story.loop_g];
    let mut targets: Vec<Target> = superblocks.map(Target::Superblock).to_vec();
    targets.extend(superblocks.map(Target::FilePage));
    targets.push(Target::Shrinker { node: story.cache, waits });
    if swap {
        targets.extend(places.map(|place| Target::SwapPage(SwapPlace::Device(place))));
    }
    targets.iter().map(|target| policy.permits(&holder, target, stack)).collect()
}

/// The same parts, and no edge between them.
fn without_edges(stack: &Topology) -> Topology {
    let mut bare = Topology::default();
    for node in stack.nodes() {
        bare.add_node(node.kind(), stack.name(node));
    }
    bare
}

#[test]
fn a_policy_depends_only_on_the_stacking_data_that_it_declares() {
    let story = Story::default();
    let bare = without_edges(&story.stack);
    for row in rows() {
        let on = |stack, swap| decisions(&*row.policy, &story, stack, row.waits, swap);
        let needs = row.policy.needs();
        let same_but_swap = on(&story.stack, false) == on(&bare, false);
        let same = on(&story.stack, true) == on(&bare, true);
        assert_eq!(same_but_swap, needs <= StackingData::Swap, "{}", row.label);
        assert_eq!(same, needs == StackingData::Nothing, "{}", row.label);
    }
}

#[test]
fn the_depth_rule_depends_only_on_depths_and_the_oracle_does_not() {
    // `u` over the loop device of `w`, and `w` over that over `g`: every depth stays the same.
    let story = Story::default();
    let mut crossed = story.stack.clone();
    crossed.rebind(story.u, story.loop_g, story.loop_f).unwrap();
    crossed.rebind(story.w, story.loop_f, story.loop_g).unwrap();
    for row in rows() {
        let on = |stack| decisions(&*row.policy, &story, stack, row.waits, true);
        let same = on(&story.stack) == on(&crossed);
        assert_eq!(same, row.policy.needs() != StackingData::Graph, "{}", row.label);
    }
}
