//! Requests of a history: submitted once, served by a server of their queue, completed once.

use super::super::acts::{Check, Open, require};
use super::History;
use crate::event::{Actor, EventKind, RequestId, TaskId};

impl History {
    pub(super) fn request(&mut self, id: TaskId, kind: EventKind) -> Check {
        match kind {
            EventKind::RequestSubmit { request, queue, .. } => {
                let new = self.requests.insert(request, (queue, id)).is_none()
                    && !self.completed.contains(&request);
                require(new, || format!("request {} is submitted twice", request.0))
            }
            EventKind::RequestServe { request } => {
                self.in_flight(request, "served")?;
                let (queue, submitter) = self.requests[&request];
                let serves = match self.servers.get(&queue) {
                    Some(servers) => servers.contains(&id),
                    // A device without a server of its own serves on the task that submits.
                    None => id == submitter || !self.is_server(id),
                };
                require(serves || self.task(id).foreign, || {
                    format!(
                        "task {} serves request {}, whose queue it does not serve",
                        id.0, request.0
                    )
                })?;
                self.task(id).open.push(Open::Serving(request));
                Ok(())
            }
            EventKind::RequestPassed { request, to } => {
                self.in_flight(request, "passed down")?;
                require(to != Actor::Request(request), || {
                    format!("request {} is passed down to itself", request.0)
                })
            }
            EventKind::RequestServed { request } => self.close(id, Open::Serving(request)),
            EventKind::RequestComplete { request, .. } => {
                self.in_flight(request, "completed")?;
                self.requests.remove(&request);
                self.completed.insert(request);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether the task serves any queue.
    fn is_server(&self, id: TaskId) -> bool {
        self.servers.values().any(|servers| servers.contains(&id))
    }

    fn in_flight(&self, request: RequestId, what: &str) -> Check {
        let why =
            if self.completed.contains(&request) { "is complete" } else { "nobody submitted" };
        require(self.requests.contains_key(&request), || {
            format!("request {} is {what}, which {why}", request.0)
        })
    }
}
