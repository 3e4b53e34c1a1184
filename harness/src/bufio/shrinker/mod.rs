//! The shrinker's historic forms, one policy each (1.7).
//!
//! | form | kernels | count | scan |
//! |---|---|---|---|
//! | S0 | 3.2-3.17 | client lock if the mask has IO, else try-lock | the same; with IO it writes and waits |
//! | S1 | 3.18 | client lock if the mask has FS, else try-lock | the same; with FS it writes and waits |
//! | S5 | 5.9 | lock-free | counts up what is owed, queues the cleaner, returns |

mod classic;
mod work_queue;

use std::sync::Arc;

use super::client::Client;
use crate::era::ShrinkerForm;
use crate::event::Gfp;
use crate::mm::Shrinker;
use crate::mm::policy::{Target, Waits};

/// A shrinker form in force.
pub(super) trait Form: Send + Sync {
    /// As what the memory manager calls.
    fn as_shrinker(self: Arc<Self>) -> Arc<dyn Shrinker>;

    /// Waits for work that scans left behind. Called after unregistering.
    fn flush(&self) {}
}

/// The form that the era's knobs ask for.
pub(super) fn form(client: &Client) -> Arc<dyn Form> {
    match client.knobs().bufio_shrinker {
        ShrinkerForm::S0 => Arc::new(classic::Classic::new(client, Gfp::IO)),
        ShrinkerForm::S1 => Arc::new(classic::Classic::new(client, Gfp::FS)),
        ShrinkerForm::S5 => Arc::new(work_queue::WorkQueueForm::new(client)),
    }
}

/// What policies know of a form that waits so.
fn target(client: &Client, waits: Waits) -> Option<Target> {
    client.0.parts.node.map(|node| Target::Shrinker { node, waits })
}

fn shrinker_name(client: &Client) -> String {
    format!("dm-bufio:{}", client.device_name())
}
