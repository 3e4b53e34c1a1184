//! What production code pays for scopes while its thread is in no world, beside the least that it
//! could.
//!
//! The same in a world that listens stands beside it, for information.

mod rounds;

use std::cell::Cell;
use std::hint::black_box;

use criterion::Criterion;
use reclaimdep::kernel::event::{Event, Names, Observer, Reaction};
use reclaimdep::kernel::sched::Sched;
use reclaimdep::scope::{self, Gfp, Layer};
use rounds::{calls, compare};

thread_local! {
    static WORD: Cell<u32> = const { Cell::new(0) };
}

const MASKS: [Gfp; 4] = [Gfp::KERNEL, Gfp::NOFS, Gfp::NOIO, Gfp::ATOMIC];

fn mask(n: u32) -> Gfp {
    black_box(MASKS[n as usize % 4])
}

fn nofs(n: u32) {
    let guard = scope::nofs();
    black_box(&n);
    drop(guard);
}

fn layer(n: u32) {
    let guard = scope::enter(Layer::FS, n);
    black_box(&n);
    drop(guard);
}

fn effective(n: u32) {
    black_box(scope::effective(mask(n)));
}

/// The compiler must not see that nobody else looks at the word: ours is another crate's.
fn get_set(n: u32) {
    WORD.with(|word| {
        let word = black_box(word);
        word.set(word.get() ^ n);
    });
    black_box(&n);
}

fn load(n: u32) {
    black_box(WORD.get() & n);
}

fn load_and(n: u32) {
    black_box(WORD.get() & u32::from(mask(n).allow_blocking()));
}

fn in_no_world(criterion: &mut Criterion) {
    compare(
        criterion,
        "scope",
        &mut [
            ("thread-local-get-set", &mut || calls(get_set)),
            ("enter-exit", &mut || calls(nofs)),
            ("thread-local-load", &mut || calls(load)),
            ("layer", &mut || calls(layer)),
            ("thread-local-load-and", &mut || calls(load_and)),
            ("effective", &mut || calls(effective)),
            ("effective-in-scope", &mut || {
                let _nofs = scope::nofs();
                calls(effective);
            }),
        ],
        &[
            ("enter-exit", "thread-local-get-set", 200),
            ("layer", "thread-local-load", 200),
            ("effective", "thread-local-load-and", 200),
            ("effective-in-scope", "thread-local-load-and", 200),
        ],
    );
}

/// Sees everything and keeps nothing.
struct Deaf;

impl Observer for Deaf {
    fn observe(&mut self, _: &Event, _: &Names) -> Reaction {
        Reaction::Go
    }
}

fn in_a_world(criterion: &mut Criterion) {
    let sched = Sched::native(1, Box::new(Deaf));
    let _task = sched.adopt("bench");
    compare(
        criterion,
        "scope-in-world",
        &mut [
            ("enter-exit", &mut || calls(nofs)),
            ("layer", &mut || calls(layer)),
            ("effective", &mut || calls(effective)),
        ],
        &[],
    );
}

fn main() {
    rounds::run(&[in_no_world, in_a_world]);
}
