//! How a run of the loop tier ends that does not end well: the report or the error says why, and
//! nothing waits for a timeout.

use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use reclaimdep::{Builder, Code, Outcome, StackSpec, Tier, World};
use reclaimdep_fixtures::stacks::{loop_on_lower, metadata_on_loop};

const PRINTS: &str = "ended::prints_on_stdout";

/// Every test of this module.
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("ended::by_a_panic_with_four_devices", panics),
        trial("ended::by_the_deadline_inside", spins),
        trial("ended::by_a_signal", aborts),
        trial("ended::by_an_error_of_the_harness", cannot_build),
        trial(PRINTS, prints),
        crate::trial("ended::stdout_is_seen", stdout_is_seen),
        crate::trial("ended::a_stray_variable_is_refused", stray_variable),
    ]
}

fn trial(name: &'static str, check: fn(Builder) -> Result<(), Failed>) -> Trial {
    let again = ["--exact", name, "--include-ignored"];
    crate::trial(name, move || check(World::builder().name(name).tier(Tier::Loop).rerun(again)))
}

/// If each device took its timeout, the run would not end before its supervisor's deadline.
fn panics(builder: Builder) -> Result<(), Failed> {
    let mut stack: StackSpec = metadata_on_loop();
    for (name, mib) in [("loop1", 4), ("loop2", 4), ("loop3", 4)] {
        stack.loops.push(loop_on_lower(name, mib));
    }
    let report = builder.stack(stack).run(|_| panic!("as planned"))?;
    let planned = Outcome::Panicked { message: "as planned".to_owned() };
    if report.outcome == planned { Ok(()) } else { Err(report.to_text().into()) }
}

/// The process ends with the report, so nothing must let the loop go.
fn spins(builder: Builder) -> Result<(), Failed> {
    let spin = |world: &World| {
        let spinner = world.spawn("spinner", || {
            loop {
                std::hint::spin_loop();
            }
        });
        spinner.join();
    };
    let report = builder.deadline(Duration::from_millis(200)).run(spin)?;
    let text = report.to_text();
    let told = text.contains("spinner") && text.contains("200 ms of real time");
    if report.codes() == [Code::RD05] && told { Ok(()) } else { Err(text.into()) }
}

fn aborts(builder: Builder) -> Result<(), Failed> {
    let error = builder.run(|_| std::process::abort()).expect_err("it ends by a signal");
    let message = error.to_string();
    if message.contains("SIGABRT") { Ok(()) } else { Err(message.into()) }
}

/// The error is the one that the model tier returns, in kind and in words.
fn cannot_build(builder: Builder) -> Result<(), Failed> {
    let mut without_pages = StackSpec::default();
    without_pages.pages = 0;
    let nothing = builder.stack(without_pages);
    let model = nothing.clone().tier(Tier::Model).run(|_| {}).expect_err("no pages");
    let real = nothing.run(|_| {}).expect_err("no pages");
    if (model.kind(), model.to_string()) == (real.kind(), real.to_string()) {
        return Ok(());
    }
    Err(format!("model: {model:?}\nloop: {real:?}").into())
}

fn prints(builder: Builder) -> Result<(), Failed> {
    let report = builder.run(|_| {
        writeln!(std::io::stdout(), "printed by the body").expect("it can be written");
    })?;
    if report.is_quiet() { Ok(()) } else { Err(report.to_text().into()) }
}

/// This executable again, for the test `name`.
fn again(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", name, "--include-ignored"]);
    command
}

fn stdout_is_seen() -> Result<(), Failed> {
    let output = again(PRINTS).output()?;
    let shown = String::from_utf8_lossy(&output.stderr);
    let seen = shown.lines().any(|line| line.contains("printed by the body"));
    if output.status.success() && seen { Ok(()) } else { Err(shown.into_owned().into()) }
}

/// The variable says that the run comes before another, so it would take place unsupervised.
fn stray_variable() -> Result<(), Failed> {
    let output = again(PRINTS).env("RECLAIMDEP_CHILD_RUN", "5").output()?;
    let all = [output.stdout, output.stderr].concat();
    let message = String::from_utf8_lossy(&all);
    let refused = message.contains("has no supervisor");
    if !output.status.success() && refused { Ok(()) } else { Err(message.into_owned().into()) }
}
