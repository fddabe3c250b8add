//! `[[policies]]` and `[allow]`: what holds for every attachment, whatever its conflist says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value};
use wharfinger_attach::{Allow, PolicyConf};

/// One entry of `[[policies]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PolicySection {
    plugin: String,
    #[serde(default)]
    config: Map<String, Value>,
    #[serde(default)]
    on_error: OnError,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OnError {
    #[default]
    Deny,
    Allow,
}

impl PolicySection {
    /// The policies of the file, in their order.
    pub(super) fn all(sections: Vec<Self>) -> Result<Vec<PolicyConf>> {
        sections.into_iter().enumerate().map(|(index, section)| section.conf(index)).collect()
    }

    fn conf(self, index: usize) -> Result<PolicyConf> {
        ensure!(!self.plugin.is_empty(), "policies[{index}].plugin is empty: the name of a policy");
        let (plugin, config) = (self.plugin, self.config);
        Ok(PolicyConf { plugin, config, advisory: self.on_error == OnError::Allow })
    }
}

/// `[allow]`; a list that is not there allows all.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AllowSection {
    drivers: Option<Vec<String>>,
    features: Option<Vec<String>>,
    delegates: Option<Vec<String>>,
    components: Option<Vec<String>>,
    sysctls: Option<Vec<String>>,
    directories: Option<Vec<PathBuf>>,
}

impl AllowSection {
    pub(super) fn allow(self) -> Result<Allow> {
        let directories = self.directories.iter().flatten();
        for directory in directories {
            let plain = directory.is_absolute()
                && !directory.components().any(|part| part == std::path::Component::ParentDir);
            ensure!(plain, "allow.directories: {} is no absolute path", directory.display());
        }
        Ok(Allow {
            drivers: self.drivers,
            features: self.features,
            delegates: self.delegates,
            components: self.components,
            sysctls: self.sysctls,
            directories: self.directories,
        })
    }
}

/// What no policy may change is no grant's to give: said when the file is read, not at an ADD.
pub(super) fn check_amend(grants: &BTreeMap<String, Vec<String>>) -> Result<()> {
    for (key, pointers) in grants {
        for pointer in pointers {
            let can = wharfinger_attach::can_be_granted(pointer);
            ensure!(can, "plugins.{key}.amend: {pointer:?} is nothing that can be granted");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn policies_are_read_in_their_order() {
        let text = "[[policies]]\nplugin = \"rules\"\non-error = \"allow\"\n\
                    [[policies.config.rules]]\ndeny = \"no\"\n[[policies]]\nplugin = \"quota\"\n";
        let settings = parse(text).unwrap().settings;
        let names: Vec<_> = settings.policies.iter().map(|p| (&*p.plugin, p.advisory)).collect();
        assert_eq!(names, [("rules", true), ("quota", false)]);
        assert_eq!(settings.policies[0].config["rules"][0]["deny"], "no");
        assert!(settings.policies[1].config.is_empty());
    }

    #[test]
    fn lists_that_are_not_there_allow_all() {
        let settings = parse("[allow]\ndrivers = []\ndirectories = [\"/etc\"]\n").unwrap().settings;
        assert_eq!(settings.allow.drivers.as_deref(), Some(&[][..]));
        assert!(settings.allow.delegates.is_none() && settings.allow.sysctls.is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("[[policies]]\nplugin = \"\"\n", "policies[0].plugin"),
            ("[[policies]]\nconfig = {}\n", "plugin"),
            ("[[policies]]\nplugin = \"a\"\non-error = \"maybe\"\n", "maybe"),
            ("[[policies]]\nplugin = \"a\"\nonError = \"deny\"\n", "onError"),
            ("[allow]\ndriver = []\n", "driver"),
            ("[allow]\ndirectories = [\"etc\"]\n", "allow.directories"),
            ("[allow]\ndirectories = [\"/etc/..\"]\n", "allow.directories"),
        ] {
            let error = parse(text).err().map(|e| format!("{e:#}")).unwrap_or_default();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_grant_of_what_is_never_anybodys_is_refused() {
        let text = "[plugins.p]\namend = [\"/hairpinMode\", \"/bridge\"]\n";
        let error = parse(text).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("plugins.p.amend: \"/bridge\""), "{error}");
        let settings = parse(&text.replace(", \"/bridge\"", "")).unwrap().settings;
        assert_eq!(settings.amend["p"], ["/hairpinMode"]);
    }
}
