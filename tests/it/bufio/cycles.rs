//! The deadlocks A, B, C and D of docs/kernel/dm-bufio.md, "The four cycles": each is
//! found with exactly the shrinker forms that it is possible with.
//!
//! A: a task of a filesystem reclaims in NOFS, and waits for a write that needs a lock which the
//! task holds. B: a task holds the client lock and waits for a write, whose server reclaims and
//! wants that lock. C: the server's own reclaim writes a buffer, and the write is queued to the
//! server. D: no cycle, but reclaimers wait for a lock whose holder waits for I/O.

use std::sync::{Arc, Mutex};

use reclaimdep::kernel::block::{
    BackingFile, BlockDevice, LateDevice, LoopDevice, MemoryDevice, write_at,
};
use reclaimdep::kernel::bufio::shrinker::describe;
use reclaimdep::kernel::bufio::{Bufio, Client, ClientOptions};
use reclaimdep::kernel::era::ShrinkerForm;
use reclaimdep::kernel::inject::Plan;
use reclaimdep::kernel::mm::Mm;
use reclaimdep::kernel::sched::WorkQueue;
use reclaimdep::kernel::units::Ticks;
use reclaimdep::scope::Gfp;
use reclaimdep::{Code, Era, Errno, Knobs, PlanSpec, Pressure, Report, World};

use reclaimdep_fixtures::stacks::bufio_on_loop;

use ShrinkerForm::{S0, S1, S1r, S2, S3, S4, S5, S6};

/// Everything as in 2014 but for the form and the loop worker's scope, so that the form alone
/// decides.
fn knobs(form: ShrinkerForm, worker_noio: bool) -> Knobs {
    let mut knobs = Era::V3_18.knobs();
    (knobs.bufio_shrinker, knobs.loop_worker_noio) = (form, worker_noio);
    knobs
}

/// Memory is short for `task` each time.
fn short_for(task: &str) -> Pressure {
    Pressure::every_allocation().task(task)
}

/// A file whose writes allocate with GFP_KERNEL, as the set-up of direct I/O does.
struct Direct {
    mm: Mm,
    bytes: Mutex<Vec<u8>>,
}

impl BackingFile for Direct {
    fn name(&self) -> &str {
        "direct"
    }

    fn size(&self) -> Result<u64, Errno> {
        Ok(self.bytes.lock().expect("nobody panics with it").len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Errno> {
        let start = usize::try_from(offset).expect("the file is small");
        buf.copy_from_slice(
            &self.bytes.lock().expect("nobody panics with it")[start..start + buf.len()],
        );
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let setup = self.mm.alloc(0, Gfp::KERNEL).ok_or(Errno::ENOMEM)?;
        let start = usize::try_from(offset).expect("the file is small");
        self.bytes.lock().expect("nobody panics with it")[start..start + data.len()]
            .copy_from_slice(data);
        drop(setup);
        Ok(())
    }

    fn fsync(&self) -> Result<(), Errno> {
        Ok(())
    }
}

/// A client with dirty block 0 on `device`, and the queue of its shrinker's work.
fn client(world: &World, knobs: Knobs, device: Arc<dyn BlockDevice>) -> (Client, WorkQueue) {
    let (sched, mm) = (world.sched(), world.mm());
    let plan = Plan::arm(sched, PlanSpec::default()).expect("an empty plan");
    let queue = WorkQueue::new(sched, "dm_bufio_cache");
    let bufio = Bufio::new(sched, mm, &plan, knobs, Some(queue.clone()));
    let options = ClientOptions { retain_bytes: 0, ..ClientOptions::default() };
    let client = bufio.create(device, None, options).expect("the device is large enough");
    client.new_block(0).expect("there is memory").mark_dirty();
    (client, queue)
}

/// The same on a loop device over a file that allocates: runs `body`, then destroys everything.
fn on_direct_loop(
    form: ShrinkerForm,
    noio: bool,
    short: &[&str],
    body: impl Fn(&World, &Client, &LoopDevice) + Send + Sync + 'static,
) -> Report {
    let knobs = knobs(form, noio);
    let mut builder = World::builder().knobs(knobs).schedules(1);
    for task in short {
        builder = builder.pressure(short_for(task));
    }
    let run = builder.run(move |world| {
        let file = Arc::new(Direct { mm: world.mm().clone(), bytes: Mutex::new(vec![0; 1 << 20]) });
        let device =
            LoopDevice::attach(world.sched(), "loop0", file, noio).expect("the file has a size");
        let (client, queue) = client(world, knobs, Arc::new(device.clone()));
        body(world, &client, &device);
        client.destroy().expect("nothing is held");
        queue.destroy();
        device.stop();
    });
    run.expect("the harness has no trouble")
}

fn reclaim(world: &World, name: &str) -> reclaimdep::JoinHandle<bool> {
    let mm = world.mm().clone();
    world.spawn(name, move || mm.alloc(0, Gfp::KERNEL).is_some())
}

fn cycle_a(form: ShrinkerForm) -> Report {
    let rule = Pressure::first_nofs_allocation_of("rsync");
    let run = World::builder()
        .knobs(knobs(form, false))
        .stack(bufio_on_loop())
        .pressure(rule)
        .schedules(1);
    let run = run.run(|world| {
        let fs = world.fs("lower");
        world.spawn("rsync", move || fs.create("a").map(drop)).join().expect("the file is made");
        let _ = world.bufio("meta").write_dirty_buffers();
    });
    run.expect("the harness has no trouble")
}

fn cycle_b(form: ShrinkerForm, noio: bool) -> Report {
    on_direct_loop(form, noio, &["reclaimer", "loop0"], |world, _, _| {
        assert!(reclaim(world, "reclaimer").join());
    })
}

fn cycle_c(form: ShrinkerForm, noio: bool) -> Report {
    on_direct_loop(form, noio, &["loop0"], |_, _, device| {
        write_at(device, 8192, &[1; 512]).expect("the device writes");
    })
}

fn cycle_d(form: ShrinkerForm) -> Report {
    let knobs = knobs(form, true);
    let names = ["first", "second", "third"];
    let builder = World::builder().knobs(knobs).schedules(1).convoy_bound(Ticks(100));
    let builder = names.iter().fold(builder, |builder, name| builder.pressure(short_for(name)));
    let run = builder.run(move |world| {
        let disk = Arc::new(MemoryDevice::new(world.sched(), "vda", 1 << 20));
        let late = LateDevice::new(world.sched(), disk, Ticks(500), Ticks(0));
        let (client, queue) = client(world, knobs, Arc::new(late.clone()));
        for task in names.map(|name| reclaim(world, name)) {
            assert!(task.join());
        }
        client.destroy().expect("nothing is held");
        queue.destroy();
        late.stop();
    });
    run.expect("the harness has no trouble")
}

/// `run` finds `code` with exactly the forms of `expect`.
#[track_caller]
fn check(code: Code, expect: &[ShrinkerForm], run: impl Fn(ShrinkerForm) -> Report) {
    for form in ShrinkerForm::ALL {
        let report = run(*form);
        assert_eq!(report.has(code), expect.contains(form), "{}:\n{report}", describe(*form));
    }
}

#[test]
fn deadlock_a_is_possible_if_io_is_the_permission() {
    check(Code::RD04, &[S0], cycle_a);
}

#[test]
fn deadlock_b_is_possible_if_the_server_can_sleep_on_the_client_lock() {
    check(Code::RD04, &[S0, S1, S1r, S2, S4], |form| cycle_b(form, false));
}

#[test]
fn deadlock_c_is_possible_if_the_server_can_wait_for_a_write() {
    check(Code::RD04, &[S0, S1, S1r, S2, S3, S4], |form| cycle_c(form, false));
}

#[test]
fn a_loop_worker_in_noio_prevents_b_and_c_in_every_form() {
    check(Code::RD04, &[], |form| cycle_b(form, true));
    check(Code::RD04, &[], |form| cycle_c(form, true));
}

#[test]
fn deadlock_d_is_possible_if_reclaimers_sleep_on_the_client_lock() {
    check(Code::RD09, &[S0, S1, S1r, S2, S4], cycle_d);
    check(Code::RD04, &[], cycle_d);
}

#[test]
fn forms_without_a_wait_in_the_scan_are_quiet_in_all_four() {
    for form in [S5, S6] {
        for report in [cycle_a(form), cycle_b(form, false), cycle_c(form, false), cycle_d(form)] {
            assert!(report.is_quiet(), "{}:\n{report}", describe(form));
        }
    }
}
