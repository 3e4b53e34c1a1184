//! `doctor`: which tiers this machine can run, and what the others lack.

use reclaimdep::Tier;

use crate::table::Table;

/// One line for each tier.
pub(crate) fn doctor() -> String {
    let mut table = Table::new(["tier", "runs here", "what is missing"]);
    for tier in Tier::ALL {
        let missing = missing(*tier);
        let runs = if missing.is_empty() { "yes" } else { "no" };
        table.row([tier.to_string(), runs.to_owned(), missing.join("; ")]);
    }
    table.to_string()
}

/// What `tier` needs and this machine does not have.
fn missing(tier: Tier) -> Vec<String> {
    match tier {
        Tier::Model | Tier::Native => Vec::new(),
        Tier::Loop => ["/dev/loop-control", "/dev/fuse"]
            .iter()
            .filter_map(|node| unusable(node))
            .collect(),
    }
}

fn unusable(node: &str) -> Option<String> {
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(node);
    opened.err().map(|error| format!("{node}: {error}"))
}
