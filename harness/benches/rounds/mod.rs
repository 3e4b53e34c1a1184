//! Things that are compared, measured in turn.
//!
//! A machine is faster now and slower then, and a ratio of two numbers that were measured seconds
//! apart says little about a few percent. So a comparison times both sides in turn, well below a
//! millisecond each, many times, and takes the ratio of the fastest turns: what disturbs a turn
//! only ever slows it. criterion gets that ratio as a time, one millisecond for 1, and takes the
//! median of several.
#![expect(clippy::disallowed_methods, reason = "real time is what is measured")]
#![allow(dead_code, reason = "each bench uses a part")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};

/// Calls in one turn: what the clock and the loop cost is nothing beside them.
pub(crate) const CALLS: u32 = 10_000;

/// One competitor: its name, and what is timed.
pub(crate) type Competitor<'a> = (&'static str, &'a mut dyn FnMut());

/// Which competitors are compared: the first against the second, in so many turns.
pub(crate) type Comparison = (&'static str, &'static str, usize);

/// Runs every group, as `cargo bench` asks.
pub(crate) fn run(groups: &[fn(&mut Criterion)]) {
    let mut criterion = Criterion::default().configure_from_args();
    groups.iter().for_each(|group| group(&mut criterion));
    criterion.final_summary();
}

/// Measures each competitor by itself (`GROUP/NAME`), then each comparison (`GROUP/FIRST/SECOND`).
pub(crate) fn compare(
    criterion: &mut Criterion,
    group: &str,
    competitors: &mut [Competitor<'_>],
    comparisons: &[Comparison],
) {
    let mut group = criterion.benchmark_group(group);
    group.warm_up_time(Duration::from_millis(20)).measurement_time(Duration::from_millis(80));
    // The spread is not what is asked for: few resamples.
    group.sample_size(10).nresamples(1_000);
    for (name, timed) in &mut *competitors {
        group.bench_function(*name, |bencher| bencher.iter(&mut *timed));
    }
    for comparison in comparisons {
        measure(&mut group, competitors, *comparison);
    }
    group.finish();
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    competitors: &mut [Competitor<'_>],
    (first, second, turns): Comparison,
) {
    let place =
        |name| competitors.iter().position(|(known, _)| *known == name).expect("it competes");
    let places = [place(first), place(second)];
    let [first_one, second_one] = competitors.get_disjoint_mut(places).expect("two different ones");
    let (mut first_turn, mut second_turn) =
        (|| timed(&mut first_one.1), || timed(&mut second_one.1));
    ratio(group, [first, second], turns, &mut first_turn, &mut second_turn);
}

/// One side of a comparison, which says how long the part of it took that counts.
pub(crate) type Turn<'a> = &'a mut dyn FnMut() -> Duration;

/// Measures `GROUP/FIRST/SECOND` of two sides that know what is to be timed of them.
pub(crate) fn ratio(
    group: &mut BenchmarkGroup<'_, WallTime>,
    [first, second]: [&str; 2],
    turns: usize,
    first_turn: Turn<'_>,
    second_turn: Turn<'_>,
) {
    group.warm_up_time(Duration::from_millis(20)).measurement_time(Duration::from_millis(80));
    // The spread is not what is asked for: few resamples.
    group.sample_size(10).nresamples(1_000);
    group.bench_function(BenchmarkId::new(first, second), |bencher| {
        bencher.iter_custom(|iterations| {
            let mut fastest = [f64::INFINITY; 2];
            for _ in 0..turns {
                fastest[0] = fastest[0].min(first_turn().as_secs_f64());
                fastest[1] = fastest[1].min(second_turn().as_secs_f64());
            }
            Duration::from_secs_f64(iterations as f64 * 1e-3 * fastest[0] / fastest[1])
        });
    });
}

/// How long a call takes.
pub(crate) fn timed(call: impl FnOnce()) -> Duration {
    let start = Instant::now();
    call();
    start.elapsed()
}

/// Makes `call` [`CALLS`] times with numbers that the compiler does not foresee.
pub(crate) fn calls(mut call: impl FnMut(u32)) {
    (0..CALLS).for_each(|n| call(black_box(n)));
}
