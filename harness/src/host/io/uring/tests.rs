//! A ring that breaks, and what becomes of its requests.
#![expect(unsafe_code, reason = "a ring is broken under its owner")]

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::super::requests::Options;
use super::super::try_uring;
use super::*;
use crate::block::Bio;
use crate::sched::{Adopted, Sched, SpinLock};
use crate::units::Sectors;

/// Outcomes by sector.
type Outcomes = Arc<SpinLock<Vec<(u64, Result<(), Errno>)>>>;

/// A world that nobody observes, and requests of a device in it.
fn requests() -> (Sched, Adopted, Requests) {
    let sched = Sched::unobserved(1);
    let task = sched.adopt("main");
    let options = Options { sectors: Sectors(1 << 10), serves: true, trouble: |_, _| None };
    let requests = Requests::new(&sched, "vda", options);
    (sched, task, requests)
}

/// Submits a write of 4 KiB to each of these sectors.
fn submit(requests: &Requests, sectors: &[u64]) -> Outcomes {
    let outcomes = Outcomes::default();
    for sector in sectors.iter().copied() {
        let outcomes = Arc::clone(&outcomes);
        let end_io = Box::new(move |_, outcome| outcomes.lock().push((sector, outcome)));
        requests.submit(Bio::new(Op::Write, Sectors(sector), vec![0; 4096], end_io));
    }
    outcomes
}

/// A ring for one batch in flight, where one can be had.
fn ring() -> Option<Ring> {
    match try_uring() {
        Ok(()) => Some(Ring::open(1).expect("one was open before")),
        Err(missing) => {
            drop(writeln!(io::stderr(), "SKIPPED: io_uring: {missing}"));
            None
        }
    }
}

#[test]
fn a_ring_that_breaks_fails_what_it_has_and_what_waits_and_says_so() {
    // Not this one: a ring belongs to the thread that made it.
    if ring().is_none() {
        return;
    }
    let (_sched, _task, requests) = requests();
    // One that the ring has, and two for which it has no room.
    let outcomes = submit(&requests, &[0, 64, 128]);
    let device = File::open("/dev/null").expect("there is one");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let ring = Ring::open(1).expect("one was open before");
            // SAFETY: both are open; the number stays the ring's own, which closes whatever it
            // stands for.
            let same = unsafe { libc::dup2(device.as_raw_fd(), ring.ring.as_raw_fd()) };
            assert_eq!(
                same,
                ring.ring.as_raw_fd(),
                "the ring's number stands for another file now"
            );
            serve(ring, device.as_fd(), &requests);
        });
    });
    assert_eq!(*outcomes.lock(), [0, 64, 128].map(|sector| (sector, Err(Errno::EIO))));
    let trouble = requests.take_trouble().expect("it is noted").to_string();
    assert!(trouble.contains("the io_uring of `vda` broke"), "{trouble}");
}

#[test]
fn what_was_taken_ahead_fails_with_a_ring_that_is_given_up() {
    let Some(mut ring) = ring() else { return };
    let (_sched, _task, requests) = requests();
    let outcomes = submit(&requests, &[0, 64, 128]);
    let device = File::open("/dev/null").expect("there is one");
    ring.stage(&requests);
    assert!(ring.staged.is_empty(), "nothing is taken ahead while a slot is free");
    ring.fill(device.as_fd(), &requests);
    ring.stage(&requests);
    assert_eq!((ring.free.len(), ring.staged.len()), (0, 1), "as many as can be in flight");
    ring.give_up(device.as_fd(), &requests);
    assert_eq!(*outcomes.lock(), [0, 64, 128].map(|sector| (sector, Err(Errno::EIO))));
}

#[test]
fn what_was_taken_ahead_fails_where_nothing_more_is_served() {
    let Some(mut ring) = ring() else { return };
    let (_sched, _task, requests) = requests();
    let outcomes = submit(&requests, &[0, 64]);
    let device = File::options().write(true).open("/dev/null").expect("there is one");
    ring.fill(device.as_fd(), &requests);
    ring.stage(&requests);
    requests.fail_waiting();
    ring.run(device.as_fd(), &requests).expect("the ring works");
    assert_eq!(*outcomes.lock(), [(64, Err(Errno::EIO)), (0, Ok(()))]);
}

#[test]
fn a_write_of_several_pieces_that_moved_less_goes_on_with_what_is_left() {
    let Some(mut ring) = ring() else { return };
    let (_sched, _task, requests) = requests();
    for (sector, byte) in [(0, 1), (2, 2), (4, 3)] {
        requests.submit(Bio::write(Sectors(sector), &[byte; 1024], Box::new(|_, _| ())));
    }
    let file = tempfile::tempfile().expect("a temp file");
    ring.align = Some(Alignment { address: 512, len: 512 });
    ring.fill(file.as_fd(), &requests);
    assert_eq!(ring.pieces[0].len(), 3, "one entry carries them from where they lie");
    ring.enter(1).expect("the ring works");
    let whole = ring.ring.completion().next().expect("it was waited for").result();
    assert_eq!(whole, 3072);
    // As if the kernel had moved half: what is behind that is written again, over other bytes.
    file.write_all_at(&[9; 3072], 0).expect("written");
    let slot = ring.slots[0].take().expect("it is in flight");
    assert!(ring.advance(file.as_fd(), 0, slot, 1536).is_none(), "there is more to do");
    ring.enter(1).expect("the ring works");
    let mut ended = Vec::new();
    ring.reap(file.as_fd(), &mut ended);
    assert_eq!(ended.len(), 1);
    let mut back = [0; 3072];
    file.read_exact_at(&mut back, 0).expect("read");
    let expect = [&[9; 1536][..], &[2; 512], &[3; 1024]].concat();
    assert!(back[..] == expect, "the rest of the second and the third");
}
