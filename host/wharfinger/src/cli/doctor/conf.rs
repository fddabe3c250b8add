//! The directories that runtimes look into.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Map, Value};
use wharfinger_attach::conf::OUR_TYPE;
use wharfinger_cni::Version;
use wharfinger_view::doctor::facts::{Bin, BinDir, Conf, ConfFile, Says};

use crate::cli::network;
use crate::node::{is_copy, is_us};
use crate::program::Program;

type Object = Map<String, Value>;

pub(super) fn directory(program: &Program, dir: &Path) -> Conf {
    let path = dir.display().to_string();
    let files = match network::files(dir) {
        Ok(files) => files,
        Err(error) => {
            let absent = is_absent(&error);
            let error = (!absent).then(|| cause(&error));
            return Conf { path, absent, error, ..Conf::default() };
        }
    };
    let name = |path: &Path| path.file_name().unwrap_or_default().display().to_string();
    let all = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let others = all.map(|entry| entry.path()).filter(|path| !files.contains(path));
    Conf {
        path,
        absent: false,
        error: None,
        others: others.map(|path| name(&path)).collect(),
        files: files
            .iter()
            .map(|file| ConfFile { name: name(file), says: says(program, file) })
            .collect(),
    }
}

fn is_absent(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// The innermost reason: the object is told beside it.
fn cause(error: &anyhow::Error) -> String {
    error.root_cause().to_string()
}

/// What runtimes read of it.
fn says(program: &Program, file: &Path) -> Result<Says, String> {
    let list = network::formed(file).map_err(|error| cause(&error))?;
    let version =
        list.map.get("cniVersion").and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut types: Vec<String> = list.plugins.iter().flat_map(|it| wanted(program, it)).collect();
    types.sort();
    types.dedup();
    Ok(Says {
        network: list.name().to_owned(),
        version: version.map(str::to_owned),
        spoken: version.is_none_or(|text| text.parse::<Version>().is_ok()),
        types,
        ours: !list.ours().is_empty(),
        firewall: list.plugins.iter().any(|plugin| text(plugin, "type") == "firewall"),
    })
}

fn text<'o>(object: &'o Object, key: &str) -> &'o str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The executables that an entry needs.
pub(in crate::cli) fn wanted(program: &Program, plugin: &Object) -> Vec<String> {
    let inner = |key: &str| {
        let object = plugin.get(key).and_then(Value::as_object);
        object.map(|object| text(object, "type")).unwrap_or_default()
    };
    let ours = text(plugin, "type") == OUR_TYPE;
    let ipam = inner("ipam");
    // Our own driver takes components and DHCP by name, and asks no executable for them.
    let inside = ours && (ipam == "dhcp" || program.engine().knows(ipam));
    let all = [text(plugin, "type"), if inside { "" } else { ipam }, inner("delegate")];
    all.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

pub(super) fn bin(folder: &Path) -> BinDir {
    let path = folder.display().to_string();
    match std::fs::read_dir(folder) {
        Err(error) => BinDir { path, error: Some(error.to_string()), files: Vec::new() },
        Ok(entries) => {
            let files = entries.flatten().filter_map(|entry| file(&entry.path())).collect();
            BinDir { path, error: None, files }
        }
    }
}

fn file(path: &Path) -> Option<Bin> {
    let meta = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let executable = meta.permissions().mode() & 0o111 != 0;
    let name = path.file_name()?.display().to_string();
    Some(Bin { name, executable, us: is_us(path) || is_copy(path) })
}
