//! The 2014 dm-bufio deadlock in the model: builds the stack by hand, explores, prints the report.
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use reclaimdep::era::Era;
use reclaimdep::inject::Pressure;
use reclaimdep::stack::{BufioSpec, FsSpec, LoopSpec, StackSpec};
use reclaimdep::witness::Code;
use reclaimdep::{Result, World};

fn main() -> Result<()> {
    let stack = StackSpec {
        pages: 4096,
        fs: vec![FsSpec::in_memory("lower", 96)],
        loops: vec![LoopSpec {
            name: "loop0".into(),
            fs: "lower".into(),
            file: "disk.img".into(),
            mib: 64,
        }],
        bufio: vec![BufioSpec {
            name: "meta".into(),
            device: "loop0".into(),
            block_size: 4096,
            retain_bytes: Some(0),
            dirty: vec![0],
        }],
        ..StackSpec::default()
    };
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
