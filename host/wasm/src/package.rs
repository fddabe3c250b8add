//! Building: compiles components and appends them to an executable. `cargo xtask build` has the
//! executable do this to itself, so the compiler is built once.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::engine::{self, engine_key};
use crate::pack::{Entry, PAGE, Pack};

/// Packing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A component does not compile.
    #[error("compile {name}: {source:#}")]
    Compile {
        /// Its name.
        name: String,
        /// What the compiler says.
        source: wasmtime::Error,
    },
    /// A file cannot be read or written.
    #[error("{operation} {}: {source}", .path.display())]
    File {
        /// "read", "write".
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Compiles a component's .wasm for the baseline processor of this architecture.
pub fn compile_component(name: &str, wasm: &[u8]) -> Result<Vec<u8>, Error> {
    engine::compile(wasm).map_err(|source| Error::Compile { name: name.to_owned(), source })
}

/// "sha256:…" of a component's .wasm.
pub fn digest(wasm: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(wasm))
}

/// Writes the program `exe`, less any components that it carries, with `components` (name and
/// .wasm) appended, to `out`: whole or not at all, by renaming.
pub fn write(exe: &Path, out: &Path, components: &[(&str, &[u8])]) -> Result<(), Error> {
    let failed = |operation, path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { operation, path, source }
    };
    let mut bytes = program(exe).map_err(failed("read", exe))?;
    append(&mut bytes, components)?;
    let mut temporary = out.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    publish(&bytes, exe, &temporary, out).map_err(failed("write", out))
}

/// A program's own bytes.
fn program(exe: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(exe)?;
    let len = match Pack::read(&file)? {
        Some(pack) => pack.program,
        None => file.metadata()?.len(),
    };
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn append(bytes: &mut Vec<u8>, components: &[(&str, &[u8])]) -> Result<(), Error> {
    let mut pack =
        Pack { program: bytes.len() as u64, engine: engine_key(), components: Vec::new() };
    for (name, wasm) in components {
        let code = compile_component(name, wasm)?;
        let offset = (bytes.len() as u64).next_multiple_of(PAGE);
        bytes.resize(usize::try_from(offset).unwrap_or(usize::MAX), 0);
        bytes.extend_from_slice(&code);
        pack.components.push(Entry {
            name: (*name).to_owned(),
            digest: digest(wasm),
            offset,
            len: code.len() as u64,
        });
    }
    let tail = pack.tail(bytes.len() as u64);
    bytes.extend(tail);
    Ok(())
}

fn publish(bytes: &[u8], exe: &Path, temporary: &Path, out: &Path) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(bytes)?;
    file.set_permissions(fs::metadata(exe)?.permissions())?;
    drop(file);
    fs::rename(temporary, out)
}
