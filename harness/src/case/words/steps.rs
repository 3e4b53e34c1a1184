//! The words for steps and tests.

use super::{COUNT, DEVICES, Field, LONG, SOME, Value, Word, may, need, or};

const FS: Field = need("fs", Value::Name, "The filesystem.");
const FILE_NAME: Field = need("file", Value::Name, "The file's name.");
const CLIENT_NAME: Field = need("client", Value::Name, "The buffer cache.");

/// A file.
const FILE: &[Field] = &[FS, FILE_NAME];
/// Bytes of a file.
const WRITE_FILE: &[Field] = &[
    FS,
    FILE_NAME,
    or("offset", LONG, "0", "The first byte."),
    need("bytes", COUNT, "The number of bytes."),
];
/// A transaction.
const BEGIN: &[Field] = &[FS, need("credits", SOME, "Log blocks that it may use.")];
/// A block of a buffer cache.
const BLOCK: &[Field] = &[CLIENT_NAME, need("block", LONG, "The number of the block.")];
/// A buffer cache.
const CLIENT: &[Field] = &[CLIENT_NAME];

const fn word(
    name: &'static str,
    value: Value,
    says: &'static str,
    fields: &'static [Field],
    example: &'static str,
) -> Word {
    Word { name, says, value, fields, example }
}

/// What a task does.
pub const STEPS: &[Word] = &[
    word(
        "lock",
        Value::Part(&["lock"]),
        "Takes a lock; of an rwsem, for writing.",
        &[],
        "{ lock = \"guard\" }",
    ),
    word(
        "lock-shared",
        Value::Part(&["lock"]),
        "Takes an rwsem for reading.",
        &[],
        "{ lock-shared = \"guard\" }",
    ),
    word(
        "try-lock",
        Value::Part(&["lock"]),
        "Takes a lock if it is free.",
        &[
            or("shared", Value::Bool, "false", "For reading."),
            may("else", Value::Program, "What happens if it is not free."),
        ],
        "{ try-lock = \"guard\", else = [\"stop\"] }",
    ),
    word("unlock", Value::Part(&["lock"]), "Releases a lock.", &[], "{ unlock = \"guard\" }"),
    word(
        "alloc",
        Value::Mask,
        "Allocates pages, and frees them at once.",
        &[
            or("order", Value::Number(0, 10), "0", "Pages as a power of two."),
            or("times", Value::Number(1, 10_000), "1", "How often."),
            or("keep", Value::Bool, "false", "The pages stay until `free`."),
            or("kind", Value::OneOf(&["pages", "vmalloc"]), "pages", "What is allocated."),
        ],
        "{ alloc = \"GFP_NOFS\", order = 1 }",
    ),
    word("free", Value::Nothing, "Frees what the newest `alloc` with `keep` got.", &[], "\"free\""),
    word(
        "scope",
        Value::OneOf(&["nofs", "noio", "noreclaim", "io-flusher"]),
        "Enters a scope.",
        &[],
        "{ scope = \"nofs\" }",
    ),
    word("end-scope", Value::Nothing, "Leaves the innermost scope.", &[], "\"end-scope\""),
    word("set", Value::Part(&["flag"]), "Makes a flag true.", &[], "{ set = \"pinned\" }"),
    word("clear", Value::Part(&["flag"]), "Makes a flag false.", &[], "{ clear = \"pinned\" }"),
    word(
        "wait",
        Value::Part(&["flag", "count"]),
        "Waits until a flag has a value, or a count is zero.",
        &[may("until", Value::Bool, "The value of the flag; true by default.")],
        "{ wait = \"pinned\", until = false }",
    ),
    word("inc", Value::Part(&["count"]), "Adds one to a count.", &[], "{ inc = \"handles\" }"),
    word("dec", Value::Part(&["count"]), "Takes one from a count.", &[], "{ dec = \"handles\" }"),
    word(
        "reserve",
        Value::Part(&["space"]),
        "Reserves units, and waits for them.",
        &[or("n", SOME, "1", "How many units.")],
        "{ reserve = \"journal\", n = 4 }",
    ),
    word(
        "try-reserve",
        Value::Part(&["space"]),
        "Reserves units if they are there.",
        &[
            or("n", SOME, "1", "How many units."),
            may("else", Value::Program, "What happens if they are not there."),
        ],
        "{ try-reserve = \"journal\", else = [\"stop\"] }",
    ),
    word(
        "release",
        Value::Part(&["space"]),
        "Gives back what was reserved and not used.",
        &[],
        "{ release = \"journal\" }",
    ),
    word(
        "take",
        Value::Part(&["pool", "inode"]),
        "Takes an element of a pool, or a reference to an inode.",
        &[
            or("mask", Value::Mask, "GFP_NOIO", "The mask of the request."),
            may(
                "else",
                Value::Program,
                "What happens if there is none; the task waits by default.",
            ),
        ],
        "{ take = \"bios\" }",
    ),
    word(
        "put",
        Value::Part(&["pool", "inode"]),
        "Gives an element back to its pool, or a reference to an inode: the last evicts it here.",
        &[],
        "{ put = \"bios\" }",
    ),
    word(
        "write",
        Value::PartOr(DEVICES, WRITE_FILE),
        "Submits a write and waits for it, or writes bytes of a file.",
        &[],
        "{ write = \"nbd0\" }",
    ),
    word(
        "read",
        Value::Part(DEVICES),
        "Submits a read and waits for it.",
        &[],
        "{ read = \"nbd0\" }",
    ),
    word(
        "submit",
        Value::Part(DEVICES),
        "Submits a request, and does not wait.",
        &[or(
            "op",
            Value::OneOf(&["read", "write", "flush", "discard"]),
            "write",
            "Which request.",
        )],
        "{ submit = \"nbd0\" }",
    ),
    word(
        "suspend",
        Value::Part(&["device"]),
        "Holds back every new request.",
        &[],
        "{ suspend = \"nbd0\" }",
    ),
    word(
        "resume",
        Value::Part(&["device"]),
        "Lets requests pass again.",
        &[],
        "{ resume = \"nbd0\" }",
    ),
    word(
        "queue-work",
        Value::Part(&["work"]),
        "Queues a work item.",
        &[
            or("in-scopes", Value::Bool, "false", "The item runs in the scopes of this task."),
            or(
                "completes",
                Value::Bool,
                "false",
                "In `done` of a device: the request is complete when the item has run.",
            ),
        ],
        "{ queue-work = \"commit\" }",
    ),
    word(
        "wait-work",
        Value::Part(&["work"]),
        "Waits until a work item has run.",
        &[],
        "{ wait-work = \"commit\" }",
    ),
    word(
        "run-here",
        Value::Part(&["work"]),
        "Runs a work item that is still queued, in this task.",
        &[],
        "{ run-here = \"commit\" }",
    ),
    word(
        "flush-queue",
        Value::Part(&["queue"]),
        "Waits until everything on a queue has run.",
        &[],
        "{ flush-queue = \"commits\" }",
    ),
    word("stop", Value::Nothing, "Ends the program.", &[], "\"stop\""),
    word(
        "repeat",
        Value::Number(1, 10_000),
        "Runs steps several times.",
        &[need("step", Value::Program, "The steps.")],
        "{ repeat = 3, step = [{ alloc = \"GFP_KERNEL\" }] }",
    ),
    word(
        "if",
        Value::Test,
        "Runs steps if a test holds.",
        &[
            may("then", Value::Program, "The steps if it holds."),
            may("else", Value::Program, "The steps if it does not."),
        ],
        "{ if = { mask-lacks = \"__GFP_FS\" }, then = [\"stop\"] }",
    ),
    word(
        "create",
        Value::Table(FILE),
        "Makes a file.",
        &[],
        "{ create = { fs = \"lower\", file = \"a\" } }",
    ),
    word(
        "fsync",
        Value::Table(FILE),
        "Makes a file durable.",
        &[],
        "{ fsync = { fs = \"lower\", file = \"a\" } }",
    ),
    word(
        "begin",
        Value::Table(BEGIN),
        "Opens a transaction.",
        &[],
        "{ begin = { fs = \"lower\", credits = 4 } }",
    ),
    word("commit", Value::Nothing, "Closes the innermost transaction.", &[], "\"commit\""),
    word(
        "dirty",
        Value::Table(BLOCK),
        "Dirties a block of a buffer cache.",
        &[],
        "{ dirty = { client = \"meta\", block = 0 } }",
    ),
    word(
        "read-block",
        Value::Table(BLOCK),
        "Reads a block of a buffer cache.",
        &[],
        "{ read-block = { client = \"meta\", block = 0 } }",
    ),
    word(
        "flush",
        Value::Table(CLIENT),
        "Writes every dirty buffer of a cache, and waits.",
        &[],
        "{ flush = { client = \"meta\" } }",
    ),
];
/// What an `if` asks.
pub const TESTS: &[Word] = &[
    word(
        "mask-has",
        Value::Mask,
        "The mask of the allocation that reclaims has these bits.",
        &[],
        "{ mask-has = \"__GFP_IO\" }",
    ),
    word(
        "mask-lacks",
        Value::Mask,
        "The mask of the allocation that reclaims lacks one of these bits.",
        &[],
        "{ mask-lacks = \"__GFP_FS\" }",
    ),
    word(
        "flag",
        Value::Part(&["flag"]),
        "A flag has a value.",
        &[or("is", Value::Bool, "true", "The value.")],
        "{ flag = \"pinned\", is = false }",
    ),
    word("in-reclaim", Value::Bool, "The program runs in reclaim.", &[], "{ in-reclaim = true }"),
    word("kswapd", Value::Bool, "The task is kswapd.", &[], "{ kswapd = true }"),
];
