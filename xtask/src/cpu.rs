//! The processors that the release is for: this machine's, and another's, whose executables are built here by
//! Rust's own linker and zig's C compiler, and run under emulation.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::{self, find, workspace};
use crate::{build, languages, tools};

/// A kind of processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cpu {
    /// As Rust names it.
    pub name: &'static str,
    /// As Debian does.
    pub debian: &'static str,
    /// As an ELF file does, in `e_machine` (elf(5)).
    pub elf: u16,
}

const ALL: [Cpu; 2] = [
    Cpu { name: "x86_64", debian: "amd64", elf: 62 },
    Cpu { name: "aarch64", debian: "arm64", elf: 183 },
];

impl Cpu {
    /// This machine's.
    pub(crate) fn here() -> Result<Self> {
        let name = std::env::consts::ARCH;
        ALL.into_iter()
            .find(|cpu| cpu.name == name)
            .with_context(|| format!("no release for {name}"))
    }

    /// The one that this machine has not.
    pub(crate) fn other() -> Result<Self> {
        ALL.into_iter().find(|cpu| !cpu.is_here()).context("no other processor")
    }

    /// That of a target.
    pub(crate) fn of(target: &str) -> Result<Self> {
        let known = ALL.map(Self::target);
        match ALL.into_iter().find(|cpu| cpu.target() == target) {
            Some(cpu) => Ok(cpu),
            None => bail!("no release for {target:?}; there are: {}", known.join(", ")),
        }
    }

    /// The triple that its release is built for.
    pub(crate) fn target(self) -> String {
        format!("{}-unknown-linux-musl", self.name)
    }

    fn is_here(self) -> bool {
        self.name == std::env::consts::ARCH
    }

    /// Where its release is.
    pub(crate) fn executable(self) -> PathBuf {
        if self.is_here() {
            return command::executable();
        }
        workspace().join("target").join(format!("release-{}", self.name)).join("wharfinger")
    }

    /// What runs its executables where they are another's. By name, since no machine must know of it.
    pub(crate) fn emulator(self) -> Option<String> {
        (!self.is_here()).then(|| format!("qemu-{}-static", self.name))
    }

    /// Starts one of its executables.
    pub(crate) fn start(self, executable: &Path) -> Command {
        let mut command = Command::new("env");
        command.args(self.emulator()).arg(executable);
        command
    }

    /// Gets what the build needs of this machine beside Rust; an error says what is lacking.
    pub(crate) fn prepare(self) -> Result<()> {
        build::add_targets(&[&self.target()])?;
        let Some(emulator) = self.emulator() else { return Ok(()) };
        languages::zig().context("the C parts need zig")?;
        if find(&emulator).is_none() {
            tools::packages(&["qemu-user-static"])?;
        }
        if find(&emulator).is_none() {
            bail!("no {emulator} here: Debian's package qemu-user-static");
        }
        Ok(())
    }

    /// Cargo, with what it takes to build for this processor.
    pub(crate) fn cargo(self, words: &str) -> Result<Command> {
        let mut cargo = command::cargo(words);
        if self.is_here() {
            return Ok(cargo);
        }
        let target = self.target().replace('-', "_");
        let cross = workspace().join("packaging/cross");
        cargo.envs(languages::zig()?).env("CROSS", format!("{}-linux-musl", self.name));
        cargo.env(format!("CC_{target}"), cross.join("cc"));
        cargo.env(format!("AR_{target}"), cross.join("ar"));
        // Rust's musl is whole: no C compiler's files are linked in.
        let linker = format!("CARGO_TARGET_{}_LINKER", target.to_uppercase());
        cargo.env(linker, "rust-lld");
        Ok(cargo)
    }

    /// Holds that a file is an executable of this processor, and not position-independent.
    pub(crate) fn check(self, file: &[u8]) -> Result<()> {
        let half = |at: usize| Some(u16::from_le_bytes([*file.get(at)?, *file.get(at + 1)?]));
        // ELF, e_type at byte 16: 2 is ET_EXEC, 3 would be position-independent; e_machine at 18 (elf(5)).
        if half(16) != Some(2) {
            bail!("it is position-independent: is .cargo/config.toml in force?");
        }
        if half(18) != Some(self.elf) {
            bail!("it is of machine {:?}, not of {} ({})", half(18), self.name, self.elf);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_one_and_the_other_is_built_across() {
        let (here, other) = (Cpu::here().unwrap(), Cpu::other().unwrap());
        assert_eq!(here.executable(), command::executable());
        assert_ne!(here.executable(), other.executable());
        assert!(here.emulator().is_none() && other.emulator().is_some());
        assert_eq!(Cpu::of(&other.target()).unwrap(), other);
        assert!(Cpu::of("m68k-unknown-linux-musl").is_err());
    }

    #[test]
    fn a_file_of_another_processor_is_refused() {
        let file = |kind: u16, machine: u16| {
            [&[0; 16][..], &kind.to_le_bytes(), &machine.to_le_bytes()].concat()
        };
        for cpu in ALL {
            assert!(cpu.check(&file(2, cpu.elf)).is_ok());
            assert!(cpu.check(&file(3, cpu.elf)).is_err());
            assert!(cpu.check(&file(2, cpu.elf + 1)).is_err());
            assert!(cpu.check(&[]).is_err());
        }
    }
}
