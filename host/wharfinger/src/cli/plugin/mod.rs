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
use super::Answer;
use crate::program::Program;

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Check a component, compile it, and pin its digest under a name
    #[command(after_help = "With --json: `name`, and the rest as of `plugin inspect`")]
    Install(install::Install),
    /// List what is installed, and what is built in
    #[command(after_help = "With --json: a list of components")]
    Ls(list::Ls),
    /// Say what a component is, may do, and would need granted
    #[command(after_help = "With --json: what the component is, `installed`, `granted`, `needs`")]
    Inspect(inspect::Inspect),
    /// Let a name stand for another component: what it gains by that is shown, and asked
    #[command(after_help = "With --json: `before`, and the rest as of `plugin inspect`")]
    Upgrade(upgrade::Upgrade),
    /// Take an installed component away
    #[command(after_help = "With --json: `name` and `digest`")]
    Remove(remove::Remove),
    /// Compare everything in the store with the lock file
    #[command(after_help = "With --json: a list of findings")]
    Verify,
    /// Compile what is installed for this executable, where that was not done yet
    #[command(after_help = "With --json: a list: what was done to what")]
    Recompile,
    /// Begin a plugin: a project that builds and tests, and needs no checkout of wharfinger
    #[command(after_help = "With --json: `folder` and `next`, a command")]
    New(new::New),
    /// Build the project in this folder: leaves dist/NAME.wasm
    #[command(after_help = "With --json: `component`, its `size` in bytes, `class`")]
    Build(build::Build),
    /// Make a component of the core module that a compiler left
    #[command(after_help = "With --json: `component`, where it is")]
    Component(component::Component),
    /// Make one call of a component, and show all of it
    #[command(after_help = "With --json: the record of the call, as `plugin replay` takes it")]
    Run(run::Run),
    /// Make a recorded call again, and compare the answers
    #[command(
        after_help = "With --json: `same`, the answers `then` and `now`, and where it departs from the record"
    )]
    Replay(replay::Replay),
    /// Check that a component keeps the contract; without one, build and test the project here
    #[command(after_help = "With --json: the report")]
    Test(test::Test),
    /// Measure how long a component takes
    #[command(after_help = "With --json: `compiled` and a list of `calls`, in milliseconds")]
    Bench(bench::Bench),
}

impl Plugin {
    pub(crate) fn run(self, program: &Program) -> Result<Answer> {
        match self {
            Self::Install(install) => install.run(program),
            Self::Ls(_) => list::Ls::run(program),
            Self::Inspect(inspect) => inspect.run(program),
            Self::Upgrade(upgrade) => upgrade.run(program),
            Self::Remove(remove) => remove.run(program),
            Self::Verify => Ok(verify::run(program)),
            Self::Recompile => recompile::run(program),
            Self::New(new) => new.run(),
            Self::Build(build) => build.run(),
            Self::Component(component) => component.run(),
            Self::Run(run) => run.run(),
            Self::Replay(replay) => replay.run(program),
            Self::Test(test) => test.run(),
            Self::Bench(bench) => bench.run(program),
        }
    }
}
