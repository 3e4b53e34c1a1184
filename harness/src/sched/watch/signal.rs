//! Linux: the signal handlers that say where a stuck thread is and which task overflowed its stack.
//!
//! Key type: [`AlternateStack`]. A handler interrupts any code, also the allocator and the
//! unwinder, so it stores raw addresses in memory that is there already and calls nothing that
//! allocates or locks; another thread looks the addresses up. The unwinder may fault if it
//! interrupted itself: the handler of that fault ends the capture, and the thread, which is stuck
//! anyway, stays there. What is not ours goes to the handler that was there before.
//!
//! Locking: one thread captures at a time.
#![expect(unsafe_code, reason = "signal handlers and their stacks are for libc alone")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::super::SpinLock;

/// Bytes of a handler's stack: the first use of the unwinder takes 8 KiB.
const HANDLER_STACK: usize = 64 << 10;
/// Frames that are stored at the most.
const FRAMES: usize = 96;
/// Milliseconds that a thread may take to answer. One that waits in the kernel uninterruptibly does
/// not.
const ANSWER: u32 = 200;
/// A guard page is looked for so far below and above where it should be: how far the top of a stack
/// is above the first frame of its task is not known.
const BELOW: usize = 3 * 4096;
const ABOVE: usize = 64 << 10;

/// The thread whose frames are wanted, or 0.
static WANTED: AtomicI32 = AtomicI32::new(0);
/// The thread that stores its frames now, or 0.
static STORING: AtomicI32 = AtomicI32::new(0);
/// Whether it has stored them.
static STORED: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicUsize = AtomicUsize::new(0);
static ADDRESSES: [AtomicUsize; FRAMES] = [const { AtomicUsize::new(0) }; FRAMES];

/// Threads that have a stack for the handlers.
static PREPARED: SpinLock<Vec<i32>> = SpinLock::new(Vec::new());

thread_local! {
    // Constant and without a destructor: they are read in a signal handler.
    static COROUTINE: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    static OVERFLOWED: Cell<*const AtomicBool> = const { Cell::new(ptr::null()) };
}

/// The signal by which a thread is asked for its frames, and the handlers of faults before ours;
/// none where the signal is in use.
struct Installed {
    ask: Option<c_int>,
    before: [(c_int, libc::sigaction); 2],
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Sets the highest address and the size of the stack of the coroutine that runs from now on;
/// returns what was set before.
pub(in crate::sched) fn set_coroutine(stack: (usize, usize)) -> (usize, usize) {
    COROUTINE.replace(stack)
}

/// Where the handler says that a coroutine of this thread overflowed its stack. The flag must live
/// as long as coroutines run here.
pub(super) fn report_overflow_to(flag: &Arc<AtomicBool>) {
    OVERFLOWED.set(Arc::as_ptr(flag));
}

/// The stack of this thread's handlers. It is put back at the drop.
pub(in crate::sched) struct AlternateStack {
    before: libc::stack_t,
    thread: i32,
    _stack: Box<[MaybeUninit<u8>]>,
}

impl AlternateStack {
    /// Gives the thread a stack for handlers, and the process its handlers.
    pub(super) fn install() -> Self {
        INSTALLED.get_or_init(install_handlers);
        let mut stack = Box::new_uninit_slice(HANDLER_STACK);
        let new =
            libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: HANDLER_STACK };
        let mut before =
            libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: the memory lives as long as the guard, whose drop takes it away from the thread.
        unsafe { libc::sigaltstack(&raw const new, &raw mut before) };
        let thread = super::thread::own_id();
        PREPARED.lock().push(thread);
        Self { before, thread, _stack: stack }
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        let mut prepared = PREPARED.lock();
        prepared.retain(|thread| *thread != self.thread);
        // SAFETY: it is what the thread had before.
        unsafe { libc::sigaltstack(&raw const self.before, ptr::null_mut()) };
    }
}

fn action(handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void)) -> libc::sigaction {
    // SAFETY: zero bytes are an empty mask and no flags.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    action
}

/// Sets the handler of `signal`; returns the one before.
fn set(signal: c_int, new: &libc::sigaction) -> libc::sigaction {
    let mut before = *new;
    // SAFETY: both point to whole structures.
    unsafe { libc::sigaction(signal, new, &raw mut before) };
    before
}

fn install_handlers() -> Installed {
    let ask = libc::SIGRTMAX() - 2;
    let mut used = action(store_frames);
    // SAFETY: it is only asked what is installed.
    unsafe { libc::sigaction(ask, ptr::null(), &raw mut used) };
    let free = used.sa_sigaction == libc::SIG_DFL;
    if free {
        set(ask, &action(store_frames));
    }
    let faults = [libc::SIGSEGV, libc::SIGBUS];
    Installed {
        ask: free.then_some(ask),
        before: faults.map(|fault| (fault, set(fault, &action(on_fault)))),
    }
}

/// The return addresses of a thread that was given a stack for it, innermost first; empty where it
/// does not answer.
pub(super) fn frames(thread: i32) -> Vec<usize> {
    static ONE_AT_A_TIME: SpinLock<()> = SpinLock::new(());
    let _one = ONE_AT_A_TIME.lock();
    let Some(ask) = INSTALLED.get().and_then(|installed| installed.ask) else {
        return Vec::new();
    };
    if !PREPARED.lock().contains(&thread) {
        return Vec::new();
    }
    COUNT.store(0, Ordering::Relaxed);
    STORED.store(false, Ordering::Release);
    WANTED.store(thread, Ordering::Release);
    // SAFETY: it asks the kernel to signal a thread of this process; one that is gone is an error.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, ask) };
    for _ in 0..ANSWER {
        if sent != 0 || STORED.load(Ordering::Acquire) {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    WANTED.store(0, Ordering::Release);
    let count = COUNT.load(Ordering::Acquire).min(FRAMES);
    ADDRESSES[..count].iter().map(|address| address.load(Ordering::Relaxed)).collect()
}

fn store(address: usize) -> bool {
    let at = COUNT.load(Ordering::Relaxed);
    let room = ADDRESSES.get(at).map(|place| place.store(address, Ordering::Relaxed));
    if room.is_some() {
        COUNT.store(at + 1, Ordering::Release);
    }
    room.is_some()
}

/// This thread waits for ever.
fn stay() -> ! {
    loop {
        // SAFETY: it only waits.
        unsafe { libc::pause() };
    }
}

extern "C" fn store_frames(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    let me = super::thread::own_id();
    if WANTED.load(Ordering::Acquire) != me || STORING.swap(me, Ordering::AcqRel) != 0 {
        return;
    }
    // SAFETY: the place of this thread's error number, which what was interrupted may read next.
    let errno = unsafe { *libc::__errno_location() };
    // The interrupted place first: walking may fail.
    store(interrupted(context));
    // SAFETY: the walk reads this thread's stack. Where it faults, `on_fault` ends it.
    unsafe { backtrace::trace_unsynchronized(|frame| store(frame.ip() as usize)) };
    STORING.store(0, Ordering::Release);
    STORED.store(true, Ordering::Release);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// The instruction that a signal interrupted; 0 where the harness does not know the registers.
fn interrupted(context: *mut c_void) -> usize {
    let context = context.cast::<libc::ucontext_t>();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel passes a whole context.
    return usize::try_from(unsafe { (*context).uc_mcontext.gregs[libc::REG_RIP as usize] })
        .unwrap_or(0);
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the kernel passes a whole context.
    return usize::try_from(unsafe { (*context).uc_mcontext.pc }).unwrap_or(0);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let _ = context;
        0
    }
}

/// Whether `address` is in the guard page of a stack of `bytes` that reaches down from `top`.
fn is_guard(address: usize, top: usize, bytes: usize) -> bool {
    let end = top.saturating_sub(bytes);
    top != 0 && (end.saturating_sub(BELOW)..end.saturating_add(ABOVE)).contains(&address)
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    if STORING.load(Ordering::Acquire) == super::thread::own_id() {
        STORING.store(0, Ordering::Release);
        STORED.store(true, Ordering::Release);
        stay();
    }
    // SAFETY: the kernel passes a whole description of the fault.
    let address = unsafe { (*info).si_addr() } as usize;
    let ((top, bytes), flag) = (COROUTINE.get(), OVERFLOWED.get());
    if is_guard(address, top, bytes) && !flag.is_null() {
        // SAFETY: the flag lives as long as coroutines run on this thread, and one does.
        unsafe { (*flag).store(true, Ordering::Release) };
        stay();
    }
    pass_on(signal, info, context);
}

/// Calls the handler before ours. Where there was none, the fault is taken again and ends the
/// process.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let before = INSTALLED.get().map(|installed| &installed.before);
    let before = before.and_then(|known| known.iter().find(|(known, _)| *known == signal));
    match before {
        Some((_, before)) if before.sa_sigaction > libc::SIG_IGN => {
            let handler = before.sa_sigaction as *const ();
            if before.sa_flags & libc::SA_SIGINFO == 0 {
                // SAFETY: without SA_SIGINFO the address is that of a handler of this type.
                let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
                handler(signal);
            } else {
                // SAFETY: with SA_SIGINFO the address is that of a handler of this type.
                let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                    unsafe { std::mem::transmute(handler) };
                handler(signal, info, context);
            }
        }
        _ => {
            // SAFETY: zero bytes are the default action.
            let default = unsafe { MaybeUninit::zeroed().assume_init() };
            set(signal, &default);
        }
    }
}
