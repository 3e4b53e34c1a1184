//! One real stack in this process: FUSE mount, loop device, requests.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use rustix::fs::{MemfdFlags, memfd_create};

use super::fixture::{
    BYTES, OnWrite, OneFile, Recorder, attach, attach_with, ready, unique, world,
};
use crate::block::{Bio, BlockDevice, flush, read_at, write_at};
use crate::error::{Errno, ErrorKind};
use crate::event::{EventKind, Op, RequestId};
use crate::host::leaks::Leftover;
use crate::host::{
    Backing, ConnectionId, FuseMount, HostLoop, IoOptions, LoopHandle, LoopOptions, Snapshot,
};
use crate::units::Sectors;

fn quiet() -> OnWrite {
    Box::new(|_, _| Ok(()))
}

/// The loop devices on files of this name.
fn loops_on(file: &str) -> Vec<Leftover> {
    let found = Snapshot::default().diff(&Snapshot::take());
    found
        .into_iter()
        .filter(|left| matches!(left, Leftover::Loop { backing, .. } if backing.contains(file)))
        .collect()
}

#[test]
fn what_is_written_to_the_device_reaches_the_file_and_comes_back() {
    if !ready() {
        return;
    }
    let io = IoOptions { in_flight: 4 };
    let file = unique("roundtrip");
    let fs = OneFile::new(&file, quiet());
    let data = Arc::clone(&fs.data);
    let mount = FuseMount::serve("roundtrip", fs).expect("the mount is served");
    world(Recorder::default(), |sched| {
        let device = attach_with(sched, &mount, &file, io);
        let written: Vec<u8> = (0..8192_u32).map(|at| at.to_le_bytes()[0] ^ 0x5a).collect();
        write_at(&device, 4096, &written).expect("written");
        flush(&device).expect("flushed");
        let mut back = vec![0; written.len()];
        read_at(&device, 4096, &mut back).expect("read");
        assert!(back == written, "what is read is what was written");
        assert!(data.lock()[4096..4096 + written.len()] == written, "the file has it");
        assert_eq!(loops_on(&file).len(), 1);
        device.stop();
        assert_eq!(loops_on(&file), []);
        assert!(device.take_trouble().is_none());
    });
    mount.shutdown().expect("nothing is open on the mount");
}

#[test]
fn a_sector_can_be_written_alone_and_beyond_the_end_nothing_can() {
    if !ready() {
        return;
    }
    let io = IoOptions { in_flight: 4 };
    let file = unique("sector");
    let mount =
        FuseMount::serve("sector", OneFile::new(&file, quiet())).expect("the mount is served");
    world(Recorder::default(), |sched| {
        let device = attach_with(sched, &mount, &file, io);
        assert_eq!(write_at(&device, 512, &[1; 512]), Ok(()));
        assert_eq!(write_at(&device, BYTES, &[1; 512]), Err(Errno::EIO));
        device.stop();
        assert_eq!(write_at(&device, 512, &[1; 512]), Err(Errno::ENXIO));
    });
}

#[test]
fn what_the_filesystem_refuses_the_device_fails_with_eio() {
    if !ready() {
        return;
    }
    let io = IoOptions { in_flight: 4 };
    let file = unique("refuse");
    let refuse: OnWrite = Box::new(|_, _| Err(fuser::Errno::ENOSPC));
    let mount =
        FuseMount::serve("refuse", OneFile::new(&file, refuse)).expect("the mount is served");
    world(Recorder::default(), |sched| {
        let device = attach_with(sched, &mount, &file, io);
        let outcome = write_at(&device, 0, &[1; 4096]);
        assert!(matches!(outcome, Err(Errno::EIO | Errno::ENOSPC)), "{outcome:?}");
        device.stop();
        assert!(device.take_trouble().is_none(), "the device itself is well");
    });
}

#[test]
fn a_fuse_write_finds_the_loop_request_above_it() {
    if !ready() {
        return;
    }
    let file = unique("rejoin");
    let device: Arc<OnceLock<Weak<HostLoop>>> = Arc::default();
    let (found, finding) = channel::<Option<RequestId>>();
    let (theirs, found) = (Arc::clone(&device), Mutex::new(found));
    let look: OnWrite = Box::new(move |offset, length| {
        let device = theirs.get().and_then(Weak::upgrade).expect("the device is there");
        let request = device.in_flight(Op::Write, offset..offset + length);
        found.lock().expect("no handler panics").send(request).expect("the test listens");
        Ok(())
    });
    let mount = FuseMount::serve("rejoin", OneFile::new(&file, look)).expect("the mount is served");
    let recorder = Recorder::default();
    world(recorder.clone(), |sched| {
        let loop0 = Arc::new(attach(sched, &mount, &file));
        device.set(Arc::downgrade(&loop0)).expect("set once");
        write_at(&*loop0, 8192, &[7; 4096]).expect("written");
        let events = recorder.0.lock().clone();
        let submitted = events.iter().find_map(|event| match event.kind {
            EventKind::RequestSubmit { request, .. } => Some(request),
            _ => None,
        });
        assert_eq!(finding.recv().expect("the handler ran"), submitted);
        assert_eq!(loop0.in_flight(Op::Write, 8192..12288), None, "the request is done");
        let server = EventKind::QueueServer { queue: loop0.queue().id };
        assert!(
            events.iter().any(|event| event.task == loop0.foreign_task() && event.kind == server)
        );
        loop0.stop();
    });
}

#[test]
fn aborting_the_connection_frees_a_stuck_request() {
    if !ready() {
        return;
    }
    let io = IoOptions { in_flight: 4 };
    let file = unique("abort");
    let (entered, entering) = channel();
    let (entered, (release, released)) = (Mutex::new(entered), channel::<()>());
    let released = Mutex::new(released);
    let stick: OnWrite = Box::new(move |_, _| {
        entered.lock().expect("no handler panics").send(()).expect("the test listens");
        // An error says that the test is over.
        let _ = released.lock().expect("no handler panics").recv();
        Ok(())
    });
    let mount = FuseMount::serve("abort", OneFile::new(&file, stick)).expect("the mount is served");
    world(Recorder::default(), |sched| {
        let device = attach_with(sched, &mount, &file, io);
        let (done, outcome) = channel();
        let end_io = Box::new(move |_, outcome| done.send(outcome).expect("the test listens"));
        device.submit(Bio::new(Op::Write, Sectors(0), vec![1; 4096], end_io));
        entering.recv().expect("the handler ran");
        mount.abort().expect("aborted");
        assert_eq!(outcome.recv().expect("completed"), Err(Errno::EIO));
        device.stop();
    });
    drop(release);
    mount.shutdown().expect("the handler returns");
}

#[test]
fn a_world_that_is_unwound_loses_its_device_and_no_request() {
    if !ready() {
        return;
    }
    let io = IoOptions { in_flight: 4 };
    let file = unique("unwound");
    let mount =
        FuseMount::serve("unwound", OneFile::new(&file, quiet())).expect("the mount is served");
    world(Recorder::default(), |sched| {
        let device = attach_with(sched, &mount, &file, io);
        let (done, outcomes) = channel();
        sched.abort();
        for number in 0..16 {
            let done = done.clone();
            let end_io = Box::new(move |_, outcome| done.send(outcome).expect("the test listens"));
            device.submit(Bio::new(Op::Write, Sectors(number), vec![1; 512], end_io));
        }
        drop(device);
        drop(done);
        let outcomes: Vec<Result<(), Errno>> = outcomes.iter().collect();
        assert_eq!(outcomes.len(), 16, "{outcomes:?}");
        assert_eq!(loops_on(&file), []);
    });
    mount.shutdown().expect("nothing is open on the mount");
}

#[test]
fn a_file_that_is_missing_or_too_short_is_refused_by_name() {
    if !ready() {
        return;
    }
    let file = unique("short");
    let mount =
        FuseMount::serve("short", OneFile::new(&file, quiet())).expect("the mount is served");
    world(Recorder::default(), |sched| {
        #[track_caller]
        fn refused(
            sched: &crate::sched::Sched,
            mount: &FuseMount,
            file: &str,
            bytes: u64,
            expect: (ErrorKind, &str),
        ) {
            let backing = Backing::On { mount: mount.as_fd(), file };
            let (sectors, io) = (Sectors::from_bytes(bytes), IoOptions::default());
            let attached =
                HostLoop::attach(sched, "loop0", backing, sectors, LoopOptions::default(), io);
            let error = attached.err().expect("refused");
            assert_eq!(error.kind(), expect.0, "{error}");
            assert!(error.to_string().contains(expect.1), "{error}");
        }
        refused(sched, &mount, "no-such-file", BYTES, (ErrorKind::Os, "`no-such-file`"));
        refused(
            sched,
            &mount,
            &file,
            BYTES + 512,
            (ErrorKind::Input, "should have 1049088 bytes and has 1048576"),
        );
    });
    assert_eq!(loops_on(&file), []);
    mount.shutdown().expect("nothing is open on the mount");
}

#[test]
fn a_served_mount_has_a_connection_and_aborting_none_says_so() {
    if !ready() {
        return;
    }
    let mount =
        FuseMount::serve("life", OneFile::new("file", quiet())).expect("the mount is served");
    assert!(mount.connection().exists());
    let none = ConnectionId(u32::MAX);
    assert!(!none.exists());
    assert_eq!(none.abort().expect_err("there is none").kind(), ErrorKind::Os);
    mount.shutdown().expect("nothing is open on the mount");
}

#[test]
fn attachers_that_race_all_get_a_device_of_their_own() {
    if !ready() {
        return;
    }
    let attach = || -> Result<u32, crate::error::Error> {
        let file: OwnedFd =
            memfd_create("reclaimdep-race", MemfdFlags::CLOEXEC).expect("a file in memory");
        rustix::fs::ftruncate(&file, 1 << 16).expect("sized");
        let options = LoopOptions { direct_io: false, block_size: 0 };
        for _ in 0..50 {
            LoopHandle::attach(file.as_fd(), options)?.detach()?;
        }
        Ok(50)
    };
    let attached = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(attach)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic").expect("attached"))
            .sum::<u32>()
    });
    assert_eq!(attached, 100);
}

#[test]
fn no_more_requests_than_asked_for_are_in_the_kernel() {
    if !ready() {
        return;
    }
    let io = IoOptions { in_flight: 2 };
    let file = unique("bound");
    let (entered, entering) = channel();
    let (entered, (release, released)) = (Mutex::new(entered), channel::<()>());
    let released = Mutex::new(released);
    let hold: OnWrite = Box::new(move |_, _| {
        entered.lock().expect("no handler panics").send(()).expect("the test listens");
        // An error says that everybody may go.
        let _ = released.lock().expect("no handler panics").recv();
        Ok(())
    });
    let mount = FuseMount::serve("bound", OneFile::new(&file, hold)).expect("the mount is served");
    world(Recorder::default(), |sched| {
        let device = attach_with(sched, &mount, &file, io);
        let (done, outcomes) = channel();
        for number in 0..8 {
            let done = done.clone();
            let end_io = Box::new(move |_, outcome| done.send(outcome).expect("the test listens"));
            device.submit(Bio::new(Op::Write, Sectors(number * 16), vec![1; 4096], end_io));
        }
        drop(done);
        entering.recv().expect("the handler ran");
        while device.in_flight(Op::Write, 8192..8193).is_none() {
            std::thread::yield_now();
        }
        let flying = (0..8).filter(|number| {
            let start = number * 8192;
            device.in_flight(Op::Write, start..start + 4096).is_some()
        });
        assert_eq!(flying.count(), 2);
        drop(release);
        let outcomes: Vec<Result<(), Errno>> = outcomes.iter().collect();
        assert_eq!(outcomes, [Ok(()); 8]);
        device.stop();
    });
    mount.shutdown().expect("the handler returns");
}

#[test]
fn a_device_that_became_shorter_fails_what_lies_behind_its_end() {
    if !ready() {
        return;
    }
    let io = IoOptions { in_flight: 4 };
    let backing: OwnedFd =
        memfd_create("reclaimdep-shrink", MemfdFlags::CLOEXEC).expect("a file in memory");
    rustix::fs::ftruncate(&backing, BYTES).expect("sized");
    world(Recorder::default(), |sched| {
        let options = LoopOptions { direct_io: false, block_size: 0 };
        let open = Backing::Open(backing.as_fd());
        let device =
            HostLoop::attach(sched, "loop0", open, Sectors::from_bytes(BYTES), options, io)
                .expect("attached");
        write_at(&device, BYTES - 4096, &[1; 4096]).expect("written");
        rustix::fs::ftruncate(&backing, BYTES / 2).expect("cut");
        let node = std::fs::File::open(format!("/dev/loop{}", device.number())).expect("ours");
        crate::host::loop_ioctl::take_size(node.as_fd()).expect("the device takes its file's size");
        drop(node);
        let outcome = write_at(&device, BYTES - 4096, &[1; 4096]);
        assert!(matches!(outcome, Err(Errno::EIO | Errno::ENOSPC)), "{outcome:?}");
        assert_eq!(read_at(&device, BYTES - 4096, &mut [0; 4096]), Err(Errno::EIO));
        assert_eq!(write_at(&device, 0, &[1; 4096]), Ok(()));
        device.stop();
    });
}
