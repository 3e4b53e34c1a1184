//! Where a task must not wait: no-sleep mode, a mapped request; and starting over with `reset`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

/// The message with which `body` panics.
#[track_caller]
fn panics(body: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(body)).expect_err("it is fatal");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

fn no_sleep() -> ClientOptions {
    ClientOptions { no_sleep: true, ..small() }
}

#[test]
fn get_is_legal_where_nothing_may_sleep_in_no_sleep_mode_alone() {
    for era in [Era::V5_9, Era::V6_12] {
        run(era, no_sleep(), PlanSpec::default(), |rig| {
            drop(rig.client.read(1).unwrap());
            let atomic = rig.client.bufio().atomic();
            assert_eq!(rig.client.get(1).map(|buffer| buffer.block()), Some(1), "{era}");
            drop(atomic);
            rig.done().unwrap();
        });
        run(era, small(), PlanSpec::default(), |rig| {
            let atomic = rig.client.bufio().atomic();
            let message = panics(|| drop(rig.client.get(1)));
            assert!(message.contains("scheduling while atomic"), "{era}: {message}");
            drop(atomic);
            rig.done().unwrap();
        });
    }
}

#[test]
fn whatever_may_sleep_is_fatal_where_nothing_may() {
    run(Era::V6_12, no_sleep(), PlanSpec::default(), |rig| {
        let client = &rig.client;
        let buffer = client.read(1).unwrap();
        let atomic = client.bufio().atomic();
        let all: [(&str, &dyn Fn()); 7] = [
            ("read", &|| drop(client.read(2))),
            ("new", &|| drop(client.new_block(2))),
            ("prefetch", &|| client.prefetch(2, 1)),
            ("mark", &|| buffer.mark_dirty()),
            ("write", &|| client.write_dirty_buffers_async()),
            ("flush", &|| assert!(client.issue_flush().is_ok())),
            ("discard", &|| assert!(client.issue_discard(2, 1).is_ok())),
        ];
        for (what, body) in all {
            let message = panics(body);
            assert!(message.contains("scheduling while atomic"), "{what}: {message}");
        }
        drop(atomic);
        drop(buffer);
        assert_eq!((client.buffers(), client.dirty_buffers()), (1, 0), "nothing was begun");
        rig.done().unwrap();
    });
}

#[test]
fn a_range_is_not_forgotten_in_no_sleep_mode() {
    run(Era::V6_12, no_sleep(), PlanSpec::default(), |rig| {
        drop(rig.client.read(1).unwrap());
        let message = panics(|| rig.client.forget_buffers(0, 2));
        assert!(message.contains("a range is not forgotten"), "{message}");
        rig.client.forget(1);
        assert_eq!(rig.client.buffers(), 0);
        rig.done().unwrap();
    });
}

#[test]
fn in_no_sleep_mode_the_shrinker_leaves_what_is_dirty() {
    for (options, left) in [(no_sleep(), 1), (small(), 0)] {
        let events = run(Era::V6_12, options, PlanSpec::default(), |rig| {
            drop(rig.client.read(1).unwrap());
            dirty(&rig.client, 2, 2);
            let registration = rig.client.0.shrinker.lock();
            let form = Arc::clone(&registration.as_ref().unwrap().1);
            drop(registration);
            let scanned = form.scan(&mut ScanControl::new(Gfp::KERNEL, 2));
            assert_eq!(scanned, Ok(2));
            form.flush();
            assert_eq!(rig.client.buffers(), left);
            rig.done().unwrap();
        });
        let writes = events
            .iter()
            .filter(|kind| matches!(kind, EventKind::RequestSubmit { op: Op::Write, .. }));
        assert_eq!(writes.count(), 1, "the work's, or destroy's");
    }
}

#[test]
fn in_no_sleep_mode_a_dirty_buffer_is_not_stolen() {
    let options = ClientOptions { reserved_buffers: 2, ..no_sleep() };
    let plan = PlanSpec {
        failpoints: [Failpoint::BufioAllocNowait, Failpoint::BufioAllocNoio]
            .map(|point| FailpointRule { point, skip: 0, times: None, optional: false })
            .to_vec(),
        ..PlanSpec::default()
    };
    run(Era::V6_12, options, plan, |rig| {
        dirty(&rig.client, 0, 1);
        drop(rig.client.read(1).unwrap());
        // The oldest is dirty: the younger, clean one goes.
        drop(rig.client.read(2).unwrap());
        assert!(rig.client.get(0).is_some() && rig.client.get(1).is_none());
        rig.done().unwrap();
    });
}

#[test]
fn while_a_request_is_mapped_nothing_waits_in_2014_either() {
    run(Era::V3_10, small(), PlanSpec::default(), |rig| {
        let mapping = rig.client.bufio().in_request();
        let message = panics(|| drop(rig.client.read(1)));
        assert!(message.contains("would wait for the task itself"), "{message}");
        drop(mapping);
        rig.done().unwrap();
    });
}

#[test]
fn flushing_discarding_and_writing_are_einval_while_a_request_is_mapped() {
    run(Era::V6_12, small(), PlanSpec::default(), |rig| {
        let client = &rig.client;
        dirty(client, 1, 1);
        let mapping = client.bufio().in_request();
        assert_eq!(client.issue_flush(), Err(Errno::EINVAL));
        assert_eq!(client.issue_discard(0, 1), Err(Errno::EINVAL));
        assert_eq!(client.write_dirty_buffers(), Err(Errno::EINVAL));
        drop(mapping);
        assert_eq!(client.write_dirty_buffers(), Ok(()));
        rig.done().unwrap();
    });
}

#[test]
fn a_reset_client_has_written_everything_has_nothing_and_goes_on() {
    for era in GENERATIONS {
        run(era, small(), PlanSpec::default(), |rig| {
            dirty(&rig.client, 1, 7);
            drop(rig.client.read(2).unwrap());
            rig.client.reset().unwrap();
            assert_eq!(rig.client.buffers(), 0, "{era}");
            let mut sector = [0; 512];
            read_at(&*rig.device, 4096, &mut sector).unwrap();
            assert_eq!(sector, [7; 512], "{era}");
            rig.client.read(1).unwrap().with_data(|data| assert_eq!(data[0], 7));
            dirty(&rig.client, 2, 8);
            rig.done().unwrap();
        });
    }
}

#[test]
fn a_reset_beside_a_held_buffer_names_it_and_leaves_it_to_its_holder() {
    run(Era::V6_12, small(), PlanSpec::default(), |rig| {
        drop(rig.client.read(1).unwrap());
        let held = rig.client.read(2).unwrap();
        let message = rig.client.reset().unwrap_err().to_string();
        assert!(message.contains("was reset while buffers are held: block 2"), "{message}");
        assert_eq!(rig.client.buffers(), 1);
        held.with_data_mut(|data| data.fill(3));
        held.mark_dirty();
        drop(held);
        rig.client.reset().unwrap();
        assert_eq!(rig.client.buffers(), 0);
        rig.done().unwrap();
    });
}

#[test]
fn a_buffer_of_another_client_is_not_moved_by_this_one_and_its_hold_is_given_back() {
    run(Era::V5_9, small(), PlanSpec::default(), |rig| {
        let device = Arc::new(MemoryDevice::new(&rig.sched, "vdb", 1 << 20));
        let other = rig.client.bufio().create(device, None, small()).unwrap();
        let theirs = other.read(1).unwrap();
        assert_eq!(rig.client.release_move(theirs, 2), Err(Errno::EINVAL));
        assert!(other.get(1).is_some() && rig.client.get(2).is_none());
        other.destroy().expect("the hold was given back");
        rig.done().unwrap();
    });
}
