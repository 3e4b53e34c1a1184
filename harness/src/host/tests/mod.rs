//! The host on the real machine. A test that cannot run prints the reason, and fails where
//! `RECLAIMDEP_REQUIRE` names the tier.

mod diagnose;
mod file;
mod fixture;
mod kill;
mod stack;
mod supervised;
