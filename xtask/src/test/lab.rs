//! The lab's kernels: one for what this machine's kernel lacks, and one that is older than any that is supported.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::rings::{DEADLINE, beside};
use crate::command::{must, program, workspace};

/// A kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    version: &'static str,
    /// The variable that names one.
    variable: &'static str,
    /// Where it is built.
    built: PathBuf,
    /// Where it may be kept in a folder beside the checkout.
    kept: &'static str,
}

/// Where everything is tested that this machine's kernel lacks.
pub(crate) fn usual() -> Kernel {
    Kernel {
        version: "6.12",
        variable: "WHARFINGER_LAB_KERNEL",
        built: workspace().join("tests/lab/linux"),
        kept: "lab/linux",
    }
}

/// The nearest one that can be had below the oldest that is supported: what works on both sides of it works on it.
/// It outlives a checkout, as the programs of Kubernetes do.
pub(crate) fn older() -> Kernel {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    Kernel {
        version: "5.10",
        variable: "WHARFINGER_LAB_OLDER",
        built: cache.join("wharfinger-lab/linux-5.10"),
        kept: "lab/linux-5.10",
    }
}

impl Kernel {
    /// Where it is, if it need not be built.
    pub(crate) fn known(&self) -> Option<PathBuf> {
        let named = std::env::var_os(self.variable).map(PathBuf::from);
        let built = || Some(self.built.clone()).filter(|built| built.is_file());
        named.or_else(built).or_else(|| beside(self.kept))
    }

    /// Where it is; it is built where it may take that long.
    pub(crate) fn have(&self, long: bool) -> Result<PathBuf> {
        if let Some(kernel) = self.known() {
            return Ok(kernel);
        }
        let place = self.built.display();
        if !long {
            bail!("no kernel at {place}; `--long` builds it (15 minutes)");
        }
        must(program("tests/lab/build-kernel").arg(self.version).arg(&self.built))?;
        Ok(self.built.clone())
    }
}

/// What runs a program in a kernel of the lab: these words before its own.
pub(crate) fn words(kernel: &Path) -> Vec<String> {
    let run = workspace().join("tests/lab/run").display().to_string();
    let (seconds, kernel) = (DEADLINE.as_secs().to_string(), kernel.display().to_string());
    let options = ["--kernel", &kernel, "--mem", "1G", "--timeout", &seconds, "--"];
    [&run].into_iter().map(String::as_str).chain(options).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_kernel_is_the_same_wherever_it_is_named() {
        let doctor = std::fs::read_to_string(workspace().join("host/view/src/doctor/host.rs"));
        let doctor = doctor.expect("doctor");
        let version = doctor.split("(u32, u32) = (").nth(1).and_then(|rest| rest.split(')').next());
        let version = version.expect("two numbers").replace(", ", ".");
        let said = [
            ("README.md", format!("Linux {version} or later")),
            ("docs/operators.md", format!("older than Linux {version}")),
            ("docs/operators.md", format!("The oldest kernel is Linux {version}")),
            ("host/kernel/src/socket.rs", format!("boot Linux {version} or later")),
            ("packaging/debian/control", format!("needs Linux {version} or later")),
        ];
        for (file, words) in said {
            let text = std::fs::read_to_string(workspace().join(file)).expect(file);
            assert!(text.contains(&words), "{file} says nothing of {words:?}");
        }
        let number = |version: &str| -> (u32, u32) {
            let (major, minor) = version.split_once('.').expect("two numbers");
            (major.parse().expect("a number"), minor.parse().expect("a number"))
        };
        assert!(number(older().version) < number(&version), "below it");
        assert!(number(&version) < number(usual().version), "and above it");
    }

    #[test]
    fn a_program_runs_in_the_kernel_that_is_named() {
        let words = words(Path::new("/a/linux"));
        let (last, rest) = words.split_last().expect("words");
        assert!(rest.iter().any(|word| word == "/a/linux") && last == "--", "{words:?}");
    }
}
