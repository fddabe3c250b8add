//! `wharfinger plugin ...`: for who writes plugins, and who runs them.

mod bench;
mod build;
mod candidate;
mod component;
mod inspect;
mod install;
mod list;
mod load;
mod new;
mod recompile;
mod remove;
mod replay;
mod run;
mod rust;
mod test;
mod toolchain;
mod upgrade;
mod verify;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use self::recompile::recompile;
use crate::program::Program;

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Check a component, compile it, and pin its digest under a name
    Install(install::Install),
    /// List what is installed, and what is built in
    Ls(list::Ls),
    /// Say what a component is, may do, and would need granted
    Inspect(inspect::Inspect),
    /// Let a name stand for another component: what it gains by that is shown, and asked
    Upgrade(upgrade::Upgrade),
    /// Take an installed component away
    Remove(remove::Remove),
    /// Compare everything in the store with the lock file
    Verify,
    /// Compile what is installed for this executable, where that was not done yet
    Recompile,
    /// Begin a plugin: a project that builds and tests, and needs no checkout of wharfinger
    New(new::New),
    /// Build the project in this folder: leaves dist/NAME.wasm
    Build(build::Build),
    /// Make a component of the core module that a compiler left
    Component(component::Component),
    /// Make one call of a component, and show all of it
    Run(run::Run),
    /// Make a recorded call again, and compare the answers
    Replay(replay::Replay),
    /// Check that a component keeps the contract; without one, build and test the project here
    Test(test::Test),
    /// Measure how long a component takes
    Bench(bench::Bench),
}

impl Plugin {
    pub(crate) fn run(self, program: &Program) -> Result<u8> {
        match self {
            Self::Install(install) => install.run(program),
            Self::Ls(ls) => ls.run(program),
            Self::Inspect(inspect) => inspect.run(program),
            Self::Upgrade(upgrade) => upgrade.run(program),
            Self::Remove(remove) => remove.run(program),
            Self::Verify => verify::run(program),
            Self::Recompile => recompile::run(program),
            Self::New(new) => new.run(),
            Self::Build(build) => build.run(),
            Self::Component(component) => component.run(),
            Self::Run(run) => run.run(),
            Self::Replay(replay) => replay.run(program),
            Self::Test(test) => test.run(),
            Self::Bench(bench) => bench.run(),
        }
    }
}
