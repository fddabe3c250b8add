//! Runs a program and does something to it at its Nth system call of a kind, counted over all its
//! threads and all that it starts: kills whoever makes the call, stops it, or makes the call fail.
//!
//! `strace --inject=...:when=N` counts for each thread by itself, so that what a second thread
//! does can be out of its reach; this tool counts once for all.
//!
//!     inject DEED N REPORT -- PROGRAM ...
//!
//! - `list`: nothing; `list:DEED`: nothing, of the calls that this deed counts
//! - `kill`, `stop` (for as long as this tool lives): of calls that change anything
//! - `run:COMMAND`: a shell's command is run to its end before the call is made; of the same
//! - `ENOSPC`, `EIO`: the call fails so; of what a full or broken disk makes fail
//! - `EMFILE`: of what makes a descriptor
//! - `ENOMEM`: of what needs memory of the kernel
//! - `ENOPROTOOPT`: of questions for a namespace's cookie, which kernels before 5.14 do not know
//! - `refuse`: the kernel refuses the request; of those to its network
//! - `skew:SECONDS`: its clock is wrong by so much, from its Nth change on; 0: at all times
//!
//! With `+` (`ENOSPC+`) the Nth and all later ones.
//!
//! Of clocks `CLOCK_REALTIME` is meant: a time namespace does not change it, and a preloaded library
//! does nothing to a static executable. So the program is not told where the kernel's clock is
//! mapped, asks by the system call, and the answer is changed.
//!
//! REPORT gets a line for each call that was hit (of a list: for each of its calls): its name, the name
//! of the program that made it, and what it was made on: a path, `netlink`, `socket:...`, or nothing. The
//! exit status is the program's own, or 128 and the signal that ended it.
#![allow(clippy::print_stderr, reason = "a tool of the tests")]

#[cfg(target_arch = "x86_64")]
mod calls;
#[cfg(target_arch = "x86_64")]
mod tracer;

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(target_arch = "x86_64")]
    let outcome = tracer::run(&args);
    #[cfg(not(target_arch = "x86_64"))]
    let outcome: anyhow::Result<std::process::ExitCode> =
        Err(anyhow::anyhow!("x86-64 only: {args:?}"));
    outcome.unwrap_or_else(|error| {
        eprintln!("inject: {error:#}");
        std::process::ExitCode::from(125)
    })
}
