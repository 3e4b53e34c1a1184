//! The knobs of `reclaim-context`: each question that the proposal left open, with its decision.
//!
//! Key types: [`ReclaimContextKnobs`], [`Knob`]. The types, the defaults and the docs come from one
//! table. The first position of each knob is the decided one. Written from
//! docs/kernel/proposals.md, "The reclaim context" (questions A1 to A11).

use core::fmt;

/// A row of the table of open questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Knob {
    /// The field of [`ReclaimContextKnobs`].
    pub field: &'static str,
    /// The open question.
    pub question: &'static str,
    /// The reason for the decision.
    pub why: &'static str,
    /// The decided position, and its effect.
    pub decided: (&'static str, &'static str),
    /// The other positions, and their effects.
    pub others: &'static [(&'static str, &'static str)],
}

impl fmt::Display for Knob {
    /// A row of Markdown under [`Knob::HEADER`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, question, why, decided, others } = self;
        let others: Vec<_> =
            others.iter().map(|(name, does)| format!("`{name}`: {does}")).collect();
        let (name, does) = decided;
        write!(f, "| `{field}` | {question} | `{name}`: {does} {why} | {} |", others.join(" "))
    }
}

impl Knob {
    /// The header of the table of knobs.
    pub const HEADER: &str = "| knob | question | decided | otherwise |\n|---|---|---|---|";
}

macro_rules! knobs {
    ($($field:ident: $ty:ident, $question:literal, $why:literal,
       $decided:ident = $decided_does:literal $(, $other:ident = $other_does:literal)+;)*) => {
        $(
            #[doc = $question]
            #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
            pub enum $ty {
                #[doc = $decided_does]
                #[default]
                $decided,
                $(#[doc = $other_does] $other,)+
            }
        )*

        /// The answers to the open questions. The default has the decided answers.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct ReclaimContextKnobs {
            $(#[doc = concat!($question, " Decided: ", $decided_does, " ", $why)] pub $field: $ty,)*
        }

        impl ReclaimContextKnobs {
            /// Every knob, in order.
            pub const TABLE: &[Knob] = &[$(Knob {
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
    order: RuleOrder,
        "Are the rules tried as listed, depth before superblock?",
        "If the superblock came first, the depth would matter only for inconsistent data, so the \
         listed order is meant.",
        Listed = "A different depth denies; else another superblock allows; else the filesystem is \
                  asked.",
        SuperblockFirst = "Another superblock allows, whatever its depth.";
    several: SeveralContexts,
        "Which of several active contexts counts?",
        "The owner of each scope still holds something; a target is safe only if it needs none of \
         them.",
        All = "Each must allow.",
        Innermost = "Only the innermost: the filesystem of an outer scope is not protected.";
    plain: PlainNofs,
        "What does a NOFS scope without a context mean beside scopes with one?",
        "Its owner protects a filesystem and does not say which: as today, every one.",
        DenyAll = "Every filesystem is denied, and I/O that could lead into one.",
        Ignored = "Nothing, if there is a context.";
    unknown: UnknownDepth,
        "What if a depth cannot be known, as above a server in user space?",
        "The server may use any filesystem, also that of the holder.",
        Deny = "The target is denied.",
        Zero = "The depth counts as 0.";
    source: DepthSource,
        "Where do depths come from?",
        "The kernel's own count covers only overlay and ecryptfs; it does not include loop, dm, \
         nbd and FUSE.",
        Topology = "From the real dependencies of the stack.",
        StackDepth = "From `s_stack_depth`: filesystems directly upon filesystems.";
    when: DepthWhen,
        "Which depth counts if a stack changes while it is mounted?",
        "A scope can last longer than a binding; depths of two moments do not compare.",
        AtReclaim = "That of the moment of reclaim, for holder and target.",
        AtSave = "For the holder that in its context, for the target that of the moment of \
                  reclaim.";
    without_superblock: WithoutSuperblock,
        "Which rule applies to shrinkers without a superblock?",
        "A shrinker that waits for its device waits for the filesystems below it. At the depth of \
         the topmost of them it would count as another superblock at equal depth, so it is one \
         deeper.",
        AsIfMounted = "One that waits has the depth of a filesystem mounted in its place; one that \
                       never waits is allowed.",
        ChainBelow = "One that waits has the depth of the topmost filesystem below it, as the \
                      proposal says.",
        Uncovered = "None: it gets the effective mask, as today.";
    spanning: Spanning,
        "How deep is a filesystem that spans devices of different depth?",
        "It may need any of its devices.",
        Deepest = "As over the deepest.",
        Shallowest = "As over the shallowest.";
    swap: SwapPages,
        "Is a swap area a dependency of anonymous pages?",
        "Swap over a loop device leads into the filesystem of its file, as a cache there does. An \
         area with no filesystem below keeps I/O at any depth, as today.",
        Dependency = "Yes: anonymous pages count as a shrinker above the area that waits.",
        Uncovered = "No: anonymous pages get the effective mask, as today.";
    same_superblock: SameSuperblock,
        "What may the filesystem do when it is asked?",
        "It is called below one of its own allocations: it must not wait or allocate, and by \
         default it denies.",
        Ask = "It compares values, and answers.",
        Allow = "Nothing: the same superblock is allowed without asking.";
    memcg: MemcgContext,
        "Has memcg reclaim a context?",
        "Limit reclaim runs in the charging task, and the scopes of that task say what it holds. \
         (kswapd has no context, since it holds nothing for other tasks.)",
        Task = "That of the charging task.",
        Nobody = "None: a NOFS scope counts as plain.";
    work_items: WorkItems,
        "Has a work item the contexts of the tasks that wait for it?",
        "The waiting tasks hold their locks until the item is done.",
        Carried = "Yes.",
        Empty = "No: the worker allocates without a context.";
    shared_lower: SharedLower,
        "Are two filesystems of equal depth independent if they share a lower filesystem?",
        "The log space and the worker of a lower filesystem need no lock of an upper one. A holder \
         that keeps an element of a lower pool breaks another rule; the audit counts such pairs \
         separately.",
        Allow = "Yes: no lock leads from one to the other.",
        Deny = "No: they share its capacity.";
    file_pages: FilePages,
        "Do the rules cover page reclaim and release hooks, or only the superblock's shrinker?",
        "A release hook runs filesystem code too, also in a worker without a scope of its own.",
        Consult = "They do.",
        Effective = "File pages get the effective mask.";
    denied: DeniedWork,
        "What happens to the scan of a denied target?",
        "Otherwise pressure from scopes is lost, and the denied caches are never shrunk.",
        Deferred = "It is deferred, as after SHRINK_STOP.",
        Lost = "Nothing: reclaim skips the target.";
}
