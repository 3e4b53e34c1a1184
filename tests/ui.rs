//! The attribute's diagnostics: each file of `ui/` must fail to compile with exactly its `.stderr`.
//!
//! `TRYBUILD=overwrite cargo test -p reclaimdep-tests --test ui` rewrites them.

#[test]
fn every_diagnostic_is_the_recorded_one() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
