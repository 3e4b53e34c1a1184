//! A new case file is a new test, so the tests are built anew when the folder changes.

fn main() {
    println!("cargo:rerun-if-changed=cases");
}
