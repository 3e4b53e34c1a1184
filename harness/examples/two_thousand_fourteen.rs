//! The 2014 dm-bufio deadlock in the model: builds the stack by hand, explores, prints the report.
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use reclaimdep::{BufioSpec, Code, Era, FsSpec, LoopSpec, Pressure, Result, StackSpec, World};

fn main() -> Result<()> {
    let stack = StackSpec::default()
        .pages(4096)
        .fs(FsSpec::in_memory("lower", 96))
        .loop_device(LoopSpec::new("loop0", "lower", "disk.img", 64))
        .bufio(BufioSpec::new("meta", "loop0").retain_bytes(0).dirty([0]));
    for era in Era::ALL {
        let report = World::builder()
            .name("c01")
            .era(*era)
            .stack(stack.clone())
            .pressure(Pressure::first_nofs_allocation_of("rsync"))
            .expect(&[Code::RD02, Code::RD04])
            .schedules(10_000)
            .run(|world| {
                let fs = world.fs("lower");
                let rsync = world.spawn("rsync", move || fs.create("a"));
                rsync.join().expect("the file is made");
                // Where the harness broke the deadlock, the write failed and this returns the
                // error.
                let _ = world.bufio("meta").write_dirty_buffers();
            })?;
        println!("{}", report.to_text());
    }
    Ok(())
}
