//! The table of functions: which layer they are, what waiting in them means, what is held inside.
//!
//! Key types: [`Means`], [`Waits`]; key functions: [`means`], [`waits`], [`holds_handle`]. A row is
//! a pattern, in which one `*` stands for anything; of the rows that fit, the one with most letters
//! wins. Suffixes that a compiler adds do not count. Names of functions are facts; what they mean
//! is from docs/kernel/report-texts.md, "From frames to layers".

use crate::event::{Layer, ReclaimKind};

/// What it means that a task is in a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Means {
    /// It is in this layer, of this sort: `ext4`.
    Layer(Layer, &'static str),
    /// It reclaims.
    Reclaim(ReclaimKind),
    /// It goes through the shrinkers: the next function inside is one.
    Shrinkers,
    /// It is in a shrinker's scan.
    Scan,
    /// It is in a shrinker's count.
    Count,
    /// It is where a server in user space takes requests.
    Server,
}

/// What a task waits for in a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waits {
    /// A sleep of the scheduler's, which says nothing: the function outside does.
    Sleep,
    /// A mutex or a semaphore, which one the text does not say.
    Lock,
    /// A bit, a page, an I/O, a completion: the function outside says of what.
    Done,
    /// A write or read of a buffer of dm-bufio's.
    Buffer,
    /// A transaction that is being closed; the commit must finish first.
    Transaction,
    /// As the committer, that every open handle is closed.
    Handles,
    /// That a commit has ended.
    Commit,
    /// Something else that has a name, and whose doer the text does not say.
    Other,
}

const SYMBOLS: &[(&str, Means)] = &[
    ("try_to_free_pages", Means::Reclaim(ReclaimKind::Direct)),
    ("do_try_to_free_pages", Means::Reclaim(ReclaimKind::Direct)),
    ("shrink_node*", Means::Reclaim(ReclaimKind::Direct)),
    ("shrink_zone*", Means::Reclaim(ReclaimKind::Direct)),
    ("shrink_lruvec", Means::Reclaim(ReclaimKind::Direct)),
    ("try_to_free_mem_cgroup_pages", Means::Reclaim(ReclaimKind::Memcg)),
    ("kswapd", Means::Reclaim(ReclaimKind::Kswapd)),
    ("balance_pgdat", Means::Reclaim(ReclaimKind::Kswapd)),
    ("kcompactd*", Means::Reclaim(ReclaimKind::Compaction)),
    ("shrink_slab*", Means::Shrinkers),
    ("do_shrink_slab", Means::Shrinkers),
    ("*_shrink_scan", Means::Scan),
    ("*_cache_scan", Means::Scan),
    ("*_scan_objects", Means::Scan),
    ("*_shrink_count", Means::Count),
    ("*_cache_count", Means::Count),
    ("*_count_objects", Means::Count),
    ("dm_bufio_*", Means::Layer(Layer::BUFIO, "dm-bufio")),
    ("loop_handle_cmd", Means::Layer(Layer::LOOP, "loop")),
    ("loop_process_work", Means::Layer(Layer::LOOP, "loop")),
    ("loop_thread", Means::Layer(Layer::LOOP, "loop")),
    ("loop_*workfn", Means::Layer(Layer::LOOP, "loop")),
    ("lo_rw_aio*", Means::Layer(Layer::LOOP, "loop")),
    ("lo_write_*", Means::Layer(Layer::LOOP, "loop")),
    ("do_req_filebacked", Means::Layer(Layer::LOOP, "loop")),
    ("swap_writepage*", Means::Layer(Layer::SWAP, "swap")),
    ("__swap_writepage*", Means::Layer(Layer::SWAP, "swap")),
    ("ext2_*", Means::Layer(Layer::FS, "ext2")),
    ("ext3_*", Means::Layer(Layer::FS, "ext3")),
    ("ext4_*", Means::Layer(Layer::FS, "ext4")),
    ("__ext4_*", Means::Layer(Layer::FS, "ext4")),
    ("xfs_*", Means::Layer(Layer::FS, "xfs")),
    ("__xfs_*", Means::Layer(Layer::FS, "xfs")),
    ("xlog_*", Means::Layer(Layer::FS, "xfs")),
    ("btrfs_*", Means::Layer(Layer::FS, "btrfs")),
    ("f2fs_*", Means::Layer(Layer::FS, "f2fs")),
    ("gfs2_*", Means::Layer(Layer::FS, "gfs2")),
    ("ocfs2_*", Means::Layer(Layer::FS, "ocfs2")),
    ("nfs_*", Means::Layer(Layer::FS, "nfs")),
    ("fuse_*", Means::Layer(Layer::FS, "fuse")),
    // The server's side is below the filesystem, not in it.
    ("fuse_dev_*", Means::Server),
];

/// Layers by the module in brackets, where the function's own name says nothing.
const MODULES: &[(&str, Means)] = &[
    ("dm_bufio", Means::Layer(Layer::BUFIO, "dm-bufio")),
    ("loop", Means::Layer(Layer::LOOP, "loop")),
    ("ext2", Means::Layer(Layer::FS, "ext2")),
    ("ext4", Means::Layer(Layer::FS, "ext4")),
    ("xfs", Means::Layer(Layer::FS, "xfs")),
    ("btrfs", Means::Layer(Layer::FS, "btrfs")),
    ("f2fs", Means::Layer(Layer::FS, "f2fs")),
    ("gfs2", Means::Layer(Layer::FS, "gfs2")),
    ("ocfs2", Means::Layer(Layer::FS, "ocfs2")),
    ("nfs", Means::Layer(Layer::FS, "nfs")),
    ("fuse", Means::Layer(Layer::FS, "fuse")),
];

const WAITS: &[(&str, Waits)] = &[
    ("__schedule", Waits::Sleep),
    ("schedule*", Waits::Sleep),
    ("__switch_to*", Waits::Sleep),
    ("context_switch", Waits::Sleep),
    ("io_schedule*", Waits::Done),
    ("bit_wait*", Waits::Done),
    ("__wait_on_bit*", Waits::Done),
    ("out_of_line_wait_on_bit*", Waits::Done),
    ("wait_on_bit*", Waits::Done),
    ("wait_for_completion*", Waits::Done),
    ("__wait_for_common", Waits::Done),
    ("do_wait_for_common", Waits::Done),
    ("__mutex_lock*", Waits::Lock),
    ("mutex_lock*", Waits::Lock),
    ("rwsem_down_*", Waits::Lock),
    ("down_read*", Waits::Lock),
    ("down_write*", Waits::Lock),
    ("__try_evict_buffer", Waits::Buffer),
    ("__make_buffer_clean", Waits::Buffer),
    ("__write_dirty_buffer", Waits::Buffer),
    ("__get_unclaimed_buffer", Waits::Buffer),
    ("new_read", Waits::Buffer),
    ("wait_transaction_locked", Waits::Transaction),
    ("wait_transaction_switching", Waits::Transaction),
    ("add_transaction_credits", Waits::Transaction),
    ("start_this_handle", Waits::Transaction),
    ("jbd2_journal_wait_updates", Waits::Handles),
    ("jbd2_log_wait_commit", Waits::Commit),
    ("log_wait_commit", Waits::Commit),
    ("xlog_grant_head_wait", Waits::Other),
    ("request_wait_answer", Waits::Other),
    ("blk_mq_get_tag", Waits::Other),
    ("blk_queue_enter", Waits::Other),
    ("__bio_queue_enter", Waits::Other),
    ("wbt_wait", Waits::Other),
    ("rq_qos_wait", Waits::Other),
    ("submit_bio_wait", Waits::Other),
    ("folio_wait_*", Waits::Other),
    ("wait_on_page_bit*", Waits::Other),
    ("__wait_on_buffer", Waits::Other),
    ("__flush_work*", Waits::Other),
    ("flush_work*", Waits::Other),
    ("mempool_alloc*", Waits::Other),
];

/// Functions that are given an open handle of the journal: a task in one of them holds a
/// transaction open.
const IN_HANDLE: &[&str] = &[
    "ext4_reserve_inode_write",
    "__ext4_mark_inode_dirty",
    "ext4_mark_iloc_dirty",
    "__ext4_new_inode",
    "ext4_orphan_add",
    "ext4_orphan_del",
    "ext4_add_entry",
    "ext4_delete_entry",
    "ext4_ext_insert_extent",
    "ext4_ext_map_blocks",
    "ext4_mb_new_blocks",
    "ext4_free_blocks",
    "ext4_do_update_inode",
    "__ext4_journal_get_write_access",
    "__ext4_handle_dirty_metadata",
    "jbd2_journal_get_write_access",
    "jbd2_journal_get_create_access",
    "jbd2_journal_get_undo_access",
    "jbd2_journal_dirty_metadata",
    "jbd2_journal_extend",
    "jbd2_journal_revoke",
];

/// Functions that open a handle: a task that waits in one has no handle yet.
const OPENS_HANDLE: &[&str] =
    &["jbd2__journal_start", "jbd2_journal_start", "__ext4_journal_start_sb"];

/// A function's name without what a compiler adds.
fn plain(symbol: &str) -> &str {
    let suffixes = [".isra.", ".part.", ".constprop.", ".llvm.", ".cold"];
    let cut = suffixes.iter().filter_map(|suffix| symbol.find(suffix)).min();
    &symbol[..cut.unwrap_or(symbol.len())]
}

/// How many letters of `symbol` the pattern names; none where it does not fit.
fn fits(pattern: &str, symbol: &str) -> Option<usize> {
    let letters = pattern.len() - pattern.matches('*').count();
    let fits = match pattern.split_once('*') {
        None => pattern == symbol,
        Some((start, end)) => {
            symbol.len() >= letters && symbol.starts_with(start) && symbol.ends_with(end)
        }
    };
    fits.then_some(letters)
}

fn look_up<T: Copy>(table: &[(&'static str, T)], symbol: &str) -> Option<(&'static str, T)> {
    let symbol = plain(symbol);
    let rows = table.iter().filter_map(|row| Some((fits(row.0, symbol)?, *row)));
    rows.max_by_key(|(letters, _)| *letters).map(|(_, row)| row)
}

/// What it means to be in this function of this module.
pub(super) fn means(symbol: &str, module: Option<&str>) -> Option<Means> {
    let by_name = look_up(SYMBOLS, symbol).map(|(_, means)| means);
    let by_module =
        || MODULES.iter().find(|(name, _)| Some(*name) == module).map(|(_, means)| *means);
    by_name.or_else(by_module)
}

/// The layer that a module is.
pub(super) fn layer_of(module: Option<&str>) -> Option<(Layer, &'static str)> {
    match means("", module) {
        Some(Means::Layer(layer, sort)) => Some((layer, sort)),
        _ => None,
    }
}

/// What waiting in this function is for, and the function as the table names it.
pub(super) fn waits(symbol: &str) -> Option<(&'static str, Waits)> {
    look_up(WAITS, symbol)
}

/// Whether a transaction is open inside this function.
pub(super) fn holds_handle(symbol: &str) -> bool {
    IN_HANDLE.contains(&plain(symbol))
}

/// Whether this function opens a transaction.
pub(super) fn opens_handle(symbol: &str) -> bool {
    OPENS_HANDLE.contains(&plain(symbol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(symbol: &str, module: Option<&str>, expected: Option<Means>) {
        assert_eq!(means(symbol, module), expected, "{symbol}");
    }

    #[test]
    fn the_row_with_most_letters_wins_and_suffixes_do_not_count() {
        let bufio = Some(Means::Layer(Layer::BUFIO, "dm-bufio"));
        check("dm_bufio_read", None, bufio);
        check("dm_bufio_shrink_scan", Some("dm_bufio"), Some(Means::Scan));
        check("legacy_scan", Some("dm_bufio"), bufio);
        check("try_to_free_pages.part.0", None, Some(Means::Reclaim(ReclaimKind::Direct)));
        check("shrink_slab.part.3", None, Some(Means::Shrinkers));
        check("loop_rootcg_workfn", Some("loop"), Some(Means::Layer(Layer::LOOP, "loop")));
        check("vfs_write", None, None);
    }

    #[test]
    fn a_pattern_is_no_shorter_than_its_letters() {
        assert_eq!(fits("loop_*workfn", "loop_workfn"), Some(11));
        assert_eq!(fits("ab*ba", "aba"), None);
    }

    #[test]
    fn a_wait_is_named_as_the_table_names_it() {
        assert_eq!(waits("__mutex_lock.constprop.0"), Some(("__mutex_lock*", Waits::Lock)));
        assert_eq!(
            waits("wait_transaction_locked"),
            Some(("wait_transaction_locked", Waits::Transaction))
        );
        assert_eq!(waits("vfs_write"), None);
    }

    #[test]
    fn a_handle_is_open_below_what_is_given_one() {
        assert!(holds_handle("__ext4_mark_inode_dirty") && !holds_handle("ext4_dirty_inode"));
    }
}
