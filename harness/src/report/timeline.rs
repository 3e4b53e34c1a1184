//! The timeline of a report, in the trace event format that Perfetto and chrome://tracing read.
//!
//! Key function: [`Report::to_chrome_trace`]. One process for each finding, one track for each of
//! its tasks. A slice is something that a task was in the middle of, from its begin to the finding:
//! a layer, scope, lock, allocation, reclaim, scan, request or wait. Arrows lead from a request to
//! its server, and from each wait to the task that must act.
//!
//! Virtual time stands still while tasks run, so on the model tier each event takes a microsecond;
//! on the other tiers time is real.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::finding::Finding;
use super::step::{Step, StepKind};
use super::value::Report;

/// The name of the tier whose time is virtual.
const VIRTUAL: &str = "model";

impl Report {
    /// The report as a timeline in JSON; the same report gives the same bytes.
    ///
    /// # Panics
    /// Never: every field has a JSON form.
    #[must_use]
    pub fn to_chrome_trace(&self) -> String {
        let mut events = Vec::new();
        for (index, finding) in self.findings.iter().enumerate() {
            let virtual_time = self.tier == VIRTUAL;
            Process { pid: index + 1, finding, virtual_time }.events(&mut events);
        }
        let clock = if self.tier == VIRTUAL { "one microsecond an event" } else { "real time" };
        let Self { name, tier, era, schema, .. } = self;
        let trace = json!({
            "displayTimeUnit": "ns",
            "otherData": { "name": name, "tier": tier, "era": era, "schema": schema, "clock": clock },
            "traceEvents": events,
        });
        serde_json::to_string_pretty(&trace).expect("strings and numbers have a JSON form")
    }
}

/// One finding as a process.
struct Process<'a> {
    pid: usize,
    finding: &'a Finding,
    virtual_time: bool,
}

impl Process<'_> {
    fn events(&self, events: &mut Vec<Value>) {
        let Finding { code, title, tasks, part_of, elsewhere, .. } = self.finding;
        let part = part_of.map_or_else(String::new, |of| format!(", part of finding {}", of + 1));
        let elsewhere = elsewhere
            .as_ref()
            .map_or_else(String::new, |elsewhere| format!(", in schedule {}", elsewhere.schedule));
        let name = format!("finding {}: {code} {title}{part}{elsewhere}", self.pid);
        events.push(self.event("M", "process_name", 0, json!({ "args": { "name": name } })));
        for (index, task) in tasks.iter().enumerate() {
            let sort = json!({ "args": { "sort_index": index } });
            events.push(self.event(
                "M",
                "thread_name",
                index + 1,
                json!({ "args": { "name": task } }),
            ));
            events.push(self.event("M", "thread_sort_index", index + 1, sort));
        }
        events.extend(self.finding.acts().map(|step| self.slice(step)));
        self.arrows(events);
    }

    /// An event with the fields that every event has, and those of `more`.
    fn event(&self, phase: &str, name: &str, tid: usize, more: Value) -> Value {
        let mut fields = Map::new();
        fields.insert("ph".into(), phase.into());
        fields.insert("name".into(), name.into());
        fields.insert("pid".into(), self.pid.into());
        fields.insert("tid".into(), tid.into());
        if let Value::Object(more) = more {
            fields.extend(more);
        }
        Value::Object(fields)
    }

    fn tid(&self, task: &str) -> usize {
        self.finding.tasks.iter().position(|known| known == task).map_or(0, |index| index + 1)
    }

    /// The time of a step, in microseconds.
    fn at(&self, step: &Step) -> f64 {
        self.micros(step.seq, step.time.0)
    }

    /// The end of every slice: after all that the finding shows.
    fn end(&self) -> f64 {
        let last =
            |of: fn(&Step) -> u64, own: u64| self.finding.chain.iter().map(of).fold(own, u64::max);
        self.micros(
            last(|step| step.seq, self.finding.seq),
            last(|step| step.time.0, self.finding.time.0),
        ) + 2.0
    }

    #[expect(clippy::cast_precision_loss, reason = "a run of 2^52 microseconds is 142 years")]
    fn micros(&self, seq: u64, nanos: u64) -> f64 {
        if self.virtual_time { seq as f64 } else { nanos as f64 / 1000.0 }
    }

    /// A submission or a page-out ends with the task's next step; all else lasts until the finding.
    fn slice(&self, step: &Step) -> Value {
        let next =
            self.finding.chain.iter().filter(|next| next.task == step.task && next.seq > step.seq);
        let end = match next.map(|next| self.at(next)).reduce(f64::min) {
            Some(next) if step.is_over() => next,
            _ => self.end(),
        };
        let mut args = json!({ "text": step.text, "seq": step.seq, "time_ns": step.time.0 });
        for (key, value) in [("site", &step.site), ("forbidden_by", &step.forbidden_by)] {
            if let Some(value) = value {
                args[key] = value.as_str().into();
            }
        }
        let start = self.at(step);
        let name = match step.forbidden_by {
            Some(_) => format!("{} FORBIDDEN", step.short),
            None => step.short.clone(),
        };
        let more =
            json!({ "cat": step.kind.name(), "ts": start, "dur": end - start, "args": args });
        self.event("X", &name, self.tid(&step.task), more)
    }

    fn arrows(&self, events: &mut Vec<Value>) {
        let chain = &self.finding.chain;
        let mut id = self.pid * 1000;
        let mut arrow = |name: &str, from: &Step, to: &str, end: f64| {
            id += 1;
            let start = json!({ "cat": "chain", "id": id, "ts": self.at(from) });
            let finish = json!({ "cat": "chain", "id": id, "ts": end, "bp": "e" });
            events.push(self.event("s", name, self.tid(&from.task), start));
            events.push(self.event("f", name, self.tid(to), finish));
        };
        for submit in chain.iter().filter(|step| step.kind == StepKind::Submitted) {
            let found = chain.iter().find(|step| step.serves(submit));
            if let Some(serve) = found.filter(|serve| self.at(serve) >= self.at(submit)) {
                arrow("request", submit, &serve.task, self.at(serve));
            }
        }
        for edge in self.finding.needs() {
            if let Some(to) = &edge.to {
                // The task that must act is inside a slice when the finding is made.
                arrow("waits for", edge, to, self.end() - 1.0);
            }
        }
    }
}
