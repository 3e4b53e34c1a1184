//! A real file as a device; no privilege is needed.
#![expect(clippy::disallowed_methods, reason = "threads end in real time")]

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use super::fixture::{Recorder, unique, world};
use crate::block::{Bio, BlockDevice, flush, read_at, write_at};
use crate::error::{Errno, ErrorKind};
use crate::event::{EventKind, Op, QueueId};
use crate::host::{HostFile, IoOptions};
use crate::sched::Sched;
use crate::units::Sectors;

const MIB: u64 = 1 << 20;

/// Runs `test` in a world of its own, with so many requests in flight.
fn with(in_flight: usize, test: impl Fn(&Sched, IoOptions)) {
    let io = IoOptions { in_flight };
    world(Recorder::default(), |sched| test(sched, io));
}

fn in_memory(bytes: u64) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create("reclaimdep-file", flags).expect("a file in memory");
    ftruncate(&file, bytes).expect("sized");
    file
}

/// Threads of this process with this name.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("our own threads");
    let comm = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    tasks.filter_map(comm).filter(|comm| comm.trim_end() == name).count()
}

/// Submits a write; its outcome goes to `done`.
fn write(
    device: &HostFile,
    sector: u64,
    data: Vec<u8>,
    done: &std::sync::mpsc::Sender<Result<(), Errno>>,
) {
    let done = done.clone();
    let end_io = Box::new(move |_, outcome| done.send(outcome).expect("the test listens"));
    device.submit(Bio::new(Op::Write, Sectors(sector), data, end_io));
}

#[test]
fn many_writes_in_flight_all_come_back() {
    with(8, |sched, io| {
        let device = HostFile::temp(sched, "vda", MIB, io).expect("a temp file");
        let (done, outcomes) = channel();
        // Every other block, so that some are merged and some are not, and in no order.
        let blocks = (0..256_u64).map(|n| (n * 37) % 256).filter(|block| block % 4 != 3);
        let fill = |block: u64| u8::try_from(block).expect("below 256") ^ 0xa5;
        for block in blocks.clone() {
            write(&device, block * 8, vec![fill(block); 4096], &done);
        }
        drop(done);
        assert_eq!(outcomes.iter().filter(Result::is_ok).count(), 192);
        flush(&device).expect("flushed");
        let mut back = vec![0; 1 << 20];
        read_at(&device, 0, &mut back).expect("read");
        for (block, data) in back.chunks(4096).enumerate() {
            let block = block as u64;
            let expected = if block % 4 == 3 { 0 } else { fill(block) };
            assert!(data.iter().all(|byte| *byte == expected), "block {block}");
        }
        device.stop();
        assert!(device.take_trouble().is_none());
    });
}

#[test]
fn adjacent_copies_and_others_all_arrive() {
    let io = IoOptions { in_flight: 4 };
    let sched = Sched::native(1, Box::new(Recorder::default()));
    let _task = sched.adopt("main");
    let device = HostFile::temp(&sched, "vda", MIB, io).expect("a temp file");
    let (done, outcomes) = channel();
    // Many more than are in flight; runs of seven blocks, and single ones.
    let written = |block: &u64| block % 8 != 7 && !(64..=72).contains(block);
    let bios = (0..256).filter(written).chain([68]).map(|block| {
        let done = done.clone();
        let end_io = Box::new(move |_, outcome| done.send(outcome).expect("the test listens"));
        Bio::write(
            Sectors(block * 8),
            &[u8::try_from(block).expect("below 256") ^ 0x5a; 4096],
            end_io,
        )
    });
    device.submit_all(bios.collect());
    drop(done);
    assert!(outcomes.iter().all(|outcome| outcome == Ok(())));
    let mut back = vec![0; 1 << 20];
    read_at(&device, 0, &mut back).expect("read");
    for (block, data) in (0_u64..).zip(back.chunks(4096)) {
        let fill = u8::try_from(block).expect("below 256") ^ 0x5a;
        let expected = if written(&block) || block == 68 { fill } else { 0 };
        assert!(data.iter().all(|byte| *byte == expected), "block {block}");
    }
    device.stop();
    assert!(device.take_trouble().is_none());
}

#[test]
fn a_request_longer_than_one_system_call_is_whole() {
    with(2, |sched, io| {
        let device = HostFile::temp(sched, "vda", MIB, io).expect("a temp file");
        let data: Vec<u8> = (0..300 * 1024_u32).map(|at| at.to_le_bytes()[1]).collect();
        write_at(&device, 512, &data).expect("written");
        let mut back = vec![0; data.len()];
        read_at(&device, 512, &mut back).expect("read");
        assert!(back == data);
    });
}

#[test]
fn a_short_write_goes_on_and_meets_the_error_behind_it() {
    with(4, |sched, io| {
        let file = in_memory(4096);
        fcntl_add_seals(&file, SealFlags::GROW).expect("sealed");
        let device = HostFile::on(sched, "vda", file.as_fd(), Sectors(16), io).expect("a device");
        assert_eq!(write_at(&device, 0, &[7; 8192]), Err(Errno::EPERM));
        let mut back = [0; 4096];
        read_at(&device, 0, &mut back).expect("read");
        assert!(back == [7; 4096], "the first page was moved before the second was refused");
    });
}

#[test]
fn what_fails_spares_what_was_submitted_with_it() {
    with(4, |sched, io| {
        let file = in_memory(4096);
        fcntl_add_seals(&file, SealFlags::GROW).expect("sealed");
        let device = HostFile::on(sched, "vda", file.as_fd(), Sectors(16), io).expect("a device");
        let (done, outcomes) = channel();
        write(&device, 0, vec![7; 4096], &done);
        write(&device, 8, vec![8; 4096], &done);
        drop(done);
        let mut outcomes: Vec<_> = outcomes.iter().collect();
        outcomes.sort();
        assert_eq!(outcomes, [Ok(()), Err(Errno::EPERM)]);
    });
}

#[test]
fn a_file_that_is_cut_short_is_an_error_to_read() {
    with(4, |sched, io| {
        let file = in_memory(8192);
        let device = HostFile::on(sched, "vda", file.as_fd(), Sectors(16), io).expect("a device");
        read_at(&device, 0, &mut [0; 8192]).expect("read");
        ftruncate(&file, 4096).expect("cut");
        assert_eq!(read_at(&device, 0, &mut [0; 8192]), Err(Errno::EIO));
        assert_eq!(read_at(&device, 0, &mut [0; 4096]), Ok(()));
    });
}

#[test]
fn what_the_file_refuses_keeps_its_errno() {
    with(4, |sched, io| {
        let file = in_memory(8192);
        fcntl_add_seals(&file, SealFlags::WRITE).expect("sealed");
        let device = HostFile::on(sched, "vda", file.as_fd(), Sectors(16), io).expect("a device");
        assert_eq!(write_at(&device, 0, &[1; 4096]), Err(Errno::EPERM));
        assert_eq!(read_at(&device, 0, &mut [0; 4096]), Ok(()));
    });
}

#[test]
fn stopping_completes_what_is_in_flight_and_ends_the_threads() {
    with(4, |sched, io| {
        // A thread's name has 15 letters.
        let name = &unique("")[10..];
        let name = &name[..name.len().min(15)];
        let device = HostFile::temp(sched, name, MIB, io).expect("a temp file");
        assert!(threads(name) >= 1);
        let (done, outcomes) = channel();
        for block in 0..100 {
            write(&device, block * 16, vec![1; 4096], &done);
        }
        drop(done);
        device.stop();
        assert_eq!(outcomes.iter().collect::<Vec<_>>(), [Ok(()); 100]);
        // A thread that was joined may be listed for a moment more.
        let deadline = Instant::now() + Duration::from_secs(1);
        while threads(name) > 0 {
            assert!(Instant::now() < deadline, "a thread of the pool is left");
            std::thread::yield_now();
        }
        assert_eq!(write_at(&device, 0, &[1; 512]), Err(Errno::ENXIO));
    });
}

#[test]
fn dropping_completes_what_is_in_flight_too() {
    with(4, |sched, io| {
        let device = HostFile::temp(sched, "vda", MIB, io).expect("a temp file");
        let (done, outcomes) = channel();
        for block in 0..100 {
            write(&device, block * 16, vec![1; 4096], &done);
        }
        drop(done);
        drop(device);
        assert_eq!(outcomes.iter().collect::<Vec<_>>(), [Ok(()); 100]);
    });
}

#[test]
fn beyond_the_end_nothing_is_read_or_written() {
    with(4, |sched, io| {
        let device = HostFile::temp(sched, "vda", MIB, io).expect("a temp file");
        assert_eq!(write_at(&device, MIB - 512, &[1; 1024]), Err(Errno::EIO));
        assert_eq!(read_at(&device, MIB, &mut [0; 512]), Err(Errno::EIO));
        assert_eq!(write_at(&device, MIB - 512, &[1; 512]), Ok(()));
    });
}

#[test]
fn each_request_is_served_by_a_server_of_the_queue_and_completes_after_it() {
    let io = IoOptions { in_flight: 4 };
    let recorder = Recorder::default();
    let queue = world(recorder.clone(), |sched| -> QueueId {
        let device = HostFile::temp(sched, "vda", MIB, io).expect("a temp file");
        let (done, outcomes) = channel();
        (0..50).for_each(|block| write(&device, block * 16, vec![1; 4096], &done));
        drop(done);
        assert_eq!(outcomes.iter().filter(Result::is_ok).count(), 50);
        flush(&device).expect("flushed");
        device.stop();
        device.queue().id
    });
    let events = recorder.0.lock().clone();
    let servers: Vec<_> = events
        .iter()
        .filter(|event| event.kind == EventKind::QueueServer { queue })
        .map(|event| event.task)
        .collect();
    assert!(!servers.is_empty());
    let submitted = events.iter().filter_map(|event| match event.kind {
        EventKind::RequestSubmit { request, .. } => Some(request),
        _ => None,
    });
    let mut requests = 0;
    for request in submitted {
        requests += 1;
        let place = |kind: &dyn Fn(EventKind) -> bool| {
            let mut found = events.iter().enumerate().filter(|(_, event)| kind(event.kind));
            let (at, event) = found.next().expect("each request has each event");
            assert!(found.next().is_none(), "once");
            (at, event.task)
        };
        let (submit, _) = place(
            &|kind| matches!(kind, EventKind::RequestSubmit { request: r, .. } if r == request),
        );
        let (serve, server) = place(&|kind| kind == EventKind::RequestServe { request });
        let (served, again) = place(&|kind| kind == EventKind::RequestServed { request });
        let (complete, _) =
            place(&|kind| kind == EventKind::RequestComplete { request, error: None });
        assert!(submit < serve && serve < served && served < complete);
        assert!(servers.contains(&server) && server == again);
    }
    assert_eq!(requests, 51);
}

#[test]
fn a_completion_that_panics_ends_the_world_and_loses_no_request() {
    let io = IoOptions { in_flight: 4 };
    let sched = Sched::native(1, Box::new(Recorder::default()));
    let (done, outcomes) = channel();
    let ended = sched.run_main(|| {
        let device = HostFile::temp(&sched, "vda", MIB, io).expect("a temp file");
        let end_io = Box::new(|_, _| std::panic::panic_any("planted"));
        device.submit(Bio::new(Op::Write, Sectors(0), vec![1; 4096], end_io));
        for block in 1..50 {
            write(&device, block * 16, vec![1; 4096], &done);
        }
        // Joins the threads; a drain would unwind with the world.
        device.join();
        let trouble = device.take_trouble().expect("the panic is told");
        assert!(trouble.to_string().contains("a completion of `vda` panicked"), "{trouble}");
    });
    assert!(ended.is_some() && sched.is_aborted());
    drop(done);
    assert_eq!(outcomes.iter().count(), 49);
}

#[test]
fn a_device_on_a_real_file_is_for_real_threads_and_regular_files() {
    world(Recorder::default(), |sched| {
        let null = std::fs::File::open("/dev/null").expect("it opens");
        let refused = HostFile::on(sched, "vda", null.as_fd(), Sectors(8), IoOptions::default());
        assert_eq!(refused.err().expect("refused").kind(), ErrorKind::Input);
    });
}
