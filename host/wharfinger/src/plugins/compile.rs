//! Compiling in a process of its own: what a stranger's component costs there ends with it.
//!
//! The child gets the component on standard input and answers its code on standard output. It is
//! ended when its time is up or this process ends, and may not take more memory than [`MEMORY`].

use std::io::{Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use wharfinger_wasm::{Error, Limits, package};

/// Of address space. The largest interpreters that are made components of take a quarter.
const MEMORY: u64 = 2 << 30;
/// Bytes of what the child says to people.
const SAID: u64 = 4 << 10;

/// Compiles a component in a child.
pub(crate) fn in_child(plugin: &str, wasm: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let failed = |what: String| Error::Unloadable { plugin: plugin.to_owned(), what };
    let io = |error| failed(format!("start its compiler: {error}"));
    let mut child = start().map_err(io)?;
    let ended = watch(&mut child, wasm, limits).map_err(io)?;
    let Some(Ended { code, said, status }) = ended else {
        return Err(Error::too_slow(plugin, limits));
    };
    if status.success() && !code.is_empty() {
        return Ok(code);
    }
    Err(failed(why(&said, status)))
}

fn start() -> std::io::Result<Child> {
    super::own("compile")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// How the child ended.
struct Ended {
    code: Vec<u8>,
    said: Vec<u8>,
    status: ExitStatus,
}

/// Feeds the child and waits for its end; none where its time was up.
fn watch(child: &mut Child, wasm: &[u8], limits: &Limits) -> std::io::Result<Option<Ended>> {
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(mut stdout), Some(stderr)) = pipes else {
        return Err(std::io::Error::other("it has no pipes"));
    };
    std::thread::scope(|scope| {
        // A child that ends without reading says why on standard error.
        scope.spawn(move || stdin.write_all(wasm));
        let said = scope.spawn(move || {
            let mut said = Vec::new();
            let _ = stderr.take(SAID).read_to_end(&mut said);
            said
        });
        let (done, is_done) = mpsc::channel();
        scope.spawn(move || {
            let mut code = Vec::new();
            let read = stdout.read_to_end(&mut code);
            // Nobody listens where the time was up.
            let _ = done.send(read.map(|_| code));
        });
        let code = is_done.recv_timeout(limits.compile);
        if code.is_err() {
            child.kill()?;
        }
        let status = child.wait()?;
        let said = said.join().unwrap_or_default();
        match code {
            Ok(code) => Ok(Some(Ended { code: code?, said, status })),
            Err(_) => Ok(None),
        }
    })
}

fn why(said: &[u8], status: ExitStatus) -> String {
    let said = String::from_utf8_lossy(said);
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let said: String = said.trim().chars().map(clean).collect();
    if status.code().is_some() && !said.is_empty() {
        return said;
    }
    let gib = MEMORY >> 30;
    format!(
        "its compiler ended with {status}; it may take {gib} GiB of memory, and a component that \
         needs more is made to exhaust it"
    )
}

/// The child: from standard input to standard output, within its bounds.
pub(crate) fn child() -> Result<()> {
    let bound = |resource, most| {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).context("limit what the compiler may take")
    };
    bound(Resource::As, MEMORY)?;
    bound(Resource::Core, 0)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context("end with the process that asked")?;
    let mut wasm = Vec::new();
    std::io::stdin().read_to_end(&mut wasm).context("read the component")?;
    let code = package::compile_component("it", &wasm)?;
    std::io::stdout().write_all(&code).context("hand the code on")
}
