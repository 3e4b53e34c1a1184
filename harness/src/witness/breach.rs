//! `Breach`: the rules between allocator, reclaimer and shrinker that can be broken, in one table.
//!
//! Findings of RD07 to RD13 name them. Written from docs/kernel/shrinkers.md, "The shrink_slab
//! protocol", "The superblock shrinker" and "Rules of conduct", and docs/kernel/rules.md,
//! "Invariants"; `docs/invariants.md` says which invariant each rule belongs to.

use crate::witness::Code;
use core::fmt;

macro_rules! breaches {
    ($($name:ident, $code:ident, $text:literal, $sentence:literal;)*) => {
        /// A rule that was broken.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Breach {
            $(#[doc = $sentence] $name,)*
        }

        impl Breach {
            /// Every rule, in order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code of a finding that names it.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)* }
            }

            /// In a few words.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What happened and what to do instead, as a sentence about the task.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

breaches! {
    CountWaits, RD07, "count waits",
        "it waits inside a shrinker's count; keep the number in an atomic and read that";
    CountAllocates, RD07, "count allocates",
        "it allocates inside a shrinker's count; count without memory";
    CountChanges, RD07, "count changes the cache",
        "a count changed the cache: a second count directly after it gave another number, or it \
         began work; only look";
    CountDependsOnMask, RD07, "count depends on the mask",
        "the same cache was counted differently for another mask; count honestly and refuse in \
         scan, so that the work is deferred";
    Overclaimed, RD07, "scan claims too much",
        "a scan claims more objects than it looked at or than were counted; return what was \
         really freed, or declare that it is deferred";
    Panicked, RD07, "shrinker panics",
        "a shrinker panicked in the middle of the allocation of another task; it is not called \
         again";
    WaitsInKswapd, RD07, "scan waits in kswapd",
        "a scan that kswapd runs waits for I/O or for a task in direct reclaim; hand the work to \
         a queue of its own";
    ScanTakesSuperblock, RD07, "scan without FS takes a superblock's lock",
        "a scan that may not enter filesystems asked for the lock of a superblock, or tried it; \
         look at the mask first";
    ScanWaits, RD07, "scan without FS waits",
        "a scan that may not enter filesystems waits; try the lock, or answer SHRINK_STOP";
    NestedReclaim, RD08, "reclaim inside reclaim",
        "it reclaims although it is the reclaimer; PF_MEMALLOC must stay set until reclaim ends";
    MalformedMask, RD08, "malformed mask",
        "its mask contradicts itself or the flags of the task";
    MaskGrew, RD08, "effective mask has more than the request",
        "a scope can only take bits away";
    ScopeIgnored, RD08, "effective mask is not what the scopes make it",
        "it differs from the request with the task's open scopes applied: NOIO clears IO and FS, \
         NOFS clears FS, PIN clears MOVABLE";
    NofailFailed, RD08, "__GFP_NOFAIL failed",
        "a request that must not fail and may wait got nothing";
    ReservesTaken, RD08, "reserves taken without right",
        "it took pages below the watermark that its request may go down to; only a reclaimer or \
         __GFP_MEMALLOC may";
    AnnotationUnbalanced, RD08, "annotation unbalanced",
        "reclaim's pseudo-locks were not released as they were taken: take them before \
         PF_MEMALLOC is set, release them after it is restored";
    DeferredWrong, RD08, "deferred work miscounted",
        "what a pass over a shrinker deferred is not what it left undone, or is more than twice \
         the cache";
    KswapdWaits, RD08, "kswapd waits",
        "kswapd waits for I/O or for a task in direct reclaim, which may itself wait for memory";
    KswapdMask, RD08, "kswapd has another mask",
        "kswapd reclaims with GFP_KERNEL, whatever the mask of the task that woke it";
    PoolSleeps, RD08, "pool sleeps",
        "it sleeps for an element of a pool although the mask does not let it";
    PoolTakesReserves, RD08, "pool draws on the reserves",
        "a pool asks for memory without __GFP_NOMEMALLOC; its own elements are its reserve";
    PoolFails, RD08, "pool fails",
        "a request that may wait got no element of a pool";
    PoolStarves, RD08, "pool starves a waiter",
        "elements came back and no other task took them, and the waiter went back to sleep each \
         time";
    WaitsForUnsafeQueue, RD08, "waits for a queue that is not reclaim-safe",
        "a reclaimer, or a worker that reclaim may wait for, waits for a work queue that may need \
         memory to make progress; create that queue with WQ_MEM_RECLAIM";
    Convoy, RD09, "convoy",
        "it waits for I/O and holds a lock that others have waited for longer than the bound; \
         release the lock before waiting";
    PhantomProgress, RD10, "phantom progress",
        "shrinkers that defer claimed enough for this allocation, no other task took it, and it \
         failed; claim what was really freed";
    ScopeWithoutAllocation, RD11, "scope without an allocation",
        "nothing was allocated in the scope; enter it where the resource is taken that makes \
         reclaim dangerous, or drop it";
    RedundantMask, RD11, "mask redundant under its scope",
        "the request restricts what its scope restricts already; write GFP_KERNEL and leave it to \
         the scope";
    NoioWhereNofsWouldDo, RD11, "NOIO where NOFS would do",
        "the task serves no request and is in no block layer, so reclaim could do I/O for it; use \
         nofs";
    ScopeAroundOne, RD11, "scope around a single allocation",
        "nothing but one allocation happened in the scope; enter it where the resource is taken \
         that makes reclaim dangerous";
    UnscopedUnderLock, RD11, "allocation under a lock that reclaim takes",
        "reclaim with this mask took a lock of the same class, and no scope was open; enter one \
         before taking the lock";
    LeftLocked, RD12, "lock held at the end",
        "a lock is still held although the world has ended; drop its guard on every path";
    LeftRegistered, RD12, "shrinker registered at the end",
        "a shrinker is still registered although the world has ended; unregister it before its \
         cache is dropped";
    LeftInFlight, RD12, "request or work left at the end",
        "a request or a work item is unfinished although the world has ended; wait for it before \
         its server is taken down";
    LeftOut, RD12, "pool element kept at the end",
        "an element of a pool was not given back; a task that waits for it would wait for ever";
    LeftHeld, RD12, "buffer held at the end",
        "a client was destroyed or reset while a buffer of it was held; drop every hold before \
         that";
    LostData, RD13, "acknowledged data is lost",
        "a version that was acknowledged as durable is not there after the crash; flush before \
         acknowledging, and change none of it in place before what changes it is durable";
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.sentence())
    }
}

#[cfg(test)]
mod tests;
