//! `wharfinger conf lint`: what of files keeps every ADD from working. The components that they name are
//! asked; nothing is written, and nobody has to be root.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};
use wharfinger_attach::conf::OUR_TYPE;
use wharfinger_view::doctor::facts::Network;
use wharfinger_view::doctor::{Level, overlaps};

use crate::cli::doctor::{conf as directory, networks};
use crate::cli::network::{self, Folders, List};
use crate::cli::{Answer, told};
use crate::program::Program;

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Files of networks: of several, also whether they share addresses
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    folders: Folders,
}

/// What is said of a file.
#[derive(Debug)]
struct Said {
    file: String,
    level: Level,
    what: String,
}

/// With what files are looked at.
struct Looking<'a> {
    program: &'a Program,
    folders: Vec<PathBuf>,
}

impl Lint {
    /// The status is 1 where something is wrong.
    pub(super) fn run(&self, program: &Program) -> Answer {
        let looking = Looking { program, folders: self.folders.all() };
        let mut found = Vec::new();
        let mut networks = Vec::new();
        for file in &self.files {
            let (said, own) = looking.file(file);
            found.extend(said);
            networks.push((file.as_path(), own));
        }
        found.extend(shared(&networks));
        let wrong = found.iter().any(|said| said.level > Level::Notice);
        let text = if found.is_empty() {
            "nothing was found\n".to_owned()
        } else {
            found.iter().map(Said::text).collect()
        };
        Answer::new(text, found.iter().map(Said::object).collect()).unless(wrong)
    }
}

impl Said {
    fn wrong(file: &Path, what: String) -> Self {
        Self { file: file.display().to_string(), level: Level::Error, what }
    }

    fn text(&self) -> String {
        [&self.file, ": ", &self.what, "\n"].concat()
    }

    fn object(&self) -> Value {
        json!({ "file": self.file, "what": self.what, "level": self.level })
    }
}

impl Looking<'_> {
    /// What is wrong with it, and what its entries allocate from.
    fn file(&self, file: &Path) -> (Vec<Said>, Vec<Network>) {
        let list = match network::formed(file) {
            Ok(list) => list,
            Err(error) => return (vec![Said::wrong(file, format!("{error:#}"))], Vec::new()),
        };
        let ours = list.ours();
        if ours.is_empty() {
            return (vec![not_ours(file, &list)], Vec::new());
        }
        let mut found = Vec::new();
        let mut networks = Vec::new();
        for entry in ours {
            found.extend(self.missing(&entry).map(|what| Said::wrong(file, what)));
            match self.entry(list.name(), entry) {
                Ok(network) => networks.push(network),
                Err(error) => found.push(Said::wrong(file, format!("{error:#}"))),
            }
        }
        (found, networks)
    }

    /// An executable that it asks for, and that is nowhere.
    fn missing(&self, entry: &Map<String, Value>) -> Option<String> {
        let is_there = |name: &str| self.folders.iter().any(|folder| folder.join(name).is_file());
        let wanted = directory::wanted(self.program, entry);
        let name = wanted.into_iter().find(|name| name != OUR_TYPE && !is_there(name))?;
        let folders: Vec<String> =
            self.folders.iter().map(|folder| folder.display().to_string()).collect();
        let folders = folders.join(":");
        Some(format!("no component is called {name:?}, and no executable in {folders}"))
    }

    fn entry(&self, name: &str, entry: Map<String, Value>) -> anyhow::Result<Network> {
        let conf = network::conf(entry)?;
        let read = self.program.read(|host| {
            wharfinger_attach::lint::lint(host, &conf, &self.folders)?;
            let mut found = Network { name: name.to_owned(), ..Network::default() };
            networks::ranges(host, &conf, &self.folders, &mut found);
            Ok(found)
        });
        read.map_err(|error| told(&error))
    }
}

/// Not a word about what is another plugin's would pass for praise.
fn not_ours(file: &Path, list: &List) -> Said {
    let types: Vec<&str> = list.plugins.iter().filter_map(|it| it.get("type")?.as_str()).collect();
    let what = format!(
        "it has no entry of ours ({}): no more than its form was looked at",
        types.join(", ")
    );
    Said { level: Level::Notice, ..Said::wrong(file, what) }
}

/// Ranges of two files over each other.
fn shared(networks: &[(&Path, Vec<Network>)]) -> Vec<Said> {
    let mut found = Vec::new();
    for (index, (file, own)) in networks.iter().enumerate() {
        for network in own {
            let earlier = networks.iter().take(index).flat_map(|(_, others)| others);
            for other in earlier {
                let both = overlaps(&[other.clone(), network.clone()]);
                let said =
                    both.into_iter().map(|it| format!("{} {}; {}", it.object, it.what, it.cure));
                found.extend(said.map(|what| Said::wrong(file, what)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::*;
    use crate::settings::{self, Paths};

    /// What is said of each file, where no component can be asked.
    fn said(name: &str, text: &str) -> Result<Vec<Said>> {
        let dir = tempfile::tempdir()?;
        let paths = Paths {
            run: dir.path().join("run"),
            lib: dir.path().join("lib"),
            config: dir.path().join("config.toml"),
        };
        let program = Program::new(paths, settings::defaults());
        let file = dir.path().join(name);
        std::fs::write(&file, text)?;
        let found = Looking { program: &program, folders: Vec::new() }.file(&file).0;
        assert_eq!(std::fs::read_dir(dir.path())?.count(), 1, "nothing else is written");
        Ok(found)
    }

    #[test]
    fn what_is_wrong_is_named() -> Result<()> {
        let list = |plugin: &str| {
            format!(r#"{{"cniVersion": "1.0.0", "name": "n", "plugins": [{plugin}]}}"#)
        };
        let typo = r#"{"type": "wharfinger", "driver": "bridge", "isGatway": true}"#;
        let bridge = r#"{"type": "wharfinger", "driver": "bridge"}"#;
        for (name, text, what) in [
            ("x.conflist", list(typo), "isGateway"),
            ("x.conflist", list(r#"{"driver": "bridge"}"#), "no \"type\""),
            ("x.conflist", "{,".to_owned(), "not a JSON object"),
            ("x.conf", list(bridge), "the ending .conflist is for lists"),
            ("x.conflist", bridge.to_owned(), "the ending .conflist is for lists"),
            ("x.conf", bridge.to_owned(), "no \"name\""),
        ] {
            let found = said(name, &text)?;
            let [one] = found.as_slice() else { panic!("{text}: {found:?}") };
            assert!(one.what.contains(what) && one.level == Level::Error, "{text}: {one:?}");
        }
        assert!(said("x.conflist", &list(bridge))?.is_empty());
        Ok(())
    }

    #[test]
    fn what_was_not_looked_at_is_no_praise() -> Result<()> {
        let theirs = r#"{"name": "n", "plugins": [{"type": "ptp"}, {"type": "portmap"}]}"#;
        let found = said("x.conflist", theirs)?;
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("no entry of ours (ptp, portmap)"), "{found:?}");
        assert_eq!(found[0].level, Level::Notice);
        Ok(())
    }

    #[test]
    fn ranges_of_two_files_over_each_other_are_said_of_the_later() {
        let network = |name: &str, first: &str, last: &str| Network {
            name: name.to_owned(),
            domain: "host".to_owned(),
            ranges: first.parse().ok().zip(last.parse().ok()).into_iter().collect(),
            ..Network::default()
        };
        let of = |network: Network| vec![network];
        let (a, b) = (Path::new("a.conflist"), Path::new("b.conflist"));
        let all = [
            (a, of(network("pods", "10.1.0.0", "10.1.255.255"))),
            (b, of(network("web", "10.1.7.0", "10.1.7.255"))),
        ];
        let found = shared(&all);
        assert_eq!(found.len(), 1);
        assert!(found[0].file == "b.conflist", "{found:?}");
        assert!(found[0].what.contains("pods and web share addresses"), "{found:?}");
    }
}
