//! The historic forms of the shrinker, as one table (docs/kernel/dm-bufio.md, "The shrinker's
//! forms").
//!
//! Key type: [`FormRow`]. The cycles are those of docs/kernel/dm-bufio.md, "The four cycles". A:
//! a task of a filesystem reclaims in NOFS and waits in the scan for a write, which needs a lock
//! that the task holds. B: a task holds the client lock and waits for a write, whose server
//! reclaims and wants that lock. C: the server's own reclaim writes a buffer, and the write is
//! queued to the server. D: no cycle, but reclaimers wait for the client lock while its holder
//! waits for I/O.

use crate::era::ShrinkerForm;
use crate::event::Gfp;
use Locking::{ByMask, None as NoLock, Try};

/// How a callback gets the client lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Locking {
    /// It waits if the mask permits waiting, and tries otherwise.
    ByMask,
    /// It tries.
    Try,
    /// It does without.
    None,
}

/// A form that does the work in the scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct InlinePolicy {
    /// With this bit in the mask the shrinker may write and wait, and sleep on the lock.
    pub(super) permission: Gfp,
    pub(super) count: Locking,
    pub(super) scan: Locking,
    /// The scan leaves the buffers that the client retains.
    pub(super) retains: bool,
}

/// A form that leaves the work to a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DeferredPolicy {
    /// After so many evictions the work gives up the client lock once.
    pub(super) reschedule: Option<u64>,
}

/// Where the work is done, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Policy {
    Inline(InlinePolicy),
    Deferred(DeferredPolicy),
}

/// One form.
pub(super) struct FormRow {
    pub(super) form: ShrinkerForm,
    /// Its name in words.
    pub(super) name: &'static str,
    /// The kernels that have it.
    pub(super) kernels: &'static str,
    pub(super) policy: Policy,
    /// The cycles that are possible with it.
    pub(super) cycles: &'static str,
}

const fn inline(permission: Gfp, count: Locking, scan: Locking, retains: bool) -> Policy {
    Policy::Inline(InlinePolicy { permission, count, scan, retains })
}

const fn deferred(reschedule: Option<u64>) -> Policy {
    Policy::Deferred(DeferredPolicy { reschedule })
}

/// Every form, oldest first.
pub(super) const FORMS: &[FormRow] = &[
    FormRow {
        form: ShrinkerForm::S0,
        name: "waits if the mask has IO",
        kernels: "3.2-3.17",
        policy: inline(Gfp::IO, ByMask, ByMask, false),
        cycles: "A, B, C, D",
    },
    FormRow {
        form: ShrinkerForm::S1,
        name: "waits if the mask has FS",
        kernels: "3.18 (9d28eb12447e, 2014)",
        policy: inline(Gfp::FS, ByMask, ByMask, false),
        cycles: "B, C, D",
    },
    FormRow {
        form: ShrinkerForm::S1r,
        name: "waits if the mask has FS, and leaves the retained buffers",
        kernels: "late 2014",
        policy: inline(Gfp::FS, ByMask, ByMask, true),
        cycles: "B, C, D",
    },
    FormRow {
        form: ShrinkerForm::S2,
        name: "counts without the lock",
        kernels: "from about 4.10 (2016)",
        policy: inline(Gfp::FS, NoLock, ByMask, true),
        cycles: "B, C, D",
    },
    FormRow {
        form: ShrinkerForm::S3,
        name: "only tries the lock in the scan",
        kernels: "5.2.3 (bd293d071ffe, 2019)",
        // Once the scan has the lock it still writes and waits.
        policy: inline(Gfp::FS, NoLock, Try, true),
        cycles: "C",
    },
    FormRow {
        form: ShrinkerForm::S4,
        name: "waits for the lock again, and relies on the NOIO scope of the loop worker",
        kernels: "5.3 (cf3591ef8329, 2019; the scope: d0a255e795ab)",
        policy: inline(Gfp::FS, NoLock, ByMask, true),
        cycles: "D; B, C without the scope",
    },
    FormRow {
        form: ShrinkerForm::S5,
        name: "leaves the work to a work queue",
        kernels: "5.9 (70704c33db84, 2020)",
        policy: deferred(None),
        cycles: "none through reclaim",
    },
    FormRow {
        form: ShrinkerForm::S6,
        name: "leaves the work to a work queue that gives up the lock now and then",
        kernels: "6.4 and later",
        policy: deferred(Some(16)),
        cycles: "none through reclaim",
    },
];

/// The row of a form.
pub(super) fn row(form: ShrinkerForm) -> &'static FormRow {
    FORMS.iter().find(|row| row.form == form).expect("every form has a row")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_one_row_with_a_name_of_its_own() {
        let forms: Vec<_> = FORMS.iter().map(|row| row.form).collect();
        assert_eq!(forms, ShrinkerForm::ALL);
        let names: std::collections::BTreeSet<_> = FORMS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), FORMS.len());
        for FormRow { form, policy, kernels, cycles, .. } in FORMS {
            assert_eq!(matches!(policy, Policy::Deferred(_)), form.is_deferred(), "{form:?}");
            assert!(!kernels.is_empty() && !cycles.is_empty());
        }
    }
}
