//! A ring that breaks, and what becomes of its requests.
#![expect(unsafe_code, reason = "a ring is broken under its owner")]

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use super::super::requests::Options;
use super::super::try_uring;
use super::*;
use crate::block::Bio;
use crate::sched::{Sched, SpinLock};
use crate::units::Sectors;

#[test]
fn a_ring_that_breaks_fails_what_it_has_and_what_waits_and_says_so() {
    if let Err(missing) = try_uring() {
        drop(writeln!(io::stderr(), "SKIPPED: io_uring: {missing}"));
        return;
    }
    let sched = Sched::unobserved(1);
    let _task = sched.adopt("main");
    let options = Options { sectors: Sectors(1 << 10), serves: true, trouble: |_, _| None };
    let requests = Requests::new(&sched, "vda", options);
    let outcomes = Arc::new(SpinLock::new(Vec::new()));
    // One that the ring has, and two for which it has no room.
    for sector in [0, 64, 128] {
        let outcomes = Arc::clone(&outcomes);
        let end_io = Box::new(move |_, outcome| outcomes.lock().push(outcome));
        requests.submit(Bio::new(Op::Write, Sectors(sector), vec![0; 4096], end_io));
    }
    let device = File::open("/dev/null").expect("there is one");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let ring = Ring::open(1).expect("one was open before");
            // SAFETY: both are open; the number stays the ring's own, which closes whatever it stands for.
            let same = unsafe { libc::dup2(device.as_raw_fd(), ring.ring.as_raw_fd()) };
            assert_eq!(same, ring.ring.as_raw_fd(), "the ring's number stands for another file now");
            serve(ring, device.as_fd(), &requests);
        });
    });
    assert_eq!(*outcomes.lock(), [Err(Errno::EIO); 3]);
    let trouble = requests.take_trouble().expect("it is noted").to_string();
    assert!(trouble.contains("the io_uring of `vda` broke"), "{trouble}");
}

#[test]
fn what_was_taken_ahead_fails_with_a_ring_that_is_given_up() {
    let Ok(mut ring) = Ring::open(1) else {
        drop(writeln!(io::stderr(), "SKIPPED: io_uring"));
        return;
    };
    let sched = Sched::unobserved(1);
    let _task = sched.adopt("main");
    let options = Options { sectors: Sectors(1 << 10), serves: true, trouble: |_, _| None };
    let requests = Requests::new(&sched, "vda", options);
    let outcomes = Arc::new(SpinLock::new(Vec::new()));
    for sector in [0, 64, 128] {
        let outcomes = Arc::clone(&outcomes);
        let end_io = Box::new(move |_, outcome| outcomes.lock().push((sector, outcome)));
        requests.submit(Bio::new(Op::Write, Sectors(sector), vec![0; 4096], end_io));
    }
    let device = File::open("/dev/null").expect("there is one");
    ring.stage(&requests);
    assert!(ring.staged.is_empty(), "nothing is taken ahead while a slot is free");
    ring.fill(device.as_fd(), &requests);
    ring.stage(&requests);
    assert_eq!((ring.free.len(), ring.staged.len()), (0, 1), "as many as can be in flight");
    ring.give_up(device.as_fd(), &requests);
    assert_eq!(*outcomes.lock(), [0, 64, 128].map(|sector| (sector, Err(Errno::EIO))));
}
