//! The shrinker of a client, in each of its historic forms (docs/kernel/dm-bufio.md, "The
//! shrinker's forms").
//!
//! | module | holds |
//! |---|---|
//! | `forms` | the table: the name and the behaviour of each form |
//! | `inline` | the forms that do the work in the scan |
//! | `deferred` | the forms that leave it to a work queue |

mod deferred;
mod forms;
mod inline;

use std::sync::Arc;

use super::client::{Client, ClientShrinker};
use crate::era::ShrinkerForm;
use crate::mm::policy::{Target, Waits};

/// The shrinker of a client: the form that was set by hand, or the era's.
pub(super) fn form(client: &Client) -> Arc<dyn ClientShrinker> {
    let form = client.0.options.shrinker.unwrap_or(client.shared().knobs.bufio_shrinker);
    match forms::row(form).policy {
        forms::Policy::Inline(policy) => Arc::new(inline::Inline::new(client, policy)),
        forms::Policy::Deferred(policy) => Arc::new(deferred::Deferred::new(client, policy)),
    }
}

/// A form in words: its label and name, the kernels that have it, and the cycles that are possible
/// with it.
#[must_use]
pub fn describe(form: ShrinkerForm) -> String {
    let forms::FormRow { name, kernels, cycles, .. } = forms::row(form);
    format!("{form:?}, {name} ({kernels}; cycles: {cycles})")
}

/// The target of policies for a form that waits in this way.
fn target(client: &Client, waits: Waits) -> Option<Target> {
    client.0.node.map(|node| Target::Shrinker { node, waits })
}

fn shrinker_name(client: &Client) -> String {
    format!("dm-bufio:{}", client.device_name())
}
