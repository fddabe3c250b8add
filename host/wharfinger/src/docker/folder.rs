//! A plugin that Docker itself starts and stops: a folder for `docker plugin create`. A swarm takes no
//! other kind.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Writes the folder, which is not to be there yet, or empty.
pub(crate) fn folder(at: &Path) -> Result<()> {
    let root = at.join("rootfs");
    if fs::read_dir(at).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("it is not empty");
    }
    // What Docker mounts over has to be there.
    for directory in ["host/run", "host/lib", "run/docker/plugins", "etc", "proc", "sys", "tmp"] {
        let directory = root.join(directory);
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    }
    fs::copy("/proc/self/exe", root.join("wharfinger")).context("copy this executable")?;
    let text = format!("{:#}\n", config());
    fs::write(at.join("config.json"), text).context("config.json")
}

/// What Docker is to know. The book is the host's, and so are the node's settings, with the
/// certificates that they name: CNI and Docker have one of each.
fn config() -> Value {
    let bind = |source: &str, destination: &str, options: &[&str]| {
        json!({
            "name": "", "description": "", "source": source, "destination": destination,
            "type": "bind", "options": options,
        })
    };
    let set = |name: &str, value: &str| json!({ "name": name, "description": "", "value": value, "settable": ["value"] });
    json!({
        "description": "Wharfinger: networks and addresses",
        "documentation": "https://github.com/wharfinger/wharfinger/blob/main/docs/docker.md",
        "entrypoint": ["/wharfinger", "serve", "--docker", "--managed", "--scope", "global",
            "--socket", "/run/docker/plugins/wharfinger.sock"],
        "workdir": "/",
        "interface": {
            "types": ["docker.networkdriver/1.0", "docker.ipamdriver/1.0"],
            "socket": "wharfinger.sock",
        },
        "network": { "type": "host" },
        "mounts": [
            bind("/run", "/host/run", &["rbind"]),
            bind("/var/lib", "/host/lib", &["rbind"]),
            bind("/etc", "/etc", &["rbind", "ro"]),
        ],
        "env": [
            set("WHARFINGER_RUN_DIR", "/host/run/wharfinger"),
            set("WHARFINGER_LIB_DIR", "/host/lib/wharfinger"),
        ],
        "linux": { "capabilities": [
            "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE",
        ] },
    })
}
