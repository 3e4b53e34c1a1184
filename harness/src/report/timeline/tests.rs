//! Perfetto needs slices of a track that nest, and arrows that begin and end inside a slice.

use serde_json::Value;

use crate::event::{Layer, Resource};
use crate::report::samples::{self, c01};
use crate::witness::script::Script;

/// A slice: track, start, end, name.
type Slice = ((u64, u64), f64, f64, String);

fn events(json: &str) -> Vec<Value> {
    let trace: Value = serde_json::from_str(json).unwrap();
    trace["traceEvents"].as_array().unwrap().clone()
}

fn track(event: &Value) -> (u64, u64) {
    (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap())
}

fn slices(events: &[Value]) -> Vec<Slice> {
    let slices = events.iter().filter(|event| event["ph"] == "X").map(|event| {
        let (start, length) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
        (track(event), start, start + length, event["name"].as_str().unwrap().to_owned())
    });
    slices.collect()
}

/// Whether `a` is not after `b`, to the nanosecond, to which readers round.
fn before(a: f64, b: f64) -> bool {
    a <= b + 0.0005
}

/// The innermost slice of a track at a time.
fn innermost(slices: &[Slice], track: (u64, u64), at: f64) -> Option<&str> {
    let around =
        slices.iter().filter(|(of, start, end, _)| *of == track && *start <= at && at <= *end);
    around.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(.., name)| name.as_str())
}

#[test]
fn slices_nest_and_every_arrow_joins_two() {
    for tier in ["model", "loop"] {
        for mut report in samples::all() {
            tier.clone_into(&mut report.tier);
            let events = events(&report.to_chrome_trace());
            let slices = slices(&events);
            for (index, (track, start, end, name)) in slices.iter().enumerate() {
                assert!(start < end, "{name}");
                for (_, from, to, other) in slices[..index].iter().filter(|other| other.0 == *track)
                {
                    let apart = before(*end, *from) || before(*to, *start);
                    let nested = (before(*from, *start) && before(*end, *to))
                        || (before(*start, *from) && before(*to, *end));
                    assert!(apart || nested, "{name} and {other}");
                }
            }
            for begin in events.iter().filter(|event| event["ph"] == "s") {
                let end =
                    events.iter().find(|event| event["ph"] == "f" && event["id"] == begin["id"]);
                let end = end.expect("an arrow ends");
                assert!(
                    begin["ts"].as_f64() <= end["ts"].as_f64(),
                    "an arrow leads forward in time"
                );
                for place in [begin, end] {
                    let at = place["ts"].as_f64().unwrap();
                    assert!(innermost(&slices, track(place), at).is_some(), "{place}");
                }
            }
        }
    }
}

#[test]
fn arrows_follow_the_request_and_the_waits() {
    let events = events(&c01().to_chrome_trace());
    let slices = slices(&events);
    let mut told = Vec::new();
    // Process 1 is the deadlock.
    for begin in events.iter().filter(|event| event["ph"] == "s" && event["pid"] == 1) {
        let end =
            events.iter().find(|event| event["ph"] == "f" && event["id"] == begin["id"]).unwrap();
        let [from, to] = [begin, end]
            .map(|place| innermost(&slices, track(place), place["ts"].as_f64().unwrap()).unwrap());
        told.push(format!("{}: {from} -> {to}", begin["name"].as_str().unwrap()));
    }
    assert_eq!(
        told,
        [
            "request: submit #0 -> serve #0",
            "waits for: wait #0 -> wait journal",
            "waits for: wait journal -> wait #0"
        ]
    );
}

#[test]
fn every_track_has_the_name_of_its_task() {
    let events = events(&c01().to_chrome_trace());
    let names = events.iter().filter(|event| event["name"] == "thread_name");
    let names: Vec<_> = names.map(|event| event["args"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["rsync", "loop0", "rsync", "loop0"]);
    assert!(events.iter().all(|event| event["ph"] == "M" || event["ts"].is_f64()));
}

#[test]
fn a_page_out_ends_where_its_request_is_submitted() {
    let mut s = Script::default();
    let (app, device) = (s.task("app"), s.names.add_queue("vda"));
    let swap = s.names.add_layer(Layer::SWAP, "swap0");
    s.enter(app, swap);
    let request = s.submit(app, device);
    s.leave(app, swap);
    s.wait(app, Resource::Request(request), "page writeback");
    s.stall(false);
    let slices = slices(&events(&samples::report(&s).to_chrome_trace()));
    let [out, submit, wait] = &slices[..] else { panic!("{slices:?}") };
    assert_eq!([&out.3, &submit.3, &wait.3], ["page out swap:swap0", "submit #0", "wait #0"]);
    assert!(out.1 < submit.1 && before(out.2, submit.1) && before(submit.2, wait.1), "{slices:?}");
}
