//! `wharfinger plugin build`: a project's component, by its own toolchain.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;

use super::toolchain::Toolchain;
use super::{component, rust};
use crate::cli::Answer;

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The project's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
}

impl Build {
    pub(crate) fn run(&self) -> Result<Answer> {
        let component = build(&self.folder)?;
        let size = std::fs::metadata(&component).map_or(0, |meta| meta.len());
        let (shown, class) = (component.display(), class(size));
        let text = format!(
            "{shown}: {} KiB, {class}\n\
             next: wharfinger plugin test {shown}, and as root: wharfinger plugin install {shown}\n",
            size.div_ceil(1024),
        );
        Ok(Answer::new(text, json!({ "component": component, "size": size, "class": class })))
    }
}

/// Builds the project in this folder: the path of its component, which is a plugin.
pub(super) fn build(folder: &Path) -> Result<PathBuf> {
    let toolchain = Toolchain::of(folder)?;
    if toolchain.is_rust() {
        rust::build(folder)?;
    } else {
        toolchain.build(folder)?;
    }
    let component = component::built(&folder.join("dist"))
        .with_context(|| format!("what the {} project built", toolchain.language))?;
    // Shown without "./" before it.
    Ok(component.strip_prefix(".").map(Path::to_owned).unwrap_or(component))
}

/// What a component of this size costs: the table of docs/authors/README.md.
fn class(size: u64) -> &'static str {
    const MIB: u64 = 1 << 20;
    match size {
        0..MIB => "small",
        MIB..=10_485_760 => "medium: a few milliseconds for each container",
        _ => "large: several milliseconds and tens of MiB for each container",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_project_is_said() {
        let error = build(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("wharfinger plugin new"), "{error}");
    }

    #[test]
    fn a_size_has_a_class() {
        assert_eq!(class(120 << 10), "small");
        assert!(class(3 << 20).starts_with("medium"));
        assert!(class(18 << 20).starts_with("large"));
    }
}
