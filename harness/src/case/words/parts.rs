//! The words for parts.

use super::{COUNT, DEVICES, Field, LONG, SOME, Value, Word, may, need, or};

const NAME: Field = need("name", Value::Name, "Its name in the file and in reports.");

const fn part(
    name: &'static str,
    says: &'static str,
    fields: &'static [Field],
    example: &'static str,
) -> Word {
    Word { name, says, value: Value::Tables, fields, example }
}

/// What a stack has besides the ports.
pub const PARTS: &[Word] = &[
    part(
        "lock",
        "Any lock; a page lock may be held by a request, whose completion unlocks it.",
        &[
            NAME,
            or("kind", Value::OneOf(&["mutex", "rwsem", "page"]), "mutex", "Which kind."),
            may("class", Value::Name, "Its lock class; its name by default."),
            or("subclass", Value::Number(0, 7), "0", "The subclass with which it is taken."),
        ],
        "[[lock]]\nname = \"guard\"\nkind = \"rwsem\"",
    ),
    part(
        "flag",
        "A boolean with waiters: pinned, suspended, in recovery.",
        &[NAME, or("set", Value::Bool, "false", "Its value at the start.")],
        "[[flag]]\nname = \"pinned\"\nset = true",
    ),
    part(
        "count",
        "A number with waiters for zero: requests in flight, open handles.",
        &[NAME, or("from", COUNT, "0", "Its value at the start.")],
        "[[count]]\nname = \"handles\"",
    ),
    part(
        "space",
        "What is reserved, first come first served: log space, journal credits, tags.",
        &[
            NAME,
            need("size", SOME, "Units in all."),
            or("used", COUNT, "0", "Units that only a push round frees."),
            may("push", Value::Program, "One push round."),
            may("by", Value::Name, "The task that pushes; the waiter by default."),
            or(
                "nested",
                Value::OneOf(&["waits", "joins"]),
                "waits",
                "What a second reservation by its holder does.",
            ),
        ],
        "[[space]]\nname = \"journal\"\nsize = 8\nused = 4\npush = [{ wait = \"handles\" }]",
    ),
    part(
        "pool",
        "A mempool.",
        &[
            NAME,
            or("min", Value::Number(1, 1 << 20), "1", "Elements in reserve."),
            or("order", Value::Number(0, 10), "0", "Pages of an element as a power of two."),
        ],
        "[[pool]]\nname = \"bios\"\nmin = 4",
    ),
    part(
        "queue",
        "A work queue.",
        &[
            NAME,
            or("mem-reclaim", Value::Bool, "false", "It has a rescuer, so reclaim may wait."),
            or("workers", Value::Number(1, 1000), "1", "How many workers."),
            may("new-worker", Value::OneOf(&["allocates"]), "Starting a worker allocates."),
        ],
        "[[queue]]\nname = \"commits\"\nmem-reclaim = true",
    ),
    part(
        "work",
        "A work item.",
        &[
            NAME,
            need("on", Value::Part(&["queue"]), "The queue that runs it."),
            need("step", Value::Program, "What it does."),
        ],
        "[[work]]\nname = \"commit\"\non = \"commits\"\nstep = [{ alloc = \"GFP_NOFS\" }]",
    ),
    part(
        "device",
        "Whatever serves requests or calls: dm, nbd, FUSE, a lock manager, kthreadd.",
        &[
            NAME,
            may("served-by", Value::Name, "The task that serves; the submitter by default."),
            or("user", Value::Bool, "false", "The server is a process in user space."),
            or("threads", Value::Number(1, 1000), "1", "How many servers."),
            may("serve", Value::Program, "What it does for each request."),
            may("head", Value::Program, "What it takes before it looks at the head request."),
            may("done", Value::Program, "What it does when the request is complete."),
            may("on", Value::Part(DEVICES), "The device below, which gets each request."),
            or("takes", LONG, "0", "For how long a request is served, in milliseconds."),
            or("suspended", Value::Bool, "false", "It is suspended at the start."),
        ],
        "[[device]]\nname = \"nbd0\"\nserved-by = \"nbd-server\"\nserve = [{ alloc = \"GFP_KERNEL\" }]",
    ),
    part(
        "cache",
        "A cache with a shrinker, which is called with any mask and must `stop` itself.",
        &[
            NAME,
            or("objects", LONG, "1", "Objects at the start."),
            may("count", Value::Program, "What its count does."),
            need("scan", Value::Program, "What its scan does."),
            or("memcg-aware", Value::Bool, "false", "Reclaim of a memory cgroup asks it."),
        ],
        "[[cache]]\nname = \"site\"\nobjects = 64\nscan = [{ lock = \"guard\" }, { unlock = \"guard\" }]",
    ),
    part(
        "superblock",
        "A filesystem without a port; reclaim evicts its inodes where __GFP_FS allows it.",
        &[
            NAME,
            may("on", Value::Part(DEVICES), "Its device, to which an eviction writes."),
            or("inodes", LONG, "1", "Unused inodes at the start."),
            may("evict", Value::Program, "What the eviction of an inode does."),
        ],
        "[[superblock]]\nname = \"ext4\"\non = \"nbd0\"\ninodes = 8",
    ),
    part(
        "inode",
        "A named inode; the `put` of its last reference evicts it in the task that puts it.",
        &[
            NAME,
            need("on", Value::Part(&["superblock"]), "Its filesystem, whose `evict` runs."),
            or("refs", SOME, "1", "References at the start."),
        ],
        "[[inode]]\nname = \"dirty-inode\"\non = \"ext4\"\nrefs = 1",
    ),
];
