//! The machine that is measured on: this process's own namespace, containers, and files.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Executables;
use super::process::Call;
use super::subject::{BEFORE, FLOOR, Subject};
use crate::command::{must, program, text};

/// It.
#[derive(Debug)]
pub(crate) struct Machine {
    /// What is measured.
    pub executables: Executables,
    /// Directories of the subjects, and configurations.
    pub dir: PathBuf,
}

/// A container: a namespace by its name. It goes when this value goes.
#[derive(Debug)]
pub(crate) struct Container {
    name: String,
}

impl Machine {
    /// A fresh one, in the namespace that this process is in.
    pub(crate) fn new(executables: Executables) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("wharfinger-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        must(&mut program("ip link set lo up"))?;
        // On a node it is below /run: memory. The mount is this namespace's alone.
        let run = dir.join("run");
        std::fs::create_dir_all(&run).with_context(|| run.display().to_string())?;
        must(program("mount -t tmpfs tmpfs").arg(&run))?;
        let executables = alike(executables, &dir)?;
        Ok(Self { executables, dir })
    }

    /// Ours: where this machine's directories are.
    pub(crate) fn variables(&self) -> [(&'static str, PathBuf); 3] {
        self.variables_of("")
    }

    /// Those of a subject that has its own, by what comes after their names.
    fn variables_of(&self, suffix: &str) -> [(&'static str, PathBuf); 3] {
        [
            ("WHARFINGER_RUN_DIR", self.dir.join(format!("run{suffix}"))),
            ("WHARFINGER_LIB_DIR", self.dir.join(format!("lib{suffix}"))),
            ("WHARFINGER_CONFIG", self.dir.join("config.toml")),
        ]
    }

    /// A call of a subject for a container. `prev` is the result of its ADD.
    pub(crate) fn call(
        &self,
        subject: &Subject,
        verb: &str,
        container: &Container,
        prev: Option<&Value>,
    ) -> Result<Call> {
        let mut conf = subject.conf.clone();
        if let (Some(prev), Some(conf)) = (prev, conf.as_object_mut()) {
            conf.insert("prevResult".to_owned(), prev.clone());
        }
        let stdin = self.dir.join(format!("{}.json", container.name));
        std::fs::write(&stdin, conf.to_string()).context("a configuration")?;
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut env = vec![
            variable("PATH", &std::env::var("PATH").unwrap_or_default()),
            variable("CNI_COMMAND", verb),
            variable("CNI_CONTAINERID", &container.name),
            variable("CNI_NETNS", &container.path()),
            variable("CNI_IFNAME", "eth0"),
            variable("CNI_PATH", &subject.path.display().to_string()),
        ];
        // Two versions need not read each other's state.
        let own = if subject.name == BEFORE { "/before" } else { "" };
        env.extend(
            self.variables_of(own).map(|(name, path)| variable(name, &path.display().to_string())),
        );
        let args = if subject.name == FLOOR { floor_args(&conf, verb, container) } else { vec![] };
        Ok(Call { program: subject.program.clone(), args, env, stdin })
    }
}

/// Ours and an earlier one, copied one after the other: how the pages of a file came into the kernel's cache
/// makes a start of the same program slower by a third.
fn alike(mut executables: Executables, dir: &Path) -> Result<Executables> {
    let Some(before) = &mut executables.before else { return Ok(executables) };
    for (path, folder) in [(&mut executables.ours, "now"), (before, "earlier")] {
        let folder = dir.join(folder);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let copy = folder.join("wharfinger");
        std::fs::copy(&*path, &copy).with_context(|| copy.display().to_string())?;
        *path = copy;
    }
    Ok(executables)
}

/// The floor reads no configuration: all stands in its arguments.
fn floor_args(conf: &Value, verb: &str, container: &Container) -> Vec<String> {
    let text = |key: &str| conf.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut args = vec![verb.to_ascii_lowercase(), text("bridge"), container.path()];
    args.extend(["eth0".to_owned(), text("address"), text("gateway")]);
    if conf.get("ipMasq") == Some(&Value::Bool(true)) {
        args.push("--masq".to_owned());
    }
    args
}

impl Container {
    /// A new one. `what` is part of its name.
    pub(crate) fn new(what: &str) -> Result<Self> {
        let name = format!("wharfinger-bench-{}-{what}", std::process::id());
        text(program("ip netns add").arg(&name))?;
        Ok(Self { name })
    }

    /// As CNI_NETNS wants it.
    pub(crate) fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = text(program("ip netns del").arg(&self.name));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = text(program("umount").arg(self.dir.join("run")));
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
