//! `cargo xtask dist`: the release as people install it: a tarball and a Debian package, what is in them by
//! name and licence (SBOM), and their checksums, in a folder of `target/dist` for each processor.
//!
//! The same sources give the same bytes: files have the time of `SOURCE_DATE_EPOCH`, or of the last commit,
//! and belong to root. Each archive is made twice, and compared.

mod sbom;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::build;
use crate::command::{must, program, say, text, workspace};
use crate::cpu::Cpu;

/// What stands in a folder of the package, by the place that it comes from.
const FILES: [(&str, &str); 12] = [
    ("README.md", "usr/share/doc/wharfinger"),
    ("CHANGELOG.md", "usr/share/doc/wharfinger"),
    ("SECURITY.md", "usr/share/doc/wharfinger"),
    ("LICENSE-APACHE", "usr/share/doc/wharfinger"),
    ("LICENSE-MIT", "usr/share/doc/wharfinger"),
    ("docs", "usr/share/doc/wharfinger"),
    ("packaging/monitoring", "usr/share/doc/wharfinger"),
    // Drop-ins change other people's services: they are copied by who wants that.
    ("packaging/systemd/firewalld.service.d", "usr/share/doc/wharfinger/systemd"),
    ("packaging/systemd/nftables.service.d", "usr/share/doc/wharfinger/systemd"),
    ("docs/schema/network.schema.json", "usr/share/wharfinger"),
    ("docs/schema/node.schema.json", "usr/share/wharfinger"),
    ("wit", "usr/share/wharfinger"),
];

/// Where shells look for completions.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/wharfinger"),
    ("zsh", "usr/share/zsh/vendor-completions/_wharfinger"),
    ("fish", "usr/share/fish/vendor_completions.d/wharfinger.fish"),
];

/// `cargo xtask dist`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (mut built, mut cpus) = (false, Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.as_slice().first()) {
            ("--built", _) => built = true,
            ("--target", Some(targets)) => {
                args.next();
                cpus = targets.split(',').map(Cpu::of).collect::<Result<_>>()?;
            }
            _ => bail!("usage: cargo xtask dist [--built] [--target TARGET,...]"),
        }
    }
    if cpus.is_empty() {
        cpus.push(Cpu::here()?);
    }
    cpus.into_iter().try_for_each(|cpu| {
        if !built {
            build::release(cpu)?;
        }
        pack(cpu)
    })
}

/// Where what is packed for a processor is.
pub(crate) fn folder(cpu: Cpu) -> PathBuf {
    workspace().join("target/dist").join(cpu.name)
}

/// Packs what was built for a processor.
pub(crate) fn pack(cpu: Cpu) -> Result<()> {
    let dist = Dist::new(cpu)?;
    dist.stage()?;
    let archives = [dist.tarball()?, dist.debian()?];
    let again = [dist.tarball()?, dist.debian()?];
    for ((name, one), (_, other)) in archives.iter().zip(&again) {
        if one != other {
            bail!("{name} is not the same when it is made again");
        }
    }
    let bom = format!("{}.cdx.json", dist.name);
    let made = sbom::of(&dist.version, &cpu.target(), dist.epoch)?;
    fs::write(dist.dir.join(&bom), &made)?;
    let sums = archives.into_iter().chain([(bom, hash(made.as_bytes()))]);
    let sums: Vec<String> = sums.map(|(name, hash)| format!("{hash}  {name}\n")).collect();
    let sums = sums.concat();
    fs::write(dist.dir.join("SHA256SUMS"), &sums)?;
    say(&format!("{}:\n{sums}", dist.dir.display()));
    Ok(())
}

/// One release for one kind of processor.
struct Dist {
    cpu: Cpu,
    dir: PathBuf,
    /// What is packed, as it stands below `/`.
    root: PathBuf,
    version: String,
    /// `wharfinger-VERSION-CPU`.
    name: String,
    /// Seconds since the Unix epoch, of all files.
    epoch: u64,
}

impl Dist {
    fn new(cpu: Cpu) -> Result<Self> {
        let version = text(cpu.start(&cpu.executable()).arg("version"))?;
        let version = version.trim().strip_prefix("wharfinger ").context("a version")?.to_owned();
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(epoch) => epoch,
            Err(_) => text(&mut program("git log -1 --format=%ct"))?,
        };
        let dir = folder(cpu);
        let _ = fs::remove_dir_all(&dir);
        Ok(Self {
            cpu,
            root: dir.join("root"),
            dir,
            name: format!("wharfinger-{version}-{}", cpu.name),
            version,
            epoch: epoch.trim().parse().context("SOURCE_DATE_EPOCH")?,
        })
    }

    /// Puts all files to where they are installed.
    fn stage(&self) -> Result<()> {
        let place = |path: &str| {
            let path = self.root.join(path);
            path.parent().map(fs::create_dir_all).transpose()?;
            anyhow::Ok(path)
        };
        let executable = self.cpu.executable();
        fs::copy(&executable, place("opt/cni/bin/wharfinger")?)?;
        std::os::unix::fs::symlink("/opt/cni/bin/wharfinger", place("usr/bin/wharfinger")?)?;
        for (from, to) in FILES {
            let to = self.root.join(to);
            fs::create_dir_all(&to)?;
            must(program("cp --recursive").arg(from).arg(&to))?;
        }
        for unit in fs::read_dir(workspace().join("packaging/systemd"))? {
            let unit = unit?.path();
            let name = unit.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if unit.is_file() {
                fs::copy(&unit, place(&format!("usr/lib/systemd/system/{name}"))?)?;
            }
        }
        for (shell, path) in SHELLS {
            let said = text(self.cpu.start(&executable).args(["completions", shell]))?;
            fs::write(place(path)?, said)?;
        }
        let man = self.root.join("usr/share/man/man1");
        fs::create_dir_all(&man)?;
        must(self.cpu.start(&executable).args(["internal", "man"]).arg(&man))?;
        // As installed, whatever this account's mask is.
        must(program("chmod --recursive u=rwX,go=rX").arg(&self.root))
    }

    /// A tarball with one folder in it; its name and hash.
    fn tarball(&self) -> Result<(String, String)> {
        let name = format!("{}.tar.gz", self.name);
        let archive = self.dir.join(&name);
        let mut tar = program("tar --create --sort=name --owner=0 --group=0 --numeric-owner");
        tar.arg(format!("--mtime=@{}", self.epoch)).arg("--file").arg(&archive);
        // Links lead to where they are installed: only names are moved below the folder.
        tar.arg(format!("--transform=s,^\\.,{},S", self.name));
        tar.arg("--use-compress-program=gzip --no-name").arg("--directory").arg(&self.root);
        must(tar.arg("."))?;
        Ok((name, hash(&fs::read(&archive)?)))
    }

    /// A Debian package; its name and hash.
    fn debian(&self) -> Result<(String, String)> {
        let architecture = self.cpu.debian;
        let tree = self.dir.join("debian");
        let _ = fs::remove_dir_all(&tree);
        must(program("cp --archive").arg(&self.root).arg(&tree))?;
        let control = tree.join("DEBIAN");
        fs::create_dir(&control)?;
        for script in ["postinst", "prerm", "postrm"] {
            fs::copy(workspace().join("packaging/debian").join(script), control.join(script))?;
        }
        let size =
            text(program("du --apparent-size --summarize --block-size=1024").arg(&self.root))?;
        let size = size.split_whitespace().next().unwrap_or_default();
        let about = fs::read_to_string(workspace().join("packaging/debian/control"))?;
        let about = about.replace("VERSION", &self.version).replace("SIZE", size);
        fs::write(control.join("control"), about.replace("ARCHITECTURE", architecture))?;
        must(program("chmod --recursive u=rwX,go=rX").arg(&control))?;
        let name = format!("wharfinger_{}_{architecture}.deb", self.version);
        let archive = self.dir.join(&name);
        let mut deb = program("dpkg-deb --build --root-owner-group -Zgzip");
        deb.arg(&tree).arg(&archive).env("SOURCE_DATE_EPOCH", self.epoch.to_string());
        text(&mut deb)?;
        fs::remove_dir_all(&tree)?;
        Ok((name, hash(&fs::read(&archive)?)))
    }
}

fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_packed_is_there() {
        for (from, _) in FILES {
            assert!(workspace().join(from).exists(), "{from}");
        }
        let control = fs::read_to_string(workspace().join("packaging/debian/control")).unwrap();
        for word in ["VERSION", "ARCHITECTURE", "SIZE"] {
            assert_eq!(control.matches(word).count(), 1, "{word}");
        }
    }
}
