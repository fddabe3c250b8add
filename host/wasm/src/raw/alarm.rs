//! The deadline's timer: a signal to the calling thread that moves the engine's epoch.
//!
//! A timer of the kernel costs a few microseconds, a thread that watches ten times that. It
//! rings only once a deadline has passed, so that no other code is interrupted in a call that
//! goes well. Several calls in one process each have their own.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

use wasmtime::Engine;

/// After the deadline it rings again and again, for a call that was in the host just then.
const AGAIN: Duration = Duration::from_millis(10);
/// The kernel's code for "a timer rang" (sigaction(2)).
const SI_TIMER: i32 = -2;

/// A timer that is set; dropped, it is off.
pub(crate) struct Alarm(libc::timer_t);

/// Rings after `after`, and moves `engine`'s epoch.
pub(crate) fn alarm(engine: &'static Engine, after: Duration) -> io::Result<Alarm> {
    listen()?;
    // SAFETY: all zeroes is a valid sigevent; the pointers given are to live locals.
    let timer = unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal();
        event.sigev_notify_thread_id = libc::gettid();
        event.sigev_value.sival_ptr = ptr::from_ref(engine).cast_mut().cast();
        let mut timer = MaybeUninit::<libc::timer_t>::uninit();
        check(libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, timer.as_mut_ptr()))?;
        Alarm(timer.assume_init())
    };
    let when = libc::itimerspec { it_value: spec(after), it_interval: spec(AGAIN) };
    // SAFETY: the timer was just made; `when` lives until the call returns.
    check(unsafe { libc::timer_settime(timer.0, 0, &raw const when, ptr::null_mut()) })?;
    Ok(timer)
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: made by timer_create, deleted once. A ring that is under way already finds
        // its engine: engines of alarms are never freed.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// A signal that nobody else uses: the real-time ones have no other meaning.
fn signal() -> i32 {
    libc::SIGRTMIN() + 6
}

/// Installs the handler, and lets the signal through on this thread.
fn listen() -> io::Result<()> {
    // SAFETY: zeroes are a valid sigaction and sigset_t; the pointers are to live locals; the
    // handler is async-signal-safe, as `ring` says.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ring as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        check(libc::sigaction(signal(), &raw const action, ptr::null_mut()))?;
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal());
        match libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut()) {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// Moves the epoch: one atomic addition, which the engine documents as safe in a handler.
extern "C" fn ring(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo_t. A timer's carries what `alarm` put in: a
    // reference to an engine that is never freed. Anyone else's signal is ignored.
    unsafe {
        if (*info).si_code != SI_TIMER {
            return;
        }
        if let Some(engine) = (*info).si_value().sival_ptr.cast::<Engine>().as_ref() {
            engine.increment_epoch();
        }
    }
}

fn check(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn spec(duration: Duration) -> libc::timespec {
    // Zero would mean "never".
    let duration = duration.max(Duration::from_millis(1));
    // SAFETY: zeroes are a valid timespec, padding included where the platform has some.
    let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
    // Sixty-eight years and more are one and the same.
    spec.tv_sec = i32::try_from(duration.as_secs()).unwrap_or(i32::MAX).into();
    spec.tv_nsec = libc::c_long::from(duration.subsec_nanos().cast_signed());
    spec
}
