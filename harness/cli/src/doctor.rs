//! `doctor`: which tiers this machine can run, what the others lack, and how to get it.

use reclaimdep::kernel::variables::{REQUIRE, RequiredTiers};
use reclaimdep::{Error, Result, Tier, rt};

use crate::exit::Exit;
use crate::output;
use crate::table::Table;

/// Prints the table of tiers, then the table of everything that was probed. It is as expected if
/// every tier that [`REQUIRE`] names can run.
///
/// # Errors
/// If [`REQUIRE`] is invalid, or the tables cannot be written.
pub(crate) fn doctor() -> Result<Exit> {
    let required = RequiredTiers::from_env()?;
    let mut tiers = Table::new(["tier", "runs here", "why not"]);
    let mut lacking = Vec::new();
    for tier in Tier::ALL {
        let why_not = rt::available(*tier).err();
        let runs = match &why_not {
            None => "yes",
            Some(_) if required.contains(*tier) => "NO",
            Some(_) => "no",
        };
        if let Some(reason) = why_not.as_ref().filter(|_| required.contains(*tier)) {
            let what = format!("{REQUIRE} names the tier {tier}, which cannot run here");
            lacking.push(Error::environment(what).because(reason.clone()));
        }
        tiers.row([tier.to_string(), runs.to_owned(), why_not.unwrap_or_default()]);
    }
    output::print(&format!("{tiers}\n{}", capabilities()))?;
    lacking.iter().for_each(|error| output::error(error));
    Ok(if lacking.is_empty() { Exit::AsExpected } else { Exit::Found })
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
    "the loop tier needs Linux\n".to_owned()
}
