//! How leases are asked for on this node: the flags of whoever renews them, under the reference
//! plugin's names for them. He keeps them in the run directory, so that an ADD, which asks for
//! its lease itself, goes by them too.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use wharfinger_dhcp::{Asked, Resend};

use super::{milliseconds, socket};

/// The file's name in the run directory.
const FILE: &str = "dhcp.json";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Where to write the process's id.
    pub(crate) pid_file: Option<PathBuf>,
    /// Before the paths of namespaces and of the socket: where this process has the host's files.
    pub(crate) prefix: PathBuf,
    /// Where to listen.
    pub(crate) socket: Option<PathBuf>,
    /// Servers are to broadcast their answers.
    pub(crate) broadcast: bool,
    /// Waits between messages.
    pub(crate) resend: Resend,
    /// When an ADD gives up.
    pub(crate) give_up: Duration,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            pid_file: None,
            prefix: PathBuf::new(),
            socket: None,
            broadcast: false,
            resend: Resend::default(),
            give_up: Duration::from_secs(208),
        }
    }
}

/// What of the flags an ADD goes by.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    broadcast: bool,
    first: Option<u64>,
    longest: Option<u64>,
    give_up: Option<u64>,
}

impl Flags {
    /// Those of whoever renews leases on this node; the defaults where he keeps none.
    pub(crate) fn kept(run: &Path) -> Self {
        let text = std::fs::read_to_string(run.join(FILE)).unwrap_or_default();
        let kept: Kept = serde_json::from_str(&text).unwrap_or_default();
        let defaults = Self::default();
        let resend = defaults.resend;
        Self {
            broadcast: kept.broadcast,
            resend: Resend {
                first: kept.first.unwrap_or(resend.first).max(100),
                longest: kept.longest.unwrap_or(resend.longest).max(100),
            },
            give_up: kept.give_up.map_or(defaults.give_up, Duration::from_millis),
            ..defaults
        }
    }

    /// Keeps what an ADD goes by.
    pub(crate) fn keep(&self, run: &Path) -> Result<()> {
        let kept = Kept {
            broadcast: self.broadcast,
            first: Some(self.resend.first),
            longest: Some(self.resend.longest),
            give_up: Some(milliseconds(self.give_up)),
        };
        let path = run.join(FILE);
        std::fs::create_dir_all(run).with_context(|| run.display().to_string())?;
        let mut file = tempfile(&path)?;
        serde_json::to_writer(&mut file, &kept)?;
        std::fs::rename(temporary(&path), &path).with_context(|| path.display().to_string())
    }

    /// What is asked, with what these flags add.
    pub(crate) fn asked(&self, mut asked: Asked) -> Asked {
        asked.broadcast |= self.broadcast;
        asked
    }

    /// A path of the host's, as this process finds it.
    pub(crate) fn on_host(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/") {
            Ok(rest) if !self.prefix.as_os_str().is_empty() => self.prefix.join(rest),
            _ => path.to_owned(),
        }
    }

    /// The flags of `dhcp daemon`, as Go's flag package reads them: one dash or two, the value
    /// behind an equals sign or as the next word.
    fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut flags = Self::default();
        let mut words = words.into_iter().map(|word| {
            word.into_string().map_err(|word| anyhow::anyhow!("{}: no text", word.display()))
        });
        while let Some(word) = words.next().transpose()? {
            let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
            let Some(name) = name.filter(|name| !name.is_empty()) else { break };
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            if name == "broadcast" {
                flags.broadcast = value.is_none_or(|value| is_true(&value));
                continue;
            }
            let value = match value {
                Some(value) => value,
                None => words.next().transpose()?.with_context(|| format!("-{name}: no value"))?,
            };
            flags.set(name, &value)?;
        }
        Ok(flags)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let time = || duration(value).with_context(|| format!("-{name} {value}: no duration"));
        match name {
            "pidfile" if !value.starts_with('/') => bail!("-pidfile {value}: no absolute path"),
            "pidfile" => self.pid_file = Some(value.into()),
            "hostprefix" => self.prefix = value.into(),
            "socketpath" => self.socket = Some(value.into()).filter(|_| !value.is_empty()),
            "timeout" => self.resend.first = self.resend.first.min(milliseconds(time()?)),
            "resendmax" => self.resend.longest = milliseconds(time()?),
            "resendtimeout" => self.give_up = time()?,
            _ => bail!("-{name}: no flag of the daemon"),
        }
        Ok(())
    }
}

fn temporary(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.tmp", std::process::id()))
}

fn tempfile(path: &Path) -> Result<std::fs::File> {
    let path = temporary(path);
    std::fs::File::create(&path).with_context(|| path.display().to_string())
}

fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// As Go writes them: `1m30s`, `250ms`, `1.5h`.
fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text, 0.0);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(end);
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, after) = unit.split_at(end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}

/// `dhcp daemon FLAGS`, as units have it that were written for the reference plugin.
pub(crate) fn daemon(words: impl IntoIterator<Item = OsString>) -> u8 {
    let serve = || -> Result<u8> {
        let mut flags = Flags::parse(words)?;
        let _ = flags.socket.get_or_insert_with(|| PathBuf::from(socket::REFERENCE));
        super::serve(&crate::program()?, &flags).map(|()| 0)
    };
    serve().unwrap_or_else(|error| {
        // Nothing is left to do where standard error is gone too.
        let _ = writeln!(std::io::stderr(), "dhcp daemon: {error:#}");
        1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Flags> {
        Flags::parse(words.iter().map(OsString::from))
    }

    #[test]
    fn the_reference_daemons_flags_are_read() -> Result<()> {
        assert_eq!(parse(&[])?, Flags::default());
        let flags = parse(&[
            "-pidfile",
            "/run/d.pid",
            "--hostprefix=/host",
            "-socketpath",
            "/run/x.sock",
            "-broadcast",
            "-timeout",
            "1500ms",
            "-resendmax=1m2s",
            "-resendtimeout",
            "0.5h",
        ])?;
        assert_eq!(flags.pid_file, Some("/run/d.pid".into()));
        assert_eq!(flags.on_host(Path::new("/run/netns/a")), Path::new("/host/run/netns/a"));
        assert_eq!(flags.socket, Some("/run/x.sock".into()));
        assert!(flags.broadcast);
        assert_eq!(flags.resend, Resend { first: 1500, longest: 62_000 });
        assert_eq!(flags.give_up, Duration::from_mins(30));
        assert!(!parse(&["-broadcast=false"])?.broadcast);
        for wrong in
            [&["-nonsense", "1"][..], &["-timeout", "soon"], &["-pidfile", "x"], &["-timeout"]]
        {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        Ok(())
    }

    #[test]
    fn an_add_goes_by_what_is_kept() -> Result<()> {
        let dir = tempfile::tempdir()?;
        assert_eq!(Flags::kept(dir.path()), Flags::default());
        let flags = parse(&["-broadcast", "-timeout", "1s", "-resendtimeout", "9s"])?;
        flags.keep(dir.path())?;
        assert_eq!(Flags::kept(dir.path()), flags);
        assert!(Flags::kept(dir.path()).asked(Asked::new(Vec::new())).broadcast);
        std::fs::write(dir.path().join(FILE), "{\"first\": 0")?;
        assert_eq!(Flags::kept(dir.path()), Flags::default());
        Ok(())
    }
}
