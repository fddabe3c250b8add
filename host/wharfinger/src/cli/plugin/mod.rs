//! `wharfinger plugin ...`: for who writes plugins, and who runs them.

mod bench;
mod build;
mod load;
mod new;
mod replay;
mod run;
mod test;

use anyhow::Result;
use clap::Subcommand;

use crate::program::Program;

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Begin a plugin: a project that builds and tests, and needs no checkout of wharfinger
    New(new::New),
    /// Build the project in this folder: leaves dist/NAME.wasm
    Build(build::Build),
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
            Self::New(new) => new.run(),
            Self::Build(build) => build.run(),
            Self::Run(run) => run.run(),
            Self::Replay(replay) => replay.run(program),
            Self::Test(test) => test.run(),
            Self::Bench(bench) => bench.run(),
        }
    }
}
