//! What a hit and a miss in the buffer cache cost, beside caches that do nothing else.
//!
//! A hit is `get` and release: a hold is taken and CLOCK's bit is set. All blocks are in all
//! caches, and all see the same blocks in the same order: uniform, or by Zipf's law with exponent
//! 0.99. Where two threads hit, they share a turn's hits; both stand ready before it begins.

mod caches;
mod rounds;

use std::cell::Cell;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use caches::{BLOCK, Cached, Caches, Ours, Quick};
use criterion::Criterion;
use rounds::compare;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Blocks in the caches: 64 MiB.
const BLOCKS: u64 = 1 << 14;
/// Keys that are drawn ahead, used round and round.
const KEYS: usize = 1 << 20;
/// Misses in one turn: a turn of as many calls as there are hits would take milliseconds.
const MISSES: u64 = 1_000;
/// Buffers where misses are measured: 256 KiB, which a processor's own cache holds.
const RESIDENT: u64 = 1 << 6;
/// The same where it does not: 16 MiB. Which block goes decides then whether its memory is near.
const LARGE: u64 = 1 << 12;
/// Blocks that are missed one after the other; each is long gone when it comes again.
const MISSED: u64 = 1 << 20;
const TURNS: usize = 200;
/// Hits of one of two threads in one turn: so few that on a busy machine both threads run through
/// many a turn.
const SHARE: usize = 2_000;

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn uniform() -> Vec<u64> {
    let mut state = 1;
    (0..KEYS).map(|_| random(&mut state) % BLOCKS).collect()
}

/// By Zipf's law: the block of rank n with a frequency of `n^-0.99`. Ranks are spread over the
/// blocks.
fn zipf() -> Vec<u64> {
    let mut sum = 0.0;
    let mut below = Vec::new();
    for rank in 1..=BLOCKS {
        sum += (rank as f64).powf(-0.99);
        below.push(sum);
    }
    let mut state = 2;
    let mut draw = || {
        let at = random(&mut state) as f64 / u64::MAX as f64 * sum;
        let rank = below.partition_point(|below| *below < at) as u64;
        (rank * 0x9E37_79B1) % BLOCKS
    };
    (0..KEYS).map(|_| draw()).collect()
}

/// Keys, and where each thread stands in them.
struct Keys {
    keys: Vec<u64>,
    at: [AtomicUsize; 2],
}

impl Keys {
    fn new(keys: Vec<u64>) -> Self {
        Self { keys, at: [AtomicUsize::new(0), AtomicUsize::new(KEYS / 2)] }
    }

    /// The next `count` keys of a thread.
    fn next(&self, thread: usize, count: usize) -> &[u64] {
        let mut at = self.at[thread].load(Ordering::Relaxed);
        if at + count > KEYS {
            at = 0;
        }
        self.at[thread].store(at + count, Ordering::Relaxed);
        &self.keys[at..at + count]
    }
}

fn hits(cache: &impl Cached, keys: &[u64]) {
    let missed = keys.iter().filter(|block| !cache.hit(**block)).count();
    assert_eq!(missed, 0, "every block is in every cache");
}

fn turn(cache: &impl Cached, keys: &Keys) {
    hits(cache, keys.next(0, 2 * SHARE));
}

fn one_thread(criterion: &mut Criterion, group: &str, keys: Vec<u64>) {
    let (Caches { ours, quick, moka, foyer }, keys) = (Caches::filled(BLOCKS), Keys::new(keys));
    compare(
        criterion,
        group,
        &mut [
            ("bufio", &mut || turn(&ours.client, &keys)),
            ("quick_cache", &mut || turn(&quick, &keys)),
            ("moka", &mut || turn(&moka, &keys)),
            ("foyer-memory", &mut || turn(&foyer, &keys)),
        ],
        &["quick_cache", "moka", "foyer-memory"].map(|other| ("bufio", other, TURNS)),
    );
}

/// A second thread that does its half of each turn.
struct Second<'a> {
    /// What it is to do, from 1; 0 is nothing, and it spins.
    job: AtomicUsize,
    ready: AtomicBool,
    done: AtomicBool,
    jobs: Vec<Box<dyn Fn() + Sync + 'a>>,
}

impl Second<'_> {
    /// Does job `job` here while `first` runs in the caller.
    fn beside(&self, job: usize, first: impl FnOnce()) {
        self.ready.store(false, Ordering::Relaxed);
        self.done.store(false, Ordering::Relaxed);
        self.job.store(job, Ordering::Release);
        until(|| self.ready.load(Ordering::Acquire));
        first();
        until(|| self.done.load(Ordering::Acquire));
    }

    fn run(&self) {
        loop {
            until(|| self.job.load(Ordering::Acquire) != 0);
            let job = self.job.swap(0, Ordering::Acquire);
            if job == usize::MAX {
                return;
            }
            self.ready.store(true, Ordering::Release);
            self.jobs[job - 1]();
            self.done.store(true, Ordering::Release);
        }
    }
}

/// Two processors, and all. Threads that wait for each other end up on one processor otherwise
/// where the others are busy.
fn processors() -> [CpuSet; 3] {
    let all = sched_getaffinity(None).expect("we run somewhere");
    let mut ours = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
    let mut one = || {
        let mut set = CpuSet::new();
        set.set(ours.next().expect("two threads need two processors"));
        set
    };
    [one(), one(), all]
}

/// Waits for the other thread; where that one does not run at all, makes room for it.
fn until(condition: impl Fn() -> bool) {
    let mut tries = 0_u32;
    while !condition() {
        tries += 1;
        if tries.is_multiple_of(4096) { std::thread::yield_now() } else { std::hint::spin_loop() }
    }
}

fn half(cache: &impl Cached, keys: &Keys, thread: usize) {
    hits(cache, keys.next(thread, SHARE));
}

fn two_threads(criterion: &mut Criterion, group: &str, keys: Vec<u64>) {
    let (Caches { ours, quick, moka, foyer }, keys) = (Caches::filled(BLOCKS), Keys::new(keys));
    let second = Second {
        job: AtomicUsize::new(0),
        ready: AtomicBool::new(false),
        done: AtomicBool::new(false),
        jobs: vec![
            Box::new(|| half(&ours.client, &keys, 1)),
            Box::new(|| half(&quick, &keys, 1)),
            Box::new(|| half(&moka, &keys, 1)),
            Box::new(|| half(&foyer, &keys, 1)),
        ],
    };
    let [first_one, second_one, both] = processors();
    std::thread::scope(|scope| {
        sched_setaffinity(None, &first_one).expect("a processor of our own");
        scope.spawn(|| {
            sched_setaffinity(None, &second_one).expect("a processor of our own");
            let _task = ours.sched.adopt("second");
            second.run();
        });
        compare(
            criterion,
            group,
            &mut [
                ("bufio", &mut || second.beside(1, || half(&ours.client, &keys, 0))),
                ("quick_cache", &mut || second.beside(2, || half(&quick, &keys, 0))),
                ("moka", &mut || second.beside(3, || half(&moka, &keys, 0))),
                ("foyer-memory", &mut || second.beside(4, || half(&foyer, &keys, 0))),
                ("alone", &mut || turn(&ours.client, &keys)),
            ],
            &["quick_cache", "moka", "foyer-memory", "alone"]
                .map(|other| ("bufio", other, 3 * TURNS)),
        );
        second.job.store(usize::MAX, Ordering::Release);
        sched_setaffinity(None, &both).expect("the processors that we had");
    });
}

fn hit(criterion: &mut Criterion) {
    one_thread(criterion, "hit-uniform", uniform());
    one_thread(criterion, "hit-zipf", zipf());
    two_threads(criterion, "hit-uniform-2", uniform());
    two_threads(criterion, "hit-zipf-2", zipf());
}

/// Both sides bring in a block of 4 KiB and let another block go. `new` is what the caches do:
/// nobody fills the block. `filled` is filled by who asks for it, as the other cache's value is;
/// `read` gets its bytes from a device in memory, through a request.
fn misses(criterion: &mut Criterion, group: &str, resident: u64) {
    let capacity = usize::try_from(resident).expect("a size");
    let ours = Ours::new(MISSED, resident);
    let client = &ours.client;
    let quick = Quick::new(capacity);
    let blank = quick_cache::sync::Cache::<u64, Arc<MaybeUninit<[u8; BLOCK]>>>::new(capacity);
    let made = Cell::new(0);
    let [mut read, mut inserted, mut blanks] = [0, 0, 0];
    let next = |at: &mut u64| {
        *at = (*at + 1) % MISSED;
        black_box(*at)
    };
    // The other half of the blocks: none of those that were just read.
    let other = || {
        made.set((made.get() + 1) % MISSED);
        black_box((made.get() + MISSED / 2) % MISSED)
    };
    compare(
        criterion,
        group,
        &mut [
            ("new", &mut || {
                for _ in 0..MISSES {
                    drop(black_box(client.new_block(other()).expect("there is memory")));
                }
            }),
            ("filled", &mut || {
                for _ in 0..MISSES {
                    let buffer = client.new_block(other()).expect("there is memory");
                    buffer.with_data_mut(|data| data.fill(black_box(1)));
                }
            }),
            ("read", &mut || {
                for _ in 0..MISSES {
                    drop(black_box(client.read(next(&mut read)).expect("memory does not fail")));
                }
            }),
            ("quick_cache", &mut || {
                for _ in 0..MISSES {
                    blank.insert(next(&mut blanks), Arc::new_uninit());
                }
            }),
            ("quick_cache-filled", &mut || {
                for _ in 0..MISSES {
                    quick.insert(next(&mut inserted), Arc::new([black_box(1); BLOCK]));
                }
            }),
        ],
        &[
            ("new", "quick_cache", TURNS),
            ("filled", "quick_cache-filled", TURNS),
            ("read", "quick_cache-filled", TURNS),
        ],
    );
    let kept = [client.buffers(), quick.len() as u64, blank.len() as u64];
    assert!(kept.iter().all(|kept| *kept <= resident), "none keeps more: {kept:?}");
}

fn miss(criterion: &mut Criterion) {
    misses(criterion, "miss", RESIDENT);
    misses(criterion, "miss-large", LARGE);
}

fn main() {
    rounds::run(&[miss, hit]);
}
