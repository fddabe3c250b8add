//! Maps compiled components: a region of a file, or a copy in memory, without reading it.
//!
//! What is mapped runs as native code. The only sources are this program's own file and what
//! it compiled itself; deciding about anything else is not done here.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;

use wasmtime::component::Component;
use wasmtime::{CustomCodeMemory, Engine};

/// Compiled code in memory, page-aligned, never unmapped: a component is used until the process
/// ends.
pub struct Code {
    bytes: NonNull<[u8]>,
    /// Its file, where the code is at its start: what memories begin with is mapped from there, and
    /// not copied.
    file: Option<File>,
}

// SAFETY: the memory is never written after `Code` is made, and never unmapped.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}

impl Code {
    /// What was mapped, byte by byte.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable and as long as the slice; it is never unmapped, and
        // never written through. Its file is one that is never written in place.
        unsafe { self.bytes.as_ref() }
    }
}

impl Code {
    /// Its file, for another process to map.
    pub(crate) fn file(&self) -> io::Result<File> {
        match &self.file {
            Some(file) => file.try_clone(),
            None => Err(io::Error::other("its code has no file of its own")),
        }
    }
}

/// Maps a region of a file; `offset` must be a multiple of the page size.
pub(crate) fn map(file: &File, offset: u64, len: usize) -> io::Result<Code> {
    let end = u64::try_from(len).ok().and_then(|len| offset.checked_add(len));
    if len == 0 || end.is_none_or(|end| end > file.metadata().map_or(0, |m| m.len())) {
        return Err(io::Error::other("the file is shorter than its index says"));
    }
    let whole = if offset == 0 { Some(file.try_clone()?) } else { None };
    let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
    let bytes = mapped(len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), offset)?;
    Ok(Code { bytes, file: whole })
}

/// Copies compiled code into pages of its own.
pub(crate) fn copy(bytes: &[u8]) -> io::Result<Code> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let code = mapped(bytes.len(), libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)?;
    let code = Code { bytes: code, file: None };
    // SAFETY: the mapping is `bytes.len()` long, writable, fresh, and nobody else knows it.
    unsafe {
        code.bytes.cast::<u8>().copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
    }
    Ok(code)
}

fn mapped(
    len: usize,
    protection: i32,
    flags: i32,
    file: RawFd,
    offset: libc::off_t,
) -> io::Result<NonNull<[u8]>> {
    // SAFETY: no address is asked for, so no existing mapping is touched.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, file, offset) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at null"))?;
    Ok(NonNull::slice_from_raw_parts(start, len))
}

/// Loads mapped code. The engine checks its own version, the target and the settings.
pub(crate) fn component(engine: &Engine, code: &Code) -> wasmtime::Result<Component> {
    if let Some(file) = &code.file {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // SAFETY: the same file, whose content came from `Engine::precompile_component`, and that is
        // never written in place, by the module's rule above.
        if let Ok(component) = unsafe { Component::deserialize_file(engine, path) } {
            return Ok(component);
        }
    }
    // SAFETY: the memory stays mapped for the process's life, nobody writes to it, and its
    // content came from `Engine::precompile_component`, by the module's rule above.
    unsafe { Component::deserialize_raw(engine, code.bytes) }
}

/// Makes the code's pages executable, and no longer so.
pub(crate) struct Protect;

impl CustomCodeMemory for Protect {
    fn required_alignment(&self) -> usize {
        page_size()
    }

    fn publish_executable(&self, start: *const u8, len: usize) -> wasmtime::Result<()> {
        protect(start, len, libc::PROT_READ | libc::PROT_EXEC)
    }

    fn unpublish_executable(&self, start: *const u8, len: usize) -> wasmtime::Result<()> {
        protect(start, len, libc::PROT_READ)
    }
}

fn protect(start: *const u8, len: usize, protection: i32) -> wasmtime::Result<()> {
    let len = len.next_multiple_of(page_size());
    // SAFETY: the engine hands over only ranges of memory that `component` was given; none of
    // it is ever written again, and reading stays allowed.
    let done = unsafe { libc::mprotect(start.cast_mut().cast(), len, protection) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error().into()) }
}

fn page_size() -> usize {
    // SAFETY: sysconf has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
