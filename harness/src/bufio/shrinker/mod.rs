//! The shrinker's historic forms, one policy each (1.7).
//!
//! | form | kernels | count | scan |
//! |---|---|---|---|
//! | `s0` | 3.2-3.17 | client lock if the mask has IO, else try-lock | the same; with IO it writes and waits |
//! | `s1` | 3.18 | client lock if the mask has FS, else try-lock | the same; with FS it writes and waits |
//! | `s1r` | late 2014 | as `s1` | as `s1`, down to what the client retains |
//! | `s2` | from about 4.10 | lock-free | as `s1r` |
//! | `s3` | 5.2.3 | lock-free | try-lock; with FS it writes and waits |
//! | `s4` | 5.3 | as `s2` | as `s2` |
//! | `s5` | 5.9 | lock-free | counts up what is owed, queues the work, returns |
//! | `s6` | 6.4 | as `s5` | as `s5`; the work drops the lock now and then |
//!
//! `inline` carries out those that do the work themselves, `deferred` those that leave it to the
//! queue.

mod deferred;
mod inline;
mod s0;
mod s1;
mod s1r;
mod s2;
mod s3;
mod s4;
mod s5;
mod s6;

use std::sync::Arc;

use super::client::Client;
use crate::era::ShrinkerForm;
use crate::mm::PortShrinker;
use crate::mm::policy::{Target, Waits};

/// A shrinker form in force.
pub(super) trait Form: Send + Sync {
    /// As what the memory manager calls.
    fn as_shrinker(self: Arc<Self>) -> Arc<dyn PortShrinker>;

    /// Waits for work that scans left behind.
    fn flush(&self) {}
}

/// The form that was set by hand, or the era's.
pub(super) fn form(client: &Client) -> Arc<dyn Form> {
    let form = client.0.options.shrinker.unwrap_or(client.knobs().bufio_shrinker);
    let inline = |policy| Arc::new(inline::Inline::new(client, policy)) as Arc<dyn Form>;
    let deferred = |policy| Arc::new(deferred::Deferred::new(client, policy)) as Arc<dyn Form>;
    match form {
        ShrinkerForm::S0 => inline(s0::POLICY),
        ShrinkerForm::S1 => inline(s1::POLICY),
        ShrinkerForm::S1r => inline(s1r::POLICY),
        ShrinkerForm::S2 => inline(s2::POLICY),
        ShrinkerForm::S3 => inline(s3::POLICY),
        ShrinkerForm::S4 => inline(s4::POLICY),
        ShrinkerForm::S5 => deferred(s5::POLICY),
        ShrinkerForm::S6 => deferred(s6::POLICY),
    }
}

/// What policies know of a form that waits so.
fn target(client: &Client, waits: Waits) -> Option<Target> {
    client.0.node.map(|node| Target::Shrinker { node, waits })
}

fn shrinker_name(client: &Client) -> String {
    format!("dm-bufio:{}", client.device_name())
}
