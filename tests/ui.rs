//! The attribute's diagnostics: each file of `ui/` must fail to compile with exactly its `.stderr`.
//!
//! `TRYBUILD=overwrite cargo test -p reclaimdep-tests --test ui` writes them anew.

#[test]
fn every_diagnostic_is_as_written() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
