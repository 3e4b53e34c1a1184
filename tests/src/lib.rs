//! Tests that cross the workspace's packages. There is no library here: see the test targets.
//!
//! | target | needs | holds |
//! |---|---|---|
//! | `it` | nothing | the cases, the attribute, the tree's own rules |
//! | `ui` | nothing | the attribute's diagnostics, one file each |
//! | `privileged` | root, loop devices, FUSE | real devices; tests that cannot run here are listed as ignored |
