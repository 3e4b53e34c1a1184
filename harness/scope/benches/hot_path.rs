//! What production code pays for scopes while its thread is in no world, as ratios in one run.
//!
//! `cargo bench -p reclaimdep-scope` fails where a ratio is beyond its bound. Times are the least of many
//! rounds and ratios the least of a few attempts, so a busy machine costs time and not the verdict.
#![expect(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::cell::Cell;
use std::hint::black_box;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use reclaimdep_scope::{self as scope, Gfp, Layer};

const ATTEMPTS: usize = 7;
const ROUNDS: usize = 20;
const CALLS: u32 = 200_000;

thread_local! {
    static WORD: Cell<u32> = const { Cell::new(0) };
}

/// Nanoseconds for one call.
fn time(mut call: impl FnMut(u32)) -> f64 {
    let round = |_| {
        let start = Instant::now();
        (0..CALLS).for_each(&mut call);
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

struct Row {
    what: &'static str,
    ours: f64,
    theirs: f64,
    bound: f64,
}

fn rows() -> [Row; 4] {
    // The compiler must not see that nobody else looks at the word: ours is another crate's.
    let pair = time(|n| {
        WORD.with(|word| {
            let word = black_box(word);
            word.set(word.get() ^ n);
        });
        black_box(&n);
    });
    let load = time(|n| {
        black_box(WORD.get() & n);
    });
    let masks = [Gfp::KERNEL, Gfp::NOFS, Gfp::NOIO, Gfp::ATOMIC];
    let mask = |n: u32| black_box(masks[n as usize % 4]);
    let scope = time(|n| {
        let guard = scope::nofs();
        black_box(&n);
        drop(guard);
    });
    let layer = time(|n| {
        let guard = scope::enter(Layer::FS, n);
        black_box(&n);
        drop(guard);
    });
    let effective = time(|n| {
        black_box(scope::effective(mask(n)));
    });
    let masked = time(|n| {
        black_box(WORD.get() & u32::from(mask(n).allow_blocking()));
    });
    let within = {
        let _nofs = scope::nofs();
        time(|n| {
            black_box(scope::effective(mask(n)));
        })
    };
    [
        Row {
            what: "enter and leave a scope / get and set a thread-local",
            ours: scope,
            theirs: pair,
            bound: 2.0,
        },
        Row { what: "enter and leave a layer / load a thread-local", ours: layer, theirs: load, bound: 2.0 },
        Row {
            what: "effective mask / load a thread-local and and",
            ours: effective,
            theirs: masked,
            bound: 1.5,
        },
        Row { what: "effective mask in a scope / the same", ours: within, theirs: masked, bound: 2.5 },
    ]
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours / self.theirs
    }
}

fn main() -> ExitCode {
    let mut best = rows();
    for _ in 1..ATTEMPTS {
        for (best, row) in best.iter_mut().zip(rows()) {
            if row.ratio() < best.ratio() {
                *best = row;
            }
        }
    }
    let mut out = std::io::stdout();
    let mut within = true;
    for row in best {
        let ratio = row.ratio();
        within &= ratio <= row.bound;
        let verdict = if ratio <= row.bound { "within" } else { "BEYOND" };
        let Row { what, ours, theirs, bound } = row;
        let line = format!("{what}: {ours:.2} ns / {theirs:.2} ns = {ratio:.2}, {verdict} {bound}");
        if writeln!(out, "{line}").is_err() {
            return ExitCode::FAILURE;
        }
    }
    if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
