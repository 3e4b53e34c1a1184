//! Texts of other kernels, other tasks and other tools than the recordings that are shipped;
//! damage; loss.

use super::{Imported, import};
use crate::event::{Event, EventKind, Resource};

fn kind(event: &Event) -> String {
    format!("{:?}", event.kind).split([' ', '{']).next().unwrap_or("").to_owned()
}

/// The kinds of the events without spawns, each once in a row.
fn kinds(imported: &Imported) -> String {
    let mut kinds: Vec<String> =
        imported.events.iter().map(kind).filter(|kind| kind != "TaskSpawn").collect();
    kinds.dedup();
    kinds.join(" ")
}

fn tasks(imported: &Imported) -> Vec<&str> {
    let spawned =
        imported.events.iter().filter(|event| matches!(event.kind, EventKind::TaskSpawn { .. }));
    spawned.map(|event| imported.names.task(event.task)).collect()
}

/// What each wait is for: the name of a condition, or the kind of anything else.
fn waits(imported: &Imported) -> Vec<String> {
    let of = |event: &Event| match event.kind {
        EventKind::WaitBegin { resource: Resource::Condition(id), .. } => {
            Some(imported.names.condition(id).to_owned())
        }
        EventKind::WaitBegin { resource, .. } => Some(format!("{resource:?}")),
        _ => None,
    };
    imported.events.iter().filter_map(of).collect()
}

#[track_caller]
fn check(text: &str, expected_tasks: &[&str], expected: &str, expected_waits: &[&str]) -> Imported {
    let imported = import("x", text.as_bytes());
    assert!(imported.damage.is_none(), "{:?}", imported.damage);
    assert_eq!(tasks(&imported), expected_tasks);
    assert_eq!(kinds(&imported), expected);
    assert_eq!(waits(&imported), expected_waits);
    imported
}

const KSWAPD: &str = "\
[ 4021.118203] INFO: task kswapd0:71 blocked for more than 120 seconds.
[ 4021.118211]       Not tainted 4.18.0-test #1
[ 4021.118214] \"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.
[ 4021.118217] kswapd0         D    0    71      2 0x80000000
[ 4021.118220] Call Trace:
[ 4021.118226]  __schedule+0x2a1/0x7c0
[ 4021.118231]  io_schedule+0x12/0x40
[ 4021.118236]  bit_wait_io+0xd/0x50
[ 4021.118241]  out_of_line_wait_on_bit+0x91/0xb0
[ 4021.118249]  __make_buffer_clean+0x4c/0x60 [dm_bufio]
[ 4021.118254]  dm_bufio_shrink_scan+0x8a/0x120 [dm_bufio]
[ 4021.118259]  shrink_slab.part.3+0x1d2/0x3b0
[ 4021.118263]  ? free_unref_page+0x60/0x60
[ 4021.118266]  kswapd+0x2e4/0x640
";

#[test]
fn an_old_detector_is_read() {
    let expected = "ReclaimEnter ShrinkScanBegin LayerEnter WaitBegin";
    let imported = check(KSWAPD, &["kswapd0/71"], expected, &["__make_buffer_clean"]);
    assert_eq!(imported.release.as_deref(), Some("4.18.0-test"));
    assert!(imported.notes.is_empty(), "{:?}", imported.notes);
}

#[test]
fn what_logs_and_mails_put_before_a_line_does_not_count() {
    let plain = kinds(&import("x", KSWAPD.as_bytes()));
    for prefix in ["> ", "<4>", "Jun 26 12:00:01 host kernel: ", "> <6>", "[T71] "] {
        let text: String = KSWAPD.lines().map(|line| format!("{prefix}{line}\n")).collect();
        assert_eq!(kinds(&import("x", text.as_bytes())), plain, "{prefix}");
    }
}

#[test]
fn a_crash_tool_is_read() {
    let text = "\
PID: 5120   TASK: ffff9a0102334500  CPU: 3   COMMAND: \"loop2\"
 #0 [ffffa1e0c0d3f9a8] __schedule at ffffffff8f9a1c22
 #1 [ffffa1e0c0d3fa30] schedule at ffffffff8f9a2107
 #2 [ffffa1e0c0d3fa50] __mutex_lock at ffffffff8f9a3b90
 #3 [ffffa1e0c0d3fae0] dm_bufio_shrink_count at ffffffffc05a1244 [dm_bufio]
 #4 [ffffa1e0c0d3fb10] shrink_slab at ffffffff8f25d3aa
 #5 [ffffa1e0c0d3fbd8] do_try_to_free_pages at ffffffff8f262e51
 #6 [ffffa1e0c0d3fc60] __alloc_pages_slowpath at ffffffff8f2b0d70
 #7 [ffffa1e0c0d3fde0] loop_handle_cmd at ffffffff8f7714cd
";
    let expected = "QueueServer LayerEnter ReclaimEnter ShrinkCountBegin WaitBegin";
    check(text, &["loop2/5120"], expected, &["__mutex_lock*"]);
}

#[test]
fn a_stack_of_proc_of_another_filesystem_is_read() {
    let text = "\
/proc/12/stack:
[<0>] xlog_grant_head_wait+0xc2/0x1f0 [xfs]
[<0>] xfs_trans_alloc+0xe4/0x1a0 [xfs]
[<0>] evict+0xd1/0x1a0
[<0>] super_cache_scan+0x15a/0x1c0
[<0>] try_to_free_pages+0xe2/0x1d0
[<0>] xfs_trans_dup+0x2c/0xd0 [xfs]
[<ffffffffffffffff>] 0xffffffffffffffff
";
    check(text, &["task/12"], "LayerEnter ReclaimEnter WaitBegin", &["xlog_grant_head_wait"]);
}

#[test]
fn a_task_that_runs_does_not_wait_and_one_shown_twice_is_where_it_was_last() {
    let block = |state: &str, frame: &str| {
        format!(
            "task:a b:c state:{state} stack:0 pid:7 ppid:1 flags:0x0\n <TASK>\n {frame}+0x1/0x2\n </TASK>\n"
        )
    };
    check(&block("R", "io_schedule"), &["a b:c/7"], "", &[]);
    let twice = block("D", "io_schedule") + &block("D", "request_wait_answer");
    check(&twice, &["a b:c/7"], "WaitBegin", &["request_wait_answer"]);
}

#[test]
fn requests_are_matched_by_sector() {
    let text = "\
dd-8 [001] ..... 1.000001: block_bio_queue: 7,0 WS 2048 + 8 [dd]
dd-8 [001] ..... 1.000002: block_bio_queue: 7,0 R 4096 + 8 [dd]
dd-8 [001] ..... 1.000003: block_rq_issue: 7,0 WS 4096 () 2048 + 8 none,0,0 [dd]
<idle>-0 [001] d.h1. 1.000004: block_rq_complete: 7,0 WS () 2048 + 8 [0]
<idle>-0 [001] d.h1. 1.000005: block_rq_complete: 7,0 R () 9999 + 8 [0]
";
    let imported = check(text, &["dd/8", "<idle>/0"], "RequestSubmit RequestComplete", &[]);
    let ended = imported.events.iter().filter(|event| kind(event) == "RequestComplete");
    assert_eq!(ended.count(), 1);
}

#[test]
fn work_of_a_loop_device_is_in_its_layer() {
    let text = "\
dd-8 [001] ..... 1.000001: workqueue_queue_work: work struct=00000000f1 function=loop_rootcg_workfn workqueue=loop0 req_cpu=8 cpu=1
kworker/u4:1-9 [001] ..... 1.000002: workqueue_execute_start: work struct 00000000f1: function loop_rootcg_workfn
kworker/u4:1-9 [001] ..... 1.000003: workqueue_execute_end: work struct 00000000f1: function loop_rootcg_workfn
";
    let expected = "WorkQueued WorkBegin LayerEnter LayerExit WorkEnd";
    check(text, &["dd/8", "kworker/u4:1/9"], expected, &[]);
}

const SCAN: &str = "mm_shrink_slab_start: super_cache_scan+0x0/0x1 00f1: nid: 0 objects to shrink 0 gfp_flags GFP_NOFS cache items 9 delta 0 total_scan 9 priority 12";

fn line(micros: u32, text: &str) -> String {
    format!("dd-8 [001] ..... 1.{micros:06}: {text}\n")
}

#[test]
fn a_pass_that_scans_nothing_is_no_scan() {
    check(&line(1, &SCAN.replace("total_scan 9", "total_scan 0")), &["dd/8"], "", &[]);
    check(&line(1, SCAN), &["dd/8"], "ReclaimEnter ShrinkScanBegin", &[]);
}

const BEGIN: &str = "mm_vmscan_direct_reclaim_begin: order=0 gfp_flags=GFP_NOFS|__GFP_WRITE";
const END: &str = "mm_vmscan_direct_reclaim_end: nr_reclaimed=3";

#[test]
fn a_lost_end_is_no_scan_that_never_returned() {
    let text: String = [BEGIN, SCAN, SCAN, END, BEGIN, BEGIN, END]
        .iter()
        .zip(1..)
        .map(|(text, n)| line(n, text))
        .collect();
    let expected = "ReclaimEnter ShrinkScanBegin ShrinkScanEnd ShrinkScanBegin ShrinkScanEnd ReclaimExit \
                    ReclaimEnter ReclaimExit ReclaimEnter ReclaimExit";
    let imported = check(&text, &["dd/8"], expected, &[]);
    assert_eq!(imported.notes, ["3 events have no counterpart in the recording"]);
}

#[test]
fn where_ends_are_not_recorded_the_next_event_of_the_task_ends_it() {
    let alloc = "mm_page_alloc: page=0 pfn=0 order=0 migratetype=1 gfp_flags=GFP_KERNEL";
    let text = line(1, BEGIN) + &line(2, SCAN) + &line(3, alloc);
    let imported = import("x", text.as_bytes());
    assert!(kinds(&imported).ends_with("ReclaimExit AllocBegin AllocEnd"), "{}", kinds(&imported));
}

#[test]
fn what_the_kernel_lost_and_what_is_not_understood_is_said() {
    let text = format!(
        "hello\nCPU:1 [LOST 7 EVENTS]\n{}{}",
        line(1, "sched_switch: a ==> b"),
        line(2, BEGIN)
    );
    let notes = import("x", text.as_bytes()).notes.join("; ");
    assert!(
        notes.contains("lost 7 events")
            && notes.contains("2 lines were not understood, the first is line 1"),
        "{notes}"
    );
}

/// Two sound lines, then `bad`: the two are read, and the error names the third.
#[track_caller]
fn check_damage(bad: &[u8], says: &str) {
    let sound = line(5, BEGIN) + &line(6, END);
    let imported = import("x", &[sound.as_bytes(), bad, b"\n", line(9, BEGIN).as_bytes()].concat());
    let message = imported.damage.as_ref().expect("it is damaged").to_string();
    assert!(message.starts_with("line 3, byte ") && message.contains(says), "{message}");
    assert_eq!(kinds(&imported), "ReclaimEnter ReclaimExit");
}

#[test]
fn what_begins_as_a_known_line_and_does_not_go_on_as_one_is_damage() {
    let cut = |text: &str, keep: usize| line(7, text)[..keep].to_owned();
    check_damage(cut(BEGIN, 60).as_bytes(), "no gfp_flags");
    check_damage(cut(BEGIN, 40).as_bytes(), "cut off");
    check_damage(
        line(7, BEGIN).replace("GFP_NOFS", "GFP_N\u{0}FS").trim_end().as_bytes(),
        "no gfp_flags",
    );
    check_damage(
        line(7, SCAN).replace("total_scan 9", "total_scan x").trim_end().as_bytes(),
        "no total_scan",
    );
    check_damage(
        line(7, "p: (dm_bufio_shrink_scan+0x0/0x50 [dm_b").trim_end().as_bytes(),
        "cut off",
    );
    check_damage(line(2, BEGIN).trim_end().as_bytes(), "the clock goes back");
    check_damage(&[b'a', 0xff, b'b'], "not text");
}
