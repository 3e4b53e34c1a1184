//! A lock that a request holds: a task that waits for it waits for the server of the request.

use super::*;

/// "reader" holds `journal` and waits for the lock of a page that a request holds. `completes` and
/// `wants` say whether the request is complete before the reader asks, and whether its server wants
/// the journal; `late` that the server takes the request after the reader asked.
fn page_lock(s: &mut Script, completes: bool, wants: bool, late: bool) {
    let (page, journal) = (s.lock("page", "7"), s.lock("journal", "lower"));
    let (writer, reader) = (s.task("writer"), s.task("reader"));
    let (queue, server) = s.queue("loop0");
    s.take(reader, journal, WRITE);
    s.take(writer, page, WRITE);
    let request = s.submit(writer, queue);
    s.give_up(writer, page);
    s.on(writer, EventKind::LockHandOver { lock: page, request });
    if !late {
        s.serve(server, queue, request);
    }
    if completes {
        s.on(server, EventKind::RequestComplete { request, error: None });
    }
    if late {
        s.want(reader, page, WRITE, false);
        s.serve(server, queue, request);
    }
    if wants {
        s.want(server, journal, WRITE, false);
    }
    if !late {
        s.want(reader, page, WRITE, false);
    }
}

#[test]
fn a_waiter_for_a_lock_that_a_request_holds_waits_for_its_server() {
    for late in [false, true] {
        let s = check(&["RD04"], |s| page_lock(s, false, true, late));
        assert_eq!(s.last().cycle.len(), 2, "the reader and loop0");
        check(&[], |s| page_lock(s, false, false, late));
    }
    check(&[], |s| page_lock(s, true, true, false));
}
