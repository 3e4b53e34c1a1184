//! The host against the real machine. Each test says aloud when it cannot run, and fails where
//! `RECLAIMDEP_REQUIRE` names the tier.

mod file;
mod fixture;
mod kill;
mod stack;
mod supervised;
