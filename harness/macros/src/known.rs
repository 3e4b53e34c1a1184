//! The words that keys accept.
//!
//! A procedural macro cannot ask the library that uses it, so the lists are repeated here. A test
//! of the workspace includes this file and compares it with the library's tables.

/// Tiers as `Tier` prints them, each with the name of its variant.
pub(crate) const TIERS: &[(&str, &str)] =
    &[("model", "Model"), ("native", "Native"), ("loop", "Loop")];

/// Eras as `Era::name` gives them.
pub(crate) const ERAS: &[&str] =
    &["v3.10", "v3.18", "v4.19", "v5.2", "v5.3", "v5.9", "v6.1", "v6.12"];

/// Finding codes as `Code` prints them.
pub(crate) const CODES: &[&str] = &[
    "RD01", "RD02", "RD03", "RD04", "RD05", "RD06", "RD07", "RD08", "RD09", "RD10", "RD11", "RD12",
    "RD13",
];

/// Kinds of pressure.
pub(crate) const PRESSURES: &[&str] = &["every_allocation"];
