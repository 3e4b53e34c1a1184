//! `doctor`: which tiers this machine can run, what the others lack, and how to get it.

use reclaimdep::{Tier, rt};

use crate::table::Table;

/// The table of tiers, then the table of everything that was probed.
pub(crate) fn doctor() -> String {
    let mut tiers = Table::new(["tier", "runs here", "why not"]);
    for tier in Tier::ALL {
        let available = rt::available(*tier);
        let runs = if available.is_ok() { "yes" } else { "no" };
        tiers.row([tier.to_string(), runs.to_owned(), available.err().unwrap_or_default()]);
    }
    format!("{tiers}\n{}", capabilities())
}

#[cfg(target_os = "linux")]
fn capabilities() -> String {
    let mut table = Table::new(["capability", "for the loop tier", "here"]);
    for row in reclaimdep::kernel::host::doctor() {
        let need = if row.required { "needed" } else { "optional" };
        let here = row.missing.map_or_else(|| "ok".to_owned(), |missing| missing.to_string());
        table.row([row.name.to_owned(), need.to_owned(), here]);
    }
    table.to_string()
}

#[cfg(not(target_os = "linux"))]
fn capabilities() -> String {
    "the loop tier needs Linux".to_owned()
}
