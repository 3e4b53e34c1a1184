//! Limits of sizes: what is refused by name before anything is built.
//!
//! Key function: [`check`]. The setters of a spec take any number; what they were given is checked
//! here, in one place, in arithmetic that does not wrap.

use super::spec::{BufioSpec, Disk, FsSpec, LoopSpec, StackSpec, SwapSpec};
use crate::error::{Error, Result};
use crate::fs::MAX_FILE_SIZE;
use crate::mm::{MAX_PAGES, MAX_SWAP_PAGES, MemcgSpec};

const MIB: u64 = 1 << 20;
/// The largest filesystem, 100 GiB: one transaction must be able to hold all its bitmap blocks.
const MAX_FS_MIB: u64 = 100 << 10;
/// The largest file, and so the largest loop device.
const MAX_LOOP_MIB: u64 = MAX_FILE_SIZE / MIB;
/// The last block that a client can be asked for: its last byte has a number.
const MAX_BLOCK: u64 = (1 << 32) - 1;

/// Refuses the first size that cannot be built.
///
/// # Errors
/// Input: the part, the size and its limit.
pub(crate) fn check(spec: &StackSpec) -> Result<()> {
    let StackSpec { pages, memory, fs, loops, bufio } = spec;
    limit("memory", "pages", *pages, MAX_PAGES.0)?;
    if let Some(MemcgSpec { limit: most, low, .. }) = memory.memcg {
        limit("memcg", "pages as its limit", most.0, MAX_PAGES.0)?;
        limit("memcg", "pages as its low", low.0, MAX_PAGES.0)?;
    }
    for SwapSpec { name, pages, .. } in &memory.swap {
        limit(&format!("swap area `{name}`"), "pages", *pages as u64, MAX_SWAP_PAGES as u64)?;
    }
    for FsSpec { name, disk, mib, .. } in fs {
        if matches!(disk, Disk::Memory | Disk::TempFile) {
            limit(&format!("fs `{name}`"), "MiB", *mib, MAX_FS_MIB)?;
        }
    }
    for LoopSpec { name, mib, .. } in loops {
        limit(&format!("loop device `{name}`"), "MiB", *mib, MAX_LOOP_MIB)?;
    }
    for BufioSpec { name, dirty, .. } in bufio {
        let part = format!("bufio client `{name}`");
        let last = dirty.iter().copied().max().unwrap_or(0);
        limit(&part, "as the number of a dirty block", last, MAX_BLOCK)?;
    }
    Ok(())
}

fn limit(part: &str, of: &str, size: u64, limit: u64) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    Err(Error::input(format!("{part}: {size} {of}")).advice(format!("give it at most {limit}")))
}

/// `mib` MiB in bytes, for `part`.
///
/// # Errors
/// Input: there is no such number of bytes.
pub(super) fn bytes(part: &str, mib: u64) -> Result<u64> {
    let most = u64::MAX / MIB;
    limit(part, "MiB", mib, most).map(|()| mib * MIB)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::MemorySpec;
    use crate::units::Pages;

    /// The sizes wrap to 4 where arithmetic does not check them.
    const WRAPS: u64 = (1 << 44) + 4;

    #[track_caller]
    fn check_refused(spec: StackSpec, says: &[&str]) {
        let error = check(&spec).unwrap_err().to_string();
        for part in says {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_size_that_would_wrap_is_refused_by_name() {
        let lower = || StackSpec::default().fs(FsSpec::in_memory("lower", 8));
        let wraps = WRAPS.to_string();
        check_refused(
            StackSpec::default().fs(FsSpec::in_memory("lower", WRAPS)),
            &["fs `lower`", &wraps, "102400"],
        );
        check_refused(
            StackSpec::default().fs(FsSpec::on_temp_file("lower", WRAPS)),
            &["fs `lower`", &wraps],
        );
        check_refused(
            lower().loop_device(LoopSpec::new("loop0", "lower", "a", WRAPS)),
            &["loop device `loop0`", &wraps, &MAX_LOOP_MIB.to_string()],
        );
        check_refused(
            StackSpec::default().pages((1 << 52) + 4096),
            &["memory", &((1_u64 << 52) + 4096).to_string(), &MAX_PAGES.to_string()],
        );
        let swap = |area| StackSpec::default().memory(MemorySpec::default().swap(area));
        check_refused(
            swap(SwapSpec::in_memory("swap0", (1 << 52) + 4)),
            &["swap area `swap0`", &((1_u64 << 52) + 4).to_string()],
        );
        let memcg = MemcgSpec::new(Pages(u64::MAX)).low(Pages(1));
        check_refused(
            StackSpec::default().memory(MemorySpec::default().memcg(memcg)),
            &["memcg", &u64::MAX.to_string()],
        );
        let client = BufioSpec::new("meta", "loop0").dirty([0, 1 << 61]);
        check_refused(
            lower().loop_device(LoopSpec::new("loop0", "lower", "a", 1)).bufio(client),
            &["bufio client `meta`", &(1_u64 << 61).to_string()],
        );
    }

    #[test]
    fn the_largest_sizes_pass() {
        let memory = MemorySpec::default().swap(SwapSpec::in_memory("swap0", MAX_SWAP_PAGES));
        let largest = StackSpec::default()
            .pages(MAX_PAGES.0)
            .memory(memory)
            .fs(FsSpec::in_memory("lower", MAX_FS_MIB))
            .loop_device(LoopSpec::new("loop0", "lower", "a", MAX_LOOP_MIB));
        assert!(check(&largest).is_ok());
    }

    #[test]
    fn a_number_of_mebibytes_never_wraps() {
        assert_eq!(bytes("fs `lower`", 4).unwrap(), 4 * MIB);
        let error = bytes("fs `lower`", WRAPS).unwrap_err().to_string();
        assert!(error.contains("fs `lower`") && error.contains(&WRAPS.to_string()), "{error}");
    }
}
