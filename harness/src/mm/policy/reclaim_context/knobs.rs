//! The knobs of `reclaim-context`: every question that the proposal left open, decided.
//!
//! Key types: [`ReclaimContextKnobs`], [`Knob`]. One table: the types, the defaults and the docs
//! come from it. The first position of each is the decided one. Questions: the project's
//! description, 7.3.

use core::fmt;

/// A row of the table of open questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Knob {
    /// The question's number: `A4`; `order` for the order of the rules.
    pub id: &'static str,
    /// The field of [`ReclaimContextKnobs`].
    pub field: &'static str,
    /// What was left open.
    pub question: &'static str,
    /// Why it is decided as it is.
    pub why: &'static str,
    /// The decided position, and what it does.
    pub decided: (&'static str, &'static str),
    /// The others, and what they do.
    pub others: &'static [(&'static str, &'static str)],
}

impl fmt::Display for Knob {
    /// A row of Markdown under [`Knob::HEADER`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, field, question, why, decided, others } = self;
        let others: Vec<_> =
            others.iter().map(|(name, does)| format!("`{name}`: {does}")).collect();
        let (name, does) = decided;
        write!(
            f,
            "| {id} | `{field}` | {question} | `{name}`: {does} {why} | {} |",
            others.join(" ")
        )
    }
}

impl Knob {
    /// The header of the table of knobs.
    pub const HEADER: &str =
        "| question | knob | asks | decided | otherwise |\n|---|---|---|---|---|";
}

macro_rules! knobs {
    ($($id:literal $field:ident: $ty:ident, $question:literal, $why:literal,
       $decided:ident = $decided_does:literal $(, $other:ident = $other_does:literal)+;)*) => {
        $(
            #[doc = concat!($id, ". ", $question)]
            #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
            pub enum $ty {
                #[doc = $decided_does]
                #[default]
                $decided,
                $(#[doc = $other_does] $other,)+
            }
        )*

        /// How each open question is answered. The default is the decided answer to all.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct ReclaimContextKnobs {
            $(#[doc = concat!($id, ". ", $question, " Decided: ", $decided_does, " ", $why)] pub $field: $ty,)*
        }

        impl ReclaimContextKnobs {
            /// Every question, in order.
            pub const TABLE: &[Knob] = &[$(Knob {
                id: $id,
                field: stringify!($field),
                question: $question,
                why: $why,
                decided: (stringify!($decided), $decided_does),
                others: &[$((stringify!($other), $other_does)),+],
            }),*];
        }
    };
}

knobs! {
    "order" order: Order,
        "Are the rules tried as listed, depth before superblock?",
        "With the superblock first, depth would matter only to inconsistent data, so the listed order is meant.",
        Listed = "Different depth denies; else another superblock allows; else the filesystem is asked.",
        SuperblockFirst = "Another superblock allows, whatever its depth.";
    "A1" several: Several,
        "Which of several active contexts counts?",
        "Each scope's owner holds something still; only all of them together know that a target is safe.",
        All = "Each must allow.",
        Innermost = "The innermost alone: what an outer scope protects is forgotten.";
    "A1" plain: PlainNofs,
        "What does a NOFS scope without a context mean beside others?",
        "Its owner protects a filesystem and does not say which: as today, every one.",
        DenyAll = "Every filesystem is denied, and I/O that could reach one.",
        Ignored = "Nothing, as long as a context is there.";
    "A2" unknown: UnknownDepth,
        "What if a depth cannot be known, as below a server in user space?",
        "The server may use any filesystem, also the holder's.",
        Deny = "Deny.",
        Zero = "Take it for 0.";
    "A2" source: DepthSource,
        "Where do depths come from?",
        "The kernel's own count sees overlay and ecryptfs alone: loop, dm, nbd and FUSE are invisible to it.",
        Topology = "From the real dependencies of the stack.",
        StackDepth = "From `s_stack_depth`: filesystems directly upon filesystems.";
    "A3" when: DepthWhen,
        "Which depth counts when a stack changes while it is mounted?",
        "A scope can outlive a binding; a depth of then and one of now do not compare.",
        AtReclaim = "That of now, for holder and target.",
        AtSave = "The holder's as saved in its context, the target's of now.";
    "A4" without_superblock: WithoutSuperblock,
        "Which rule is for shrinkers without a superblock?",
        "One that waits for its device waits for the filesystems below it; at their own depth it would pass for \
         one of them, so it counts as one more.",
        AsIfMounted = "One that waits has the depth of a filesystem mounted where it stands; one that never waits \
                       is allowed.",
        ChainBelow = "One that waits has the depth of the filesystem chain under it, taken by the letter.",
        Uncovered = "None: it gets the effective mask, as today.";
    "A5" spanning: Spanning,
        "How deep is a filesystem that spans devices of different depth?",
        "Any of its devices may be the one that is needed.",
        Deepest = "As over the deepest.",
        Shallowest = "As over the shallowest.";
    "A6" swap: SwapPages,
        "Is a swap area a dependency of anonymous pages?",
        "Swap over a loop device leads into the filesystem of its file just as a cache there does. An area with \
         no filesystem below keeps I/O at any depth, as today.",
        Dependency = "Yes: as a shrinker that stands on the area and waits.",
        Uncovered = "No: anonymous pages get the effective mask, as today.";
    "A7" same_superblock: SameSuperblock,
        "What may asking the filesystem do?",
        "It is called below an allocation of its own: it must not wait or allocate, and its default answer is no.",
        Ask = "It compares what it has, and answers.",
        Allow = "Nothing: the same superblock is allowed.";
    "A8" memcg: MemcgContext,
        "Has memory-cgroup reclaim a context?",
        "Limit reclaim runs in the charging task, which holds what its scopes say. (kswapd has none: it holds \
         nothing of anyone's.)",
        Task = "That of the charging task.",
        Nobody = "None: a NOFS scope counts as plain.";
    "A8" work_items: WorkItems,
        "Has a work item the context of the task that waits for it?",
        "The waiter's locks are held until the item is done.",
        Carried = "Yes, it is carried along.",
        Empty = "No: the worker allocates as nobody.";
    "A9" shared_lower: SharedLower,
        "Equal depth over a shared filesystem: is that independent?",
        "A lower filesystem's log space and worker make progress without any upper one's locks. A holder that \
         keeps an element of a lower pool breaks another rule; the audit counts such pairs apart.",
        Allow = "Yes: no lock leads from one to the other.",
        Deny = "No: they share its capacity.";
    "A10" file_pages: FilePages,
        "Are page reclaim and release hooks under the rules, or the superblock's shrinker alone?",
        "A release hook runs filesystem code too, also for a worker that has no scope of its own.",
        Consult = "They are.",
        Effective = "They get the effective mask.";
    "A11" denied: DeniedWork,
        "What becomes of the scan that a denied target did not get?",
        "Otherwise pressure from scopes is lost, and nobody shrinks what they may not.",
        Deferred = "It stays owed, as after SHRINK_STOP.",
        Lost = "Nothing: the target is passed over.";
}
