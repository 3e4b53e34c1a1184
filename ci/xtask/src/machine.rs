//! What this machine has.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use crate::variables;

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective_uid(&status) == Some(0)
}

/// The effective user of a `/proc/PID/status`: the second number of its `Uid:` line.
fn effective_uid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Whether `program` is on the path.
pub(crate) fn has_program(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A browser that takes screenshots without a screen.
pub(crate) fn browser() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|program| has_program(program))
}

/// Whether there are fonts to draw letters with.
pub(crate) fn has_fonts() -> bool {
    Path::new("/usr/share/fonts/truetype").is_dir()
}

/// Whether bindgen would find libclang: in `LIBCLANG_PATH`, or where distributions install it.
pub(crate) fn has_libclang() -> bool {
    let told = std::env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    let versions = fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("lib"));
    let usual = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
    ];
    let folders = told.into_iter().chain(versions).chain(usual.iter().map(PathBuf::from));
    folders.into_iter().any(|folder| holds_libclang(&folder))
}

fn holds_libclang(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).any(|name| is_libclang(&name))
}

fn is_libclang(name: &str) -> bool {
    let versioned =
        name.starts_with("libclang-") && !name.starts_with("libclang-cpp") && name.contains(".so");
    name == "libclang.so" || name.starts_with("libclang.so.") || versioned
}

/// What cargo unpacked, from a registry in a local folder, of packages whose names begin with
/// `name`. The folder of such a registry begins with `-`, because it has no host.
pub(crate) fn unpacked_packages(name: &str) -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let local = home.map_or_else(Vec::new, |home| folders_in(home.join("registry/src"), "-"));
    local.into_iter().flat_map(|registry| folders_in(registry, name)).collect()
}

/// The entries of `folder` whose names begin with `name`; none if it cannot be read.
pub(crate) fn folders_in(folder: PathBuf, name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let begins = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(name);
    entries.filter(begins).map(|entry| entry.path()).collect()
}

/// A requirement of the loop tier that this machine lacks.
pub(crate) fn loop_tier_lacks() -> Option<String> {
    if !is_root() {
        return Some("not root".to_owned());
    }
    let open = |node: &&str| OpenOptions::new().read(true).write(true).open(node).err();
    let nodes = ["/dev/loop-control", "/dev/fuse"];
    nodes.iter().find_map(|node| open(node).map(|error| format!("{node}: {error}")))
}

/// Whether the environment requires the loop tier.
///
/// # Errors
/// A variable of the project that does not exist, or that requires a tier that does not exist.
pub(crate) fn requires_loop() -> Result<bool, String> {
    let names: Vec<String> =
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    variables::check_names(names.iter().map(String::as_str))?;
    let list = std::env::var_os(variables::REQUIRE).unwrap_or_default();
    Ok(variables::required_tiers(&list.to_string_lossy())?.contains(&"loop"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_is_the_second_number() {
        assert_eq!(effective_uid("Name:\tx\nUid:\t1000\t0\t1000\t0\n"), Some(0));
        assert_eq!(effective_uid("Name:\tx\n"), None);
    }

    #[test]
    fn libclang_is_found_under_its_versioned_names() {
        for name in ["libclang.so", "libclang.so.16", "libclang-14.so.1", "libclang-16.so.16.0.6"] {
            assert!(is_libclang(name), "{name}");
        }
        for name in ["libclang-cpp.so.14", "libclangBasic.a", "libclang_rt.so"] {
            assert!(!is_libclang(name), "{name}");
        }
    }
}
