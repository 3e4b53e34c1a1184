//! Which requests go together, and which are in flight.

use super::*;
use crate::event::{Event, Names, Observer, Reaction};

struct Deaf;

impl Observer for Deaf {
    fn observe(&mut self, _: &Event, _: &Names) -> Reaction {
        Reaction::Go
    }
}

fn check(submitted: &[(Op, u64, u64)], batches: &[usize]) {
    let sched = Sched::native(1, Box::new(Deaf));
    let _task = sched.adopt("main");
    let options = RequestsOptions { sectors: Sectors(1 << 20), serves: true, trouble: |_, _| None };
    let requests = Requests::new(&sched, "vda", options);
    for (op, sector, sectors) in submitted {
        let data = vec![0; usize::try_from(Sectors(*sectors).bytes()).expect("small")];
        requests.submit(Bio::new(*op, Sectors(*sector), data, Box::new(|_, _| ())));
    }
    let taken: Vec<Taken> = std::iter::from_fn(|| requests.try_next()).collect();
    let sizes: Vec<usize> = taken.iter().map(|taken| taken.batch.bios().len()).collect();
    assert_eq!(sizes, batches, "{submitted:?}");
}

#[test]
fn adjacent_requests_that_wait_go_together() {
    let write = |block: u64| (Op::Write, block * 8, 8);
    check(&[write(0), write(1), write(2), write(9)], &[3, 1]);
    check(&[write(2), write(1), write(0)], &[1, 1, 1]);
    check(&[write(0), (Op::Read, 8, 8), write(2)], &[1, 1, 1]);
    check(&[write(0), (Op::Flush, 0, 0), write(1)], &[1, 1, 1]);
    check(&(0..40).map(write).collect::<Vec<_>>(), &[32, 8]);
    check(&[(Op::Write, 0, 2048), (Op::Write, 2048, 8)], &[1, 1]);
}

#[test]
fn the_oldest_request_in_flight_that_overlaps_is_found() {
    let sched = Sched::native(1, Box::new(Deaf));
    let _task = sched.adopt("main");
    let options =
        RequestsOptions { sectors: Sectors(1 << 20), serves: false, trouble: |_, _| None };
    let requests = Requests::new(&sched, "loop0", options);
    for sector in [0, 8, 8] {
        requests.submit(Bio::new(Op::Write, Sectors(sector), vec![0; 4096], Box::new(|_, _| ())));
    }
    assert_eq!(requests.in_flight(Op::Write, &(0..8192)), None, "none was taken");
    let taken = [requests.try_next(), requests.try_next()];
    assert_eq!(requests.in_flight(Op::Write, &(4096..4097)), Some(RequestId(1)));
    assert_eq!(requests.in_flight(Op::Read, &(0..8192)), None);
    assert_eq!(requests.in_flight(Op::Write, &(8192..9000)), None);
    drop(taken);
}
